"""Brows of drawn faces: keypoints that lie beside them are moved onto them."""

import numpy as np
import pytest

from tests.compact.drawn_face import drawn_face
from thgen.compact.feature_fit import BROW_LIKELY, Frame, bands, best_line, fit_features


def face(up=0.0):
    """A drawn face, and keypoints [68 3]; its brows lie `up` px too high."""
    crop, points = drawn_face()
    points[17:27, 1] -= up / 128
    return crop, np.concatenate([points, np.zeros((68, 1))], 1)


def fitted(crop, keypoints, skin=None):
    """Pixels [68 2] after the fit."""
    skin = np.ones(len(keypoints), bool) if skin is None else skin
    return (fit_features(crop, keypoints, skin)[:, :2] + 1) * 128


@pytest.mark.parametrize("up", [3, 8, 12])
def test_brows_that_lie_too_high_are_moved_down(up):
    crop, keypoints = face(up=up)
    out = fitted(crop, keypoints)
    assert out[17:27, 1] == pytest.approx(np.full(10, 90), abs=1.2)
    assert out[36:48] == pytest.approx((keypoints[36:48, :2] + 1) * 128, abs=0.3), "eyes stay"


def test_without_a_brow_to_be_seen_the_keypoints_move_to_where_brows_usually_are():
    crop, keypoints = face(up=8)
    crop[80:100] = (220, 170, 140)
    moved = fitted(crop, keypoints)[17:27, 1] - (keypoints[17:27, 1] + 1) * 128
    height = (keypoints[[37, 38], 1].mean() - keypoints[17:22, 1].mean()) * 128
    assert moved == pytest.approx(np.full(10, BROW_LIKELY * height), abs=0.5)


def test_only_brows_on_the_skin_move():
    crop, keypoints = face(up=8)
    skin = np.ones(68, bool)
    skin[20] = False
    out = fitted(crop, keypoints, skin)
    assert out[20] == pytest.approx((keypoints[20, :2] + 1) * 128)
    assert out[[30, *range(48, 68)]] == pytest.approx((keypoints[[30, *range(48, 68)], :2] + 1) * 128, abs=0.5)


def test_keypoints_of_one_place_are_no_error():
    crop, _ = face()
    assert (fit_features(crop, np.zeros((68, 3), np.float32), np.ones(68, bool)) == 0).all()


def test_an_edge_is_no_band():
    grey = np.ones((64, 64), np.float32)
    grey[40:] = 0
    frame, places = Frame(np.zeros(2), np.array([64.0, 0]), np.array([0, 64.0])), np.linspace(0.1, 0.9, 9)
    u, v = np.broadcast_arrays(places[None], np.linspace(0.2, 0.9, 57)[:, None])
    assert bands(grey, frame, u, v, (0.05,)).max() < 0.01
    grey[44:] = 1
    assert bands(grey, frame, u, v, (0.05,)).max() > 0.5


def test_the_best_line_is_the_darkest_and_of_equals_the_likeliest():
    rows = np.linspace(-1, 1, 21)
    contrast = np.zeros((21, 5))
    contrast[15] = 1
    weights, shapes = np.linspace(-1, 1, 21)[:, None], np.ones((1, 5))
    chosen, found = best_line(contrast, rows, shapes, weights, 0.0, 1.0)
    assert chosen == pytest.approx([0.5]) and found == pytest.approx(1)
    assert best_line(0 * contrast, rows, shapes, weights, 0.3, 1.0)[0] == pytest.approx([0.3])
