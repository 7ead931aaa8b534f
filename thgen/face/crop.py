"""Square crops of a photo: framing, matrix, and resampling without aliasing or shift.

Convention in all of thgen: pixel coordinates run from edge to edge. The first pixel covers [0, 1), its centre is 0.5,
and normalised = 2 * pixels / size - 1. `cv2.warpAffine` puts the first centre at 0, so it needs a shift by a half.
Crops are never rotated, so a matrix is one scale and one shift.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from thgen.analyser.network import FRAME_LIFT, FRAME_SCALE, INPUT_SIZE

ANALYSER_SIZE = INPUT_SIZE  # side of the analyser's input, px


@dataclass(frozen=True)
class Framing:
    """A square relative to the box of the 68 landmarks. side = `scale` * longer edge; it is raised by `lift` * side."""

    scale: float
    lift: float


CROP = Framing(2.0, 0.08)  # input and output of methods: the whole head with some neck
ANALYSER = Framing(FRAME_SCALE, FRAME_LIFT)  # input of the analyser: tighter around the face
# Square in CROP that contains the face in every pose: centre x, centre y and half-side, in half-widths of the crop.
FACE = (0.0, 0.1, 0.72)


@dataclass(frozen=True)
class Square:
    """A square of the photo: centre and side, px from edge to edge. It may extend outside the photo."""

    x: float
    y: float
    side: float

    @property
    def left(self) -> float:
        return self.x - self.side / 2

    @property
    def top(self) -> float:
        return self.y - self.side / 2

    def matrix(self, size: int) -> np.ndarray:
        """float64 [2 3], photo px -> px of the crop of `size`."""
        k = size / self.side
        return np.array([[k, 0.0, -self.left * k], [0.0, k, -self.top * k]])

    def _common(self, other: Square) -> float:
        w = min(self.left + self.side, other.left + other.side) - max(self.left, other.left)
        h = min(self.top + self.side, other.top + other.side) - max(self.top, other.top)
        return max(w, 0.0) * max(h, 0.0)

    def iou(self, other: Square) -> float:
        """Intersection over union of the two squares, 0 to 1."""
        common = self._common(other)
        return common / (self.side**2 + other.side**2 - common)

    def covered(self, other: Square) -> float:
        """Intersection over the smaller square, 0 to 1; 1 if one is inside the other."""
        return min(1.0, self._common(other) / min(self.side, other.side) ** 2)

    def to_normalised(self, points: np.ndarray) -> np.ndarray:
        """points [... 2 or 3] in photo px (z in the same scale) -> normalised in this square."""
        out = np.asarray(points, np.float64) * (2 / self.side)
        out[..., 0] -= 2 * self.x / self.side
        out[..., 1] -= 2 * self.y / self.side
        return out

    def from_normalised(self, points: np.ndarray) -> np.ndarray:
        """Inverse of `to_normalised`: points [... 2 or 3] normalised -> photo px."""
        out = np.asarray(points, np.float64) * (self.side / 2)
        out[..., 0] += self.x
        out[..., 1] += self.y
        return out


def landmark_extent(landmarks: np.ndarray) -> float:
    """Longer edge of the box of landmarks [N 2+], in their unit."""
    xy = np.asarray(landmarks)[:, :2]
    return float((xy.max(0) - xy.min(0)).max())


def landmark_square(landmarks: np.ndarray, framing: Framing) -> Square:
    """The square that `framing` puts around landmarks [68 2+] in photo px."""
    xy = np.asarray(landmarks, np.float64)[:, :2]
    low, high = xy.min(0), xy.max(0)
    side = max(framing.scale * float((high - low).max()), 1.0)
    x, y = (low + high) / 2
    return Square(float(x), float(y) - framing.lift * side, side)


def apply_matrix(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """points [... 2] through an affine matrix [2 3]."""
    return np.asarray(points, np.float64) @ matrix[:, :2].T + matrix[:, 2]


def invert_matrix(matrix: np.ndarray) -> np.ndarray:
    """Inverse of an affine matrix [2 3], again [2 3]."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.concatenate([linear, -linear @ matrix[:, 2:]], axis=1)


def sample_square(photo: np.ndarray, square: Square, size: int) -> np.ndarray:
    """The crop uint8 [size size 3] of `square` from photo uint8 [H W 3]. Outside the photo its border is repeated.

    Pillow's resize accepts a fractional box and widens its kernel when it shrinks. This gives no shift and no aliasing.
    """
    height, width = photo.shape[:2]
    # Context for the kernel, which reaches 3 target pixels to each side.
    margin = 4 + math.ceil(3 * max(square.side / size, 1))
    x0, x1 = math.floor(square.left) - margin, math.ceil(square.left + square.side) + margin
    y0, y1 = math.floor(square.top) - margin, math.ceil(square.top + square.side) + margin
    if x0 >= 0 and y0 >= 0 and x1 <= width and y1 <= height:
        region = photo[y0:y1, x0:x1]
    else:
        rows = np.clip(np.arange(y0, y1), 0, height - 1)
        columns = np.clip(np.arange(x0, x1), 0, width - 1)
        region = photo[rows[:, None], columns[None, :]]
    left, top = square.left - x0, square.top - y0
    box = (left, top, left + square.side, top + square.side)
    image = Image.fromarray(np.ascontiguousarray(region))
    return np.asarray(image.resize((size, size), Image.Resampling.LANCZOS, box=box, reducing_gap=3.0))


def limit_side(photo: np.ndarray, longest: int, shortest: int = 0) -> tuple[np.ndarray, float]:
    """photo [H W 3], scaled so that its longer edge is between `shortest` and `longest` px, and the scale."""
    height, width = photo.shape[:2]
    edge = max(height, width)
    scale = min(longest / edge, max(1.0, shortest / edge))
    if scale == 1.0:
        return photo, 1.0
    new = (max(1, round(width * scale)), max(1, round(height * scale)))
    resized = Image.fromarray(photo).resize(new, Image.Resampling.BICUBIC, reducing_gap=3.0)
    return np.asarray(resized), scale


def face_window(size: int) -> tuple[slice, slice]:
    """Rows and columns of FACE in a crop of `size` px."""
    x, y, half = FACE
    side = round(half * size)
    top, left = (round((middle + 1) / 2 * size - side / 2) for middle in (y, x))
    return slice(top, top + side), slice(left, left + side)


def resized(images: np.ndarray, side: int) -> np.ndarray:
    """uint8 [B S S 3] -> [B side side 3]; area averages if it shrinks, linear if it grows."""
    size = images.shape[1]
    if size == side:
        return images
    how = cv2.INTER_AREA if size > side else cv2.INTER_LINEAR
    return np.stack([cv2.resize(image, (side, side), interpolation=how) for image in images])
