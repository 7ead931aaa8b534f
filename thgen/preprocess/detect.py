"""Where a face might be: proposals for the analyser, which has the last word (`preprocess.face`).

scikit-image's LBP cascade ships in its wheel and needs no download. It knows frontal faces up to about 15 degrees of
tilt, so the photo can be offered to it rotated and mirrored; for what it misses there is a plain pyramid of windows.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from thgen.preprocess.crop import Square, limit_side

CASCADE_SIDE = 640  # px; longer edge of the picture that the cascade searches
CASCADE_WINDOW = 24  # px; the smallest face that it can see
# From the cascade's box to the analyser's square: measured on the box of the 68 landmarks around the same faces.
BOX_TO_SIDE = 1.7
BOX_CENTRE_Y = 0.55


class CascadeDetector:
    """Frontal faces by the LBP cascade. One instance may serve several threads."""

    def __init__(self, strictness: int = 2) -> None:
        """strictness: how many overlapping hits make a proposal. Low, because the analyser judges them all."""
        from skimage import data
        from skimage.feature import Cascade

        self._cascade = Cascade(data.lbp_frontal_face_cascade_filename())
        self._lock = threading.Lock()  # the compiled cascade keeps scratch state
        self.strictness = strictness

    def propose(self, photo: np.ndarray, angle: float = 0.0, mirrored: bool = False) -> list[Square]:
        """Squares in analyser framing, photo px, widest first. photo [H W 3] is searched turned by `angle` degrees."""
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
        for x, y, side in self._boxes(image):
            centre = np.array([x + side / 2, y + side * BOX_CENTRE_Y])
            px = np.linalg.solve(to_image[:, :2], centre - to_image[:, 2])
            squares.append(Square(float(px[0]), float(px[1]), side * BOX_TO_SIDE / scale))
        return squares

    def _boxes(self, image: np.ndarray) -> list[tuple[int, int, int]]:
        longest = max(image.shape[:2])
        with self._lock:
            hits = self._cascade.detect_multi_scale(
                img=np.ascontiguousarray(image),
                scale_factor=1.2,
                step_ratio=1,
                min_size=(CASCADE_WINDOW, CASCADE_WINDOW),
                max_size=(longest, longest),
                min_neighbor_number=self.strictness,
            )
        return sorted(((h["c"], h["r"], h["width"]) for h in hits), key=lambda b: -b[2])


def _rotate(image: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """image turned about its centre (degrees, clockwise), on a canvas that holds all of it, and the matrix [2 3]."""
    height, width = image.shape[:2]
    a = math.radians(angle)
    rotation = np.array([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]])
    new_w, new_h = np.ceil(np.abs(rotation) @ np.array([width, height])).astype(int)
    shift = np.array([new_w, new_h]) / 2 - rotation @ np.array([width, height]) / 2
    matrix = np.concatenate([rotation, shift[:, None]], axis=1)
    # cv2 puts the first pixel's centre at 0: a half pixel in, a half pixel out.
    for_cv2 = matrix.copy()
    for_cv2[:, 2] += rotation @ np.array([0.5, 0.5]) - 0.5
    turned = cv2.warpAffine(image, for_cv2, (int(new_w), int(new_h)), flags=cv2.INTER_LINEAR)
    return turned, matrix


def search_windows(height: int, width: int, sizes: Sequence[float], step: float = 0.25) -> Iterator[Square]:
    """Every square of a pyramid over a photo, px. sizes: sides as parts of the shorter edge; step: part of the side."""
    shorter = min(height, width)
    for part in sizes:
        side = part * shorter
        columns = max(1, math.ceil((width - side) / (step * side)) + 1)
        rows = max(1, math.ceil((height - side) / (step * side)) + 1)
        for y in np.linspace(side / 2, max(height - side / 2, side / 2), rows):
            for x in np.linspace(side / 2, max(width - side / 2, side / 2), columns):
                yield Square(float(x), float(y), side)


def suppress(
    squares: Sequence[Square], scores: Sequence[float], overlap: float = 0.3, covered: float = 1.0
) -> list[int]:
    """Indices that survive non-maximum suppression, best score first.

    Of squares with more IoU than `overlap`, or of which more than `covered` of the smaller is shared, one is kept.
    """
    kept: list[int] = []
    for i in np.argsort(-np.asarray(scores, np.float64), kind="stable"):
        mine = squares[i]
        if all(mine.iou(squares[j]) <= overlap and mine.covered(squares[j]) <= covered for j in kept):
            kept.append(int(i))
    return kept
