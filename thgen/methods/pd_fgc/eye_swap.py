"""The eyes of one frame in the face of another: anchors for eye-motion contrastive learning (PD-FGC, section 3.2)."""

from __future__ import annotations

import cv2
import numpy as np

EYES = (range(36, 42), range(42, 48))  # landmarks (Multi-PIE): contours of the right and the left eye
REACH = 0.35  # of an eye's width: margin of the patch around the contour
FEATHER = 5 / 224  # of the picture's side: width of the patch's soft edge


def eye_patch(landmarks: np.ndarray, eye: range, size: int) -> np.ndarray:
    """Weight [size size], float32 in [0, 1], of the region of one eye: its contour, dilated and feathered.

    landmarks [68 2+] in crop coordinates; eye: numbers of its landmarks; size: px.
    """
    points = (np.asarray(landmarks, np.float64)[list(eye), :2] + 1) / 2 * size
    width = float(np.linalg.norm(points[3] - points[0]))
    mask = np.zeros((size, size), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(points * 16).astype(np.int32)), 255, cv2.LINE_AA, 4)
    reach = max(1, round(REACH * width))
    wide = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1)))
    return cv2.GaussianBlur(wide.astype(np.float32) / 255, (0, 0), max(FEATHER * size / 2, 0.5))


def corner_transform(source: np.ndarray, target: np.ndarray, eye: range, size: int, mirror: bool) -> np.ndarray:
    """Similarity [2 3] for cv2.warpAffine, in px, that maps an eye's corners in `source` to those in `target`.

    source, target: landmarks [68 2+] in crop coordinates. mirror: it also exchanges the corners, so that the eye looks
    to the other side.
    """
    corners = [eye[0], eye[3]]
    a, b = ((np.asarray(p, np.float64)[corners, :2] + 1) / 2 * size for p in (source, target))
    if mirror:
        a = a[::-1]
    along_a, along_b = a[1] - a[0], b[1] - b[0]
    # In complex numbers: z -> turn * z + shift, or turn * conjugate(z) + shift for a mirrored eye.
    turn = complex(*along_b) / (complex(*along_a).conjugate() if mirror else complex(*along_a))
    sign = -1.0 if mirror else 1.0
    linear = np.array([[turn.real, -turn.imag * sign], [turn.imag, turn.real * sign]])
    return np.concatenate([linear, (b[0] - linear @ a[0])[:, None]], 1)


def swap_eyes(
    eyes_of: np.ndarray, face_of: np.ndarray, eyes_points: np.ndarray, face_points: np.ndarray, mirror: bool = False
) -> np.ndarray:
    """The picture `face_of` with the eyes of `eyes_of`, aligned by their corners, with soft edges.

    Pictures uint8 RGB [S S 3]; landmarks of each [68 2+] in crop coordinates. mirror: each eye is mirrored in its
    place, which reverses its gaze and keeps its lids. Equal pictures with equal landmarks give the same picture.
    """
    size = face_of.shape[0]
    out = face_of.astype(np.float32)
    for eye in EYES:
        matrix = corner_transform(eyes_points, face_points, eye, size, mirror)
        moved = cv2.warpAffine(
            eyes_of, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        ).astype(np.float32)
        weight = eye_patch(face_points, eye, size)[..., None]
        out += weight * (moved - out)
    return np.rint(out).clip(0, 255).astype(np.uint8)
