"""What views share: landmarks in px, similarity transforms, polygons as masks, turns about the centre.

OpenCV puts 0 at the centre of the first pixel, thgen at its edge. So px are lower by a half here.
"""

from __future__ import annotations

import cv2
import numpy as np

SHIFT = 4  # bits after the binary point of coordinates in OpenCV's drawing


def pixels(landmarks: np.ndarray, size: int) -> np.ndarray:
    """Landmarks [n 2+] in crop coordinates -> places float64 [n 2] in a crop of `size`, px as of OpenCV."""
    return (np.asarray(landmarks, np.float64)[:, :2] + 1) / 2 * size - 0.5


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Similarity transform [2 3] from points source [n 2] to target [n 2], by least squares."""
    x, y = source.T
    one, zero = np.ones_like(x), np.zeros_like(x)
    rows = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    (a, b, dx, dy), *_ = np.linalg.lstsq(rows, np.concatenate([target[:, 0], target[:, 1]]), rcond=None)
    return np.array([[a, -b, dx], [b, a, dy]])


def filled(polygon: np.ndarray, size: int) -> np.ndarray:
    """A polygon [n 2], px, as a mask float32 [size size] in [0, 1], 1 inside."""
    mask = np.zeros((size, size), np.uint8)
    cv2.fillPoly(mask, [np.rint(polygon * 2**SHIFT).astype(np.int32)], 255, cv2.LINE_AA, SHIFT)
    return mask.astype(np.float32) / 255


def hull(points: np.ndarray) -> np.ndarray:
    """Convex hull [m 2] of points [n 2]."""
    return np.asarray(cv2.convexHull(points.astype(np.float32))[:, 0], np.float64)


def turn_matrix(degrees: float, centre: np.ndarray, scale: float, middle: float) -> np.ndarray:
    """Affine matrix [2 3]: turn clockwise about `centre` [2], enlarge by `scale`, move `centre` to (middle, middle)."""
    angle = np.deg2rad(degrees)
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.concatenate([linear, (middle - linear @ centre)[:, None]], 1)


def turned(image: np.ndarray, degrees: float) -> np.ndarray:
    """Picture uint8 [S S 3], turned clockwise about its centre. What comes from outside is black."""
    if not degrees:
        return image
    side = image.shape[0]
    middle = (side - 1) / 2
    matrix = turn_matrix(degrees, np.array([middle, middle]), 1.0, middle)
    return cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_LINEAR)
