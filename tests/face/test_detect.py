from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from skimage import data

from thgen.face.crop import Square
from thgen.face.detect import (
    MOST_PROPOSALS,
    MOST_WINDOWS,
    CascadeDetector,
    _rotate,
    search_windows,
    suppress,
)
from thgen.face.search import SIZES, STEP

# The astronaut's face in her photo, px: between the eyes' outer corners and from brows to chin.
FACE = Square(222.0, 117.0, 140.0)


@pytest.fixture(scope="module")
def detector() -> CascadeDetector:
    return CascadeDetector()


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return np.ascontiguousarray(data.astronaut())


def nearest(squares: list[Square], face: Square = FACE) -> float:
    return max((s.iou(face) for s in squares), default=0.0)


def test_a_real_face_is_proposed(detector: CascadeDetector, photo: np.ndarray) -> None:
    assert nearest(detector.propose(photo)) > 0.6


def test_a_mirrored_search_answers_in_the_photo_s_own_coordinates(detector: CascadeDetector, photo: np.ndarray) -> None:
    assert nearest(detector.propose(photo, mirrored=True)) > 0.6


@pytest.mark.parametrize("tilt", [-25, 25])
def test_a_tilted_face_is_found_by_turning_the_photo_back(
    detector: CascadeDetector, photo: np.ndarray, tilt: int
) -> None:
    tilted, matrix = _rotate(photo, tilt)
    x, y = matrix[:, :2] @ [FACE.x, FACE.y] + matrix[:, 2]
    there = Square(x, y, FACE.side)
    assert nearest(detector.propose(tilted, angle=-tilt), there) > 0.5


def test_large_and_small_photos_answer_in_their_own_px(detector: CascadeDetector, photo: np.ndarray) -> None:
    large = cv2.resize(photo, (2048, 2048), interpolation=cv2.INTER_CUBIC)
    assert nearest(detector.propose(large), Square(FACE.x * 4, FACE.y * 4, FACE.side * 4)) > 0.5
    head = photo[:250, 100:350]
    small = cv2.resize(head, (100, 100), interpolation=cv2.INTER_AREA)
    assert nearest(detector.propose(small), Square((FACE.x - 100) * 0.4, FACE.y * 0.4, FACE.side * 0.4)) > 0.5


def test_threads_get_the_answer_of_one(detector: CascadeDetector, photo: np.ndarray) -> None:
    photos = [photo, photo[:, ::-1], photo[:300]]
    alone = [detector.propose(p) for p in photos]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(detector.propose, photos * 4))
    assert together == alone * 4


def test_threads_do_not_wait_for_each_other(detector: CascadeDetector, monkeypatch: pytest.MonkeyPatch) -> None:
    """The barrier breaks unless both searches run at the same time."""
    both = threading.Barrier(2, timeout=5)

    class Slow:
        def __init__(self, file: str) -> None:
            pass

        def detect_multi_scale(self, **options: object) -> list[dict]:
            both.wait()
            return []

    monkeypatch.setattr("skimage.feature.Cascade", Slow)
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(detector.propose, [np.zeros((400, 400, 3), np.uint8)] * 2)) == [[], []]


def test_proposals_are_the_widest_and_not_without_number(
    detector: CascadeDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = [24 + i % 50 for i in range(500)]

    class Crowded:
        def __init__(self, file: str) -> None:
            pass

        def detect_multi_scale(self, **options: object) -> list[dict]:
            return [{"r": 0, "c": 0, "width": side} for side in sizes]

    monkeypatch.setattr("skimage.feature.Cascade", Crowded)
    proposals = detector.propose(np.zeros((640, 640, 3), np.uint8))
    assert len(proposals) == MOST_PROPOSALS
    assert [s.side for s in proposals] == pytest.approx([1.7 * v for v in sorted(sizes, reverse=True)[:MOST_PROPOSALS]])


@pytest.mark.parametrize("width", [100, 300, 800, 6000])
def test_search_windows_are_bounded_however_long_the_photo(width: int) -> None:
    squares = list(search_windows(100, width, SIZES, STEP))
    assert len(squares) <= MOST_WINDOWS
    assert max(s.left + s.side for s in squares) == pytest.approx(width), "and still reach its end"
    for side in {s.side for s in squares}:
        steps = np.diff(sorted({s.x for s in squares if s.side == side}))
        assert width > 300 or (steps <= STEP * side + 1e-6).all(), "3 : 1 is searched as finely as a square"
        assert width > 800 or (steps <= side).all(), "up to MAX_ASPECT no place is left out"


def test_search_windows_cover_the_photo() -> None:
    squares = list(search_windows(200, 300, (1.0, 0.5)))
    assert {s.side for s in squares} == {200.0, 100.0}
    for side in (100.0, 200.0):
        some = [s for s in squares if s.side == side]
        assert min(s.left for s in some) == 0 and max(s.left + s.side for s in some) == 300
        assert min(s.top for s in some) == 0 and max(s.top + s.side for s in some) == 200
        steps = np.diff(sorted({s.x for s in some}))
        assert (steps <= 0.25 * side + 1e-9).all()


def test_suppression_keeps_the_best_of_each_place() -> None:
    squares = [Square(0, 0, 10), Square(1, 0, 10), Square(50, 0, 10)]
    assert suppress(squares, [0.6, 0.9, 0.7]) == [1, 2]


def test_suppression_can_refuse_what_lies_inside() -> None:
    squares = [Square(0, 0, 10), Square(2, 2, 4), Square(6, 0, 6)]
    assert suppress(squares, [0.9, 0.8, 0.7]) == [0, 1, 2]
    assert suppress(squares, [0.9, 0.8, 0.7], covered=0.5) == [0, 2]
