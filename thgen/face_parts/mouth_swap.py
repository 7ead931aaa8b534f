"""The mouth of another moment in a frame: lips that say something else, with the same mood (expression input of GC-AVT,
section 3.2)."""

from __future__ import annotations

import cv2
import numpy as np

from thgen.face_parts.geometry import filled, hull, pixels, similarity
from thgen.face_parts.mouth import MOUTH

LOWER_FACE = (33, *range(3, 14))  # landmarks (Multi-PIE) of the polygon: base of the nose, and the jaw
ALIGNED = (31, 35, 48, 54)  # landmarks that are laid upon each other: nostrils and corners of the mouth
SHRINK = 0.9  # of the polygon about its middle: its edge lies on skin, not on the outline of the face
FEATHER = 8 / 256  # of the picture's side: width of the soft edge
EDGE = (0.05, 0.95)  # weights between which a pixel belongs to the edge, where both pictures must agree
NEAREST, FARTHEST = 4, 12  # frames to the other moment: below, lips are alike; above half a second, moods change


def other_moment(frame: int, shift: int, total: int) -> int:
    """Frame + shift, mirrored about `frame` where the clip of `total` frames has no such frame; the farthest frame of
    the clip if neither side reaches as far."""
    for other in (frame + shift, frame - shift):
        if 0 <= other < total:
            return other
    return max((0, total - 1), key=lambda end: abs(end - frame))


def lower_face(landmarks: np.ndarray, size: int, shrink: float = SHRINK) -> np.ndarray:
    """Weight float32 [size size] in [0, 1] of the lower face: 1 on the mouth, 0 from the polygon's edge on.

    landmarks [68 2+] in crop coordinates. The soft edge lies inside.
    """
    points = pixels(landmarks, size)
    polygon = points[list(LOWER_FACE)]
    middle = (polygon.min(0) + polygon.max(0)) / 2
    mask = filled(middle + shrink * (polygon - middle), size)
    reach = max(1, round(FEATHER * size))
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    mask = np.maximum(mask, cv2.dilate(filled(hull(points[MOUTH]), size), around))  # all of the lips, also when parted
    blurred = cv2.GaussianBlur(mask, (0, 0), max(FEATHER * size / 4, 0.5))
    return (2 * blurred - 1).clip(0, 1)


def swap_mouth(
    mouth_of: np.ndarray, face_of: np.ndarray, mouth_points: np.ndarray, face_points: np.ndarray,
    shrink: float = SHRINK,
) -> np.ndarray:  # fmt: skip
    """The picture `face_of` with the lower face of `mouth_of`, without a visible seam.

    Pictures uint8 RGB [S S 3]; landmarks of each [68 2+] in crop coordinates. The mouth is aligned, its colours are
    shifted to agree at the soft edge. Equal pictures with equal landmarks give the same picture.
    """
    size = face_of.shape[0]
    source, target = (pixels(np.asarray(p)[list(ALIGNED)], size) for p in (mouth_points, face_points))
    matrix = similarity(source, target)
    moved = cv2.warpAffine(mouth_of, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    there = cv2.warpAffine(lower_face(mouth_points, size, shrink), matrix, (size, size), flags=cv2.INTER_LINEAR)
    weight = np.minimum(lower_face(face_points, size, shrink), there)  # lower face in both: no hair, no background
    face, mouth = face_of.astype(np.float32), moved.astype(np.float32)
    edge = (weight > EDGE[0]) & (weight < EDGE[1])
    if edge.any():
        mouth += (face[edge] - mouth[edge]).mean(0)
    out = face + weight[..., None] * (mouth - face)
    return np.rint(out).clip(0, 255).astype(np.uint8)
