"""The mouth of a frame: a square around its landmarks, enlarged and turned (content input of GC-AVT, section 3.2)."""

from __future__ import annotations

import cv2
import numpy as np

from thgen.face_parts.geometry import pixels, turn_matrix

MOUTH = slice(48, 68)  # landmarks (Multi-PIE)
REACH = 1.6  # side of the square, in longer edges of the mouth's box: the lips with some skin around them
SIDE = 112  # px of the crop
LARGEST_TURN = 20.0  # degrees to each side: more than heads tilt when they speak


def mouth_square(landmarks: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre [2] and half-side of the square around the mouth, in the coordinates of landmarks [68 2+]."""
    points = np.asarray(landmarks, np.float64)[MOUTH, :2]
    low, high = points.min(0), points.max(0)
    return (low + high) / 2, REACH * float((high - low).max()) / 2


def mouth_crop(image: np.ndarray, landmarks: np.ndarray, degrees: float = 0.0, side: int = SIDE) -> np.ndarray:
    """The mouth of a picture uint8 [S S 3] with landmarks [68 2+] in crop coordinates -> uint8 [side side 3].

    degrees: clockwise turn of the crop about the mouth. What lies outside of the picture is black.
    """
    size = image.shape[0]
    centre, half = mouth_square(landmarks)
    where = pixels(centre[None], size)[0]
    scale = side / max(half * size, 1.0)  # half is in half-widths, so the square's side is half * size px
    matrix = turn_matrix(degrees, where, scale, (side - 1) / 2)
    return cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_LINEAR)
