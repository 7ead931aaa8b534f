from __future__ import annotations

import numpy as np
import pytest

from tests.face.drawn import TEMPLATE, dot
from thgen.face.crop import (
    ANALYSER,
    CROP,
    Square,
    apply_matrix,
    face_window,
    invert_matrix,
    landmark_square,
    limit_side,
    resized,
    sample_square,
)


def centroid(image: np.ndarray) -> np.ndarray:
    weight = image.astype(np.float64).sum(2)
    ys, xs = np.mgrid[: image.shape[0], : image.shape[1]] + 0.5
    return np.array([(xs * weight).sum(), (ys * weight).sum()]) / weight.sum()


@pytest.mark.parametrize("size", [97, 128, 512])
@pytest.mark.parametrize("square", [Square(150.3, 120.7, 93.1), Square(150.3, 120.7, 220.4), Square(8.2, 290.9, 150.0)])
def test_points_map_into_the_crop_and_out_within_a_tenth_of_a_pixel(square: Square, size: int) -> None:
    points = np.random.default_rng(0).uniform(0, 300, (50, 2))
    inside = apply_matrix(square.matrix(size), points)
    assert np.abs(apply_matrix(invert_matrix(square.matrix(size)), inside) - points).max() < 1e-9
    normalised = square.to_normalised(points)
    assert np.allclose((normalised + 1) / 2 * size, inside)
    assert np.allclose(square.from_normalised(normalised), points)


@pytest.mark.parametrize("size", [64, 128, 257, 512])
@pytest.mark.parametrize("side", [90.0, 151.3, 299.9])
def test_pixels_go_where_the_matrix_says(side: float, size: int) -> None:
    """No half-pixel shift: the matrix maps the coordinates of a drawn dot to its place in the crop."""
    photo = np.zeros((300, 320, 3), np.uint8)
    at = np.array([141.37, 162.81])
    dot(photo, *at, 9, (255, 255, 255))
    square = Square(150.2, 150.9, side)
    centre = centroid(sample_square(photo, square, size))
    error_px = np.abs(apply_matrix(invert_matrix(square.matrix(size)), centre) - at)
    assert error_px.max() < 0.1


def test_a_square_outside_the_photo_repeats_its_border() -> None:
    photo = np.full((40, 40, 3), 50, np.uint8)
    photo[:, :2] = (10, 200, 30)
    crop = sample_square(photo, Square(-30, 20, 20), 16)
    assert (crop == (10, 200, 30)).all()


def test_shrinking_does_not_alias() -> None:
    """A one-pixel checkerboard shrunk by a fraction is plain grey, not a moiré."""
    photo = np.repeat((np.indices((400, 400)).sum(0) % 2 * 255).astype(np.uint8)[..., None], 3, axis=2)
    crop = sample_square(photo, Square(200, 200, 333.3), 64).astype(float)
    assert crop.std() < 6 and abs(crop.mean() - 127.5) < 3


def test_framing_puts_the_square_around_the_landmarks() -> None:
    landmarks = TEMPLATE * 50 + [200, 300]  # x -40..40, y -50..50 about the centre
    square = landmark_square(landmarks, CROP)
    assert np.allclose([square.x, square.y, square.side], [200, 300 - 0.08 * 200, 200])
    tight = landmark_square(landmarks, ANALYSER)
    assert np.allclose([tight.x, tight.y, tight.side], [200, 300 - 0.06 * 160, 160])


def test_iou_of_known_squares() -> None:
    assert Square(0, 0, 2).iou(Square(0, 0, 2)) == 1
    assert Square(0, 0, 2).iou(Square(1, 0, 2)) == pytest.approx(2 / 6)
    assert Square(0, 0, 2).iou(Square(5, 0, 2)) == 0
    assert Square(0, 0, 10).covered(Square(1, 1, 2)) == 1 and Square(0, 0, 2).covered(Square(1, 0, 2)) == 0.5


def test_limit_side_only_scales_when_it_must() -> None:
    photo = np.zeros((100, 200, 3), np.uint8)
    same, scale = limit_side(photo, 300)
    assert same is photo and scale == 1
    small, scale = limit_side(photo, 50)
    assert small.shape == (25, 50, 3) and scale == 0.25
    large, scale = limit_side(photo, 640, shortest=400)
    assert large.shape == (200, 400, 3) and scale == 2


def test_the_square_of_the_face_is_in_the_middle_of_the_crop():
    rows, columns = face_window(256)
    assert columns.start == 256 - columns.stop and rows.start > columns.start, "a little lower than the middle"
    assert rows.stop - rows.start == columns.stop - columns.start == round(0.72 * 256)


def test_smaller_pictures_are_averages():
    fine = np.zeros((2, 64, 64, 3), np.uint8)
    fine[:, ::2] = 200
    assert (resized(fine, 32) == 100).all()
    assert resized(fine, 64) is fine and resized(fine, 128).shape == (2, 128, 128, 3)
