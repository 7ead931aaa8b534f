"""Measures of a face: each sees its own motion, whatever the head does in the picture."""

import pytest
import torch

from tests.encoder.test_tiles import turned
from thgen.encoder.measures import GROUPS, MEASURES, PUPILS, aligned, eyes_shown, interocular, measured, shown
from thgen.encoder.tiles import frames_of


def read(points):
    return measured(aligned(points, frames_of(points)[:, 0], interocular(points)))[0]


@pytest.mark.parametrize(
    ("points", "axis", "way", "groups"),
    [
        (range(64, 68), 1, 0.1, {"opening", "width"}),
        ([45 + 9, 64], 0, 0.1, {"width"}),
        ([54], 1, -0.1, {"corner_left"}),
        ([43, 44], 1, 0.02, {"lid_left"}),
        ([37, 38], 1, 0.02, {"lid_right"}),
        (PUPILS[:1], 0, 0.02, {"iris_left_x"}),
        (PUPILS[1:], 1, 0.02, {"iris_right_y"}),
        (range(17, 22), 1, -0.05, {"brow_right"}),
    ],
)
def test_a_motion_changes_its_own_measures_alone(keypoints, points, axis, way, groups):
    moved = keypoints.clone()
    moved[:, list(points), axis] += way
    change = read(moved) - read(keypoints)
    hit = {m.group for m, c in zip(MEASURES, change.tolist(), strict=True) if abs(c) > 1e-4}
    assert hit <= groups and hit, hit
    unit = float(interocular(keypoints))
    assert change.abs().max() == pytest.approx(abs(way) / unit, rel=0.4)


def test_a_turned_near_or_far_head_measures_the_same(keypoints):
    assert torch.allclose(read(turned(keypoints, 20.0, 0.7, (0.2, 0.1))), read(keypoints), atol=1e-4)


def test_every_group_has_a_spread_and_each_side_its_own(keypoints):
    assert all(m.spread > 0 for m in MEASURES)
    for stem in ("lid", "brow", "corner", "iris"):
        sides = [g for g in GROUPS if g.startswith(stem)]
        assert any("left" in g for g in sides) and any("right" in g for g in sides)


def test_an_iris_counts_as_much_as_its_own_lids_show(keypoints):
    shut = keypoints.clone()
    shut[:, [43, 44], :2] = shut[:, [47, 46], :2]
    points = aligned(shut, frames_of(shut)[:, 0], interocular(shut))
    assert eyes_shown(points)[0].tolist() == [0, 1]
    for measure, weight in zip(MEASURES, shown(points)[0].tolist(), strict=True):
        assert weight == (0 if measure.eye == 0 else 1)
