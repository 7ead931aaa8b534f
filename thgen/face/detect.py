"""Face proposals. The analyser accepts or rejects them (`face.search`).

The LBP cascade is part of scikit-image's wheel, so nothing is downloaded. It detects frontal faces up to about 15
degrees of roll, so `propose` can also search a rotated or mirrored photo. `search_windows` covers the faces that it
misses.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from thgen.face.crop import Square, limit_side

CASCADE_SIDE = 640  # longer edge of the picture that the cascade searches, px
CASCADE_WINDOW = 24  # smallest face that the cascade detects, px
# From the cascade's box to the analyser's square, fitted to the boxes of the 68 landmarks of the same faces: ratio of
# the sides, and height of the square's centre in the box, from its top.
BOX_TO_SIDE = 1.7
BOX_CENTRE_Y = 0.55
# Limits of the work for any picture.
MOST_PROPOSALS = 64  # proposals of one cascade search, the widest first; each costs up to seven runs of the analyser
MOST_WINDOWS = 512  # windows of the pyramid: the number that a picture of 3 : 1 has


class CascadeDetector:
    """Frontal faces by the LBP cascade. Several threads may use one instance without a lock."""

    def __init__(self, strictness: int = 2) -> None:
        """strictness: overlapping hits that make a proposal. It is low because the analyser checks every proposal."""
        from skimage import data

        self._file = data.lbp_frontal_face_cascade_filename()
        self.strictness = strictness

    def propose(self, photo: np.ndarray, angle: float = 0.0, mirrored: bool = False) -> list[Square]:
        """Squares in the analyser's framing, photo px, widest first, at most MOST_PROPOSALS.

        photo: uint8 [H W 3]; angle: clockwise rotation of the searched picture, degrees; mirrored: search its mirror
        image. The squares refer to the photo itself.
        """
        image, scale = limit_side(photo, CASCADE_SIDE, shortest=CASCADE_SIDE // 2)
        to_image = np.array([[scale, 0.0, 0.0], [0.0, scale, 0.0]])
        if angle:
            turned, turn = _rotate(image, angle)
            image, to_image = turned, turn[:, :2] @ to_image
            to_image[:, 2] = turn[:, 2]
        if mirrored:
            width = image.shape[1]
            image = image[:, ::-1]
            to_image = np.array([[-1.0, 0.0], [0.0, 1.0]]) @ to_image + np.array([[0, 0, width], [0, 0, 0]])
        squares = []
        for x, y, side in self._boxes(image)[:MOST_PROPOSALS]:
            centre = np.array([x + side / 2, y + side * BOX_CENTRE_Y])
            px = np.linalg.solve(to_image[:, :2], centre - to_image[:, 2])
            squares.append(Square(float(px[0]), float(px[1]), side * BOX_TO_SIDE / scale))
        return squares

    def _boxes(self, image: np.ndarray) -> list[tuple[int, int, int]]:
        from skimage.feature import Cascade

        longest = max(image.shape[:2])
        # The compiled cascade has internal state, so each search loads its own: 2 ms, against 650 ms of search.
        hits = Cascade(self._file).detect_multi_scale(
            img=np.ascontiguousarray(image),
            scale_factor=1.2,
            step_ratio=1,
            min_size=(CASCADE_WINDOW, CASCADE_WINDOW),
            max_size=(longest, longest),
            min_neighbor_number=self.strictness,
        )
        return sorted(((h["c"], h["r"], h["width"]) for h in hits), key=lambda b: -b[2])


def _rotate(image: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """image rotated about its centre (degrees, clockwise) on a canvas that contains all of it, and the matrix [2 3]."""
    height, width = image.shape[:2]
    a = math.radians(angle)
    rotation = np.array([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]])
    new_w, new_h = np.ceil(np.abs(rotation) @ np.array([width, height])).astype(int)
    shift = np.array([new_w, new_h]) / 2 - rotation @ np.array([width, height]) / 2
    matrix = np.concatenate([rotation, shift[:, None]], axis=1)
    # cv2 puts the first pixel's centre at 0, so both grids shift by half a pixel.
    for_cv2 = matrix.copy()
    for_cv2[:, 2] += rotation @ np.array([0.5, 0.5]) - 0.5
    turned = cv2.warpAffine(image, for_cv2, (int(new_w), int(new_h)), flags=cv2.INTER_LINEAR)
    return turned, matrix


def search_windows(
    height: int, width: int, sizes: Sequence[float], step: float = 0.25, most: int = MOST_WINDOWS
) -> Iterator[Square]:
    """All squares of a pyramid over a photo, px. sizes: sides as parts of the shorter edge; step: part of the side.

    If there would be more than `most` squares, the step grows.
    """
    while sum(rows * columns for _, rows, columns in _steps(height, width, sizes, step)) > max(most, 4 * len(sizes)):
        step *= 1.05
    for side, rows, columns in _steps(height, width, sizes, step):
        for y in np.linspace(side / 2, max(height - side / 2, side / 2), rows):
            for x in np.linspace(side / 2, max(width - side / 2, side / 2), columns):
                yield Square(float(x), float(y), side)


def _steps(height: int, width: int, sizes: Sequence[float], step: float) -> list[tuple[float, int, int]]:
    """Side in px, rows and columns of each size. At least 2 x 2 if a window is smaller than both edges."""
    sides = [part * min(height, width) for part in sizes]
    rows, columns = ([max(1, math.ceil((n - s) / (step * s)) + 1) for s in sides] for n in (height, width))
    return list(zip(sides, rows, columns, strict=True))


def suppress(
    squares: Sequence[Square], scores: Sequence[float], overlap: float = 0.3, covered: float = 1.0
) -> list[int]:
    """Indices after non-maximum suppression, best score first.

    Of two squares only the better one remains if their IoU exceeds `overlap`, or if their intersection exceeds
    `covered` of the smaller one.
    """
    kept: list[int] = []
    for i in np.argsort(-np.asarray(scores, np.float64), kind="stable"):
        mine = squares[i]
        if all(mine.iou(squares[j]) <= overlap and mine.covered(squares[j]) <= covered for j in kept):
            kept.append(int(i))
    return kept
