import cv2
import numpy as np
import pytest

from thgen.face_parts.geometry import filled, hull, pixels, similarity, turn_matrix, turned


def test_pixels_are_those_of_opencv():
    assert pixels(np.array([[-1, -1, 9], [1, 1, 9], [0, 0.5, 9]]), 100).tolist() == [
        [-0.5, -0.5],
        [99.5, 99.5],
        [49.5, 74.5],
    ]


def test_a_similarity_is_found_from_its_points():
    angle, scale, shift = 0.4, 1.7, np.array([3.0, -8.0])
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    source = np.random.default_rng(0).normal(size=(5, 2))
    found = similarity(source, source @ linear.T + shift)
    np.testing.assert_allclose(found, np.concatenate([linear, shift[:, None]], 1), atol=1e-9)


def test_a_polygon_is_filled_inside_alone():
    mask = filled(np.array([[10.0, 20], [40, 20], [40, 30], [10, 30]]), 64)
    assert mask[25, 25] == 1 and mask[25, 5] == 0 and mask[35, 25] == 0 and mask[15, 25] == 0
    assert mask.sum() == pytest.approx(31 * 11, abs=25)


def test_a_hull_leaves_inner_points_out():
    found = hull(np.array([[0, 0], [4, 0], [4, 4], [0, 4], [2, 2.0]]))
    assert sorted(map(tuple, found.tolist())) == [(0, 0), (0, 4), (4, 0), (4, 4)]


def test_a_turn_is_clockwise_and_about_the_centre():
    """What is above the middle goes to the right."""
    image = np.zeros((101, 101, 3), np.uint8)
    cv2.circle(image, (50, 20), 4, (255, 255, 255), -1)
    y, x = np.argwhere(turned(image, 90)[..., 0] > 128).mean(0)
    assert (x, y) == (pytest.approx(80, abs=0.5), pytest.approx(50, abs=0.5))
    assert turned(image, 0) is image


def test_a_turn_matrix_moves_its_centre_to_the_middle():
    centre = np.array([12.0, 70.0])
    matrix = turn_matrix(33, centre, 2.0, 55.5)
    np.testing.assert_allclose(matrix @ [*centre, 1], [55.5, 55.5])
    assert np.hypot(*matrix[:, 0]) == pytest.approx(2)


def test_corners_from_outside_are_black():
    out = turned(np.full((64, 64, 3), 200, np.uint8), 20)
    assert (out[0, 0] == 0).all() and (out[32, 32] == 200).all()
