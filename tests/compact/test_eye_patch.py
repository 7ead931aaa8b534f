"""Patches of eyes: their frame, the margins that the photo shows, and what is lashes, skin, brow or glasses."""

import cv2
import numpy as np
import pytest

from tests.compact.drawn_face import drawn_face, nothing_seen
from thgen.compact.eye_patch import Seen, cut_patch, lash_ends, skin_ends, with_true_margins

SIZE = 256


def patch_of(crop, points, seen=None):
    return cut_patch(crop, (points[:, :2] + 1) / 2 * SIZE, 1, 80, seen or nothing_seen())


@pytest.mark.parametrize("angle", [0.0, 30.0])
def test_an_eye_lies_level_in_its_patch(angle):
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    crop, points = drawn_face(np.array([[cos, -sin], [sin, cos]]))
    patch = patch_of(crop, points)
    px = (points + 1) / 2 * SIZE
    corners = px[[36, 39]] @ patch.matrix[:, :2].T + patch.matrix[:, 2]
    assert corners[0, 1] == pytest.approx(corners[1, 1]) and corners[1, 0] - corners[0, 0] == pytest.approx(80)
    middle = int((patch.inside.start + patch.inside.stop) / 2)
    row = int((patch.upper[middle] + patch.lower[middle]) / 2)
    assert patch.image[row - 5 : row + 5, middle - 20 : middle + 20].min() > 0.9, "the white of the eye"
    assert patch.upper[0] == patch.lower[0] and patch.height == pytest.approx(36 * 0.87, rel=0.15)


@pytest.mark.parametrize("error", [-0.1, 0.2, 0.35])
def test_margins_are_found_where_the_photo_shows_them(error):
    crop, points = drawn_face()
    right = with_true_margins(patch_of(crop, points))
    wrong = points.copy()
    wrong[[37, 38], 1] += error * 16 / 128  # the upper margin is read too low, by a share of the open eye's height
    rough = patch_of(crop, wrong)
    found = with_true_margins(rough)
    inside = slice(right.inside.start + 10, right.inside.stop - 10)
    off, left = (np.abs(p.upper - right.upper)[inside].mean() / right.height for p in (rough, found))
    assert left < 0.17 and left < 0.55 * off
    lower = ((points[[40, 41], 1].mean() + 1) / 2 * SIZE) * 2 + right.matrix[1, 2]
    assert abs(right.lower[inside].max() - lower) < 0.2 * right.height


def test_an_outer_corner_moves_out_to_where_the_eye_is_seen():
    crop, points = drawn_face()
    eyes = np.zeros((SIZE, SIZE), np.float32)
    eyes[115:125, 58:112] = 1  # 12 px further out than the landmark, of 40
    wider, usual = patch_of(crop, points, Seen(0 * eyes, 0 * eyes, eyes)).inside, patch_of(crop, points).inside
    assert wider.start < usual.start - 8 and wider.stop - usual.stop <= 2


def test_lashes_end_above_the_margin_and_skin_below_the_brow():
    crop, points = drawn_face()
    patch = with_true_margins(patch_of(crop, points))
    lashes = lash_ends(patch)
    middle = slice(patch.inside.start + 20, patch.inside.stop - 20)
    assert (lashes[middle] > 0).all() and (lashes[middle] < 0.5 * patch.height).all()
    skin = patch.image[(patch.upper - lashes - 2).astype(int)[middle], np.arange(middle.start, middle.stop)]
    assert np.abs(skin - np.array([220, 170, 140]) / 255).mean() < 0.08
    ends = skin_ends(patch, patch.image, lashes, 3 * patch.height)
    brow = ((points[17:22, 1].mean() + 1) / 2 * SIZE + 2.5) * 2 + patch.matrix[1, 2]  # its lower edge
    assert (patch.upper - ends)[middle].min() > brow - 1, "no hair of the brow"
    assert ends[middle].min() > lashes[middle].min() + 0.19 * patch.height


def test_the_faint_rim_of_glasses_is_in_front_and_skin_and_lashes_are_not():
    crop, points = drawn_face()
    cv2.line(crop, (60, 102), (120, 102), (5, 5, 5), 3)
    patch = patch_of(crop, points, nothing_seen(worn=0.15))  # the analyser is unsure of the whole region
    rim = int(102.5 * 2 + patch.matrix[1, 2])
    inside = patch.front[:, patch.inside]
    assert inside[rim].min() > 0.9 and inside[rim + 12].max() < 0.1
    assert (patch_of(crop, points, nothing_seen(hair=0.15)).front == 0).all(), "hair may be near without being there"
    assert (patch_of(crop, points, nothing_seen(hair=0.2, worn=0.1)).front == 0).all()
    assert (patch_of(crop, points).front == 0).all(), "nothing is worn"
    for sure in (nothing_seen(hair=1.0), nothing_seen(worn=1.0)):
        assert (patch_of(crop, points, sure).front == 1).all(), "what the analyser is sure of"
