"""Lids as layers: each eye closes by itself, skin covers what lies above the margin, and nothing else changes."""

import math

import numpy as np
import pytest
import torch

from tests.compact.drawn_face import drawn_face, nothing_seen
from thgen.compact.eye_patch import cut_patches
from thgen.compact.flow.lids import ClosingLids
from thgen.compact.keypoint_rig import EYE_RINGS
from thgen.compact.lid_layers import cut_eyes

SIZE = 256
WINDOW = (slice(0, SIZE), slice(0, SIZE))
SKIN = (220, 170, 140)


def closed(shut, flow=None, points=None, window=WINDOW, front=0.0):
    """The drawn face [S S 3] with eyes closed by `shut` (left, right); flow [2] of the whole head, in half-widths."""
    crop, marks = drawn_face()
    layers, _ = cut_eyes(cut_patches(crop, marks, nothing_seen(hair=front)), len(crop))
    image = torch.from_numpy(crop).permute(2, 0, 1)[None] / 127.5 - 1
    target = torch.from_numpy(marks if points is None else points).float()[None]
    flow = torch.zeros(2) if flow is None else torch.as_tensor(flow)
    lids = ClosingLids(layers, torch.tensor([shut]), target, flow.reshape(1, 2, 1, 1).expand(1, 2, 64, 64))
    out = lids.over(image[(..., *window)].clone(), window, SIZE)
    return crop.astype(int), ((out[0].permute(1, 2, 0).numpy() + 1) * 127.5).astype(int)


def eye_box(side):
    """Rows and columns of an open eye without its corners: 0 = the subject's left."""
    middle = (166, 90)[side]
    return slice(113, 124), slice(middle - 12, middle + 13)


def test_open_lids_change_nothing():
    crop, out = closed([0.0, 0.0])
    assert np.abs(out - crop).max() <= 1


def test_a_closed_eye_shows_skin_where_white_was():
    crop, out = closed([1.0, 1.0])
    for side in (0, 1):
        lid = out[eye_box(side)]
        assert (crop[eye_box(side)].min(2) > 200).mean() > 0.9, "the white of the open eye"
        assert np.abs(lid - SKIN).max() < 50 and np.abs(lid - SKIN).mean() < 20


def test_each_eye_closes_by_itself():
    crop, out = closed([0.0, 1.0])
    middle = SIZE // 2
    assert np.abs(out[:, middle:] - crop[:, middle:]).max() <= 1, "the subject's left eye, right in the picture"
    assert np.abs(out[:, :middle] - crop[:, :middle]).max() > 50


def test_a_half_closed_eye_is_skin_above_and_eye_below():
    crop, out = closed([0.5, 0.5])
    column = out[:, 90]
    assert np.abs(column[113:116] - SKIN).max() < 50
    assert np.abs(column[123:127] - crop[123:127, 90]).max() <= 8 and crop[124, 90].min() > 200


def test_the_lash_line_goes_down_with_the_margin():
    darkest = [int(closed([share] * 2)[1][104:136, 84:97].sum((1, 2)).argmin()) for share in (0.0, 0.5, 1.0)]
    assert darkest[0] < darkest[1] < darkest[2]
    crop, out = closed([1.0, 1.0])
    assert crop[109:112, 84:97].mean() < 120 < out[109:112, 84:97].mean(), "it does not stay above the lid"


def test_nothing_changes_outside_of_the_orbits():
    crop, out = closed([1.0, 1.0])
    difference = np.abs(out - crop).max(2)
    assert difference[:97].max() <= 1 and difference[140:].max() <= 1, "brows and cheeks"
    assert difference[:, :58].max() <= 1 and difference[:, 198:].max() <= 1


def test_what_lies_before_the_lids_stays():
    crop, out = closed([1.0, 1.0], front=1.0)
    assert np.abs(out - crop).max() <= 1


def test_lids_move_with_the_head():
    shift = 20  # px to the right
    _, marks = drawn_face()
    moved = marks + np.array([2 * shift / SIZE, 0])
    _, out = closed([1.0, 1.0], flow=[-2 * shift / SIZE, 0.0], points=moved)
    _, still = closed([1.0, 1.0])
    rows, columns = eye_box(1)
    there = out[rows, columns.start + shift : columns.stop + shift]
    assert np.abs(there - still[rows, columns]).mean() < 3


def test_a_window_is_a_part_of_the_whole():
    window = (slice(100, 200), slice(60, 180))
    assert np.array_equal(closed([0.7, 0.7], window=window)[1], closed([0.7, 0.7])[1][window])
    none = (slice(150, 200), slice(0, 20))
    crop, out = closed([1.0, 1.0], window=none)
    assert np.abs(out - crop[none]).max() <= 1


@pytest.mark.parametrize("angle", [25, -40])
def test_tilted_eyes_close_along_their_own_axis(angle):
    turn = np.array([[math.cos(math.radians(angle)), -math.sin(math.radians(angle))],
                     [math.sin(math.radians(angle)), math.cos(math.radians(angle))]])  # fmt: skip
    crop, marks = drawn_face(turn)
    layers, _ = cut_eyes(cut_patches(crop, marks, nothing_seen()), len(crop))
    image = torch.from_numpy(crop).permute(2, 0, 1)[None] / 127.5 - 1
    lids = ClosingLids(layers, torch.ones(1, 2), torch.from_numpy(marks).float()[None], torch.zeros(1, 2, 64, 64))
    out = ((lids.over(image.clone(), WINDOW, SIZE)[0].permute(1, 2, 0).numpy() + 1) * 127.5).astype(int)
    for ring in EYE_RINGS:
        x, y = ((marks[list(ring)].mean(0) + 1) / 2 * SIZE).astype(int)
        assert crop[y, x].min() > 200 and np.abs(out[y - 2 : y + 3, x - 2 : x + 3] - SKIN).max() < 60
