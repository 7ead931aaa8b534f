"""Tiles: placed by points that expressions hardly move, cut without a shift, and points map there and back."""

import numpy as np
import pytest
import torch

from thgen.encoder import tiles as tl
from thgen.encoder.tiles import NAMES, TILES, Shake, cut, frames_of, labels_in, shaken, to_crop, to_tile


def turned(points, degrees, scale=1.0, shift=(0.0, 0.0)):
    """Keypoints [B K 3], turned clockwise, scaled and shifted in the picture."""
    angle = torch.deg2rad(torch.tensor(degrees))
    turn = torch.tensor([[angle.cos(), -angle.sin()], [angle.sin(), angle.cos()]])
    return torch.cat([scale * points[..., :2] @ turn.T + torch.tensor(shift), scale * points[..., 2:]], -1)


def test_points_of_a_tile_map_to_the_crop_and_back(keypoints):
    frames = frames_of(turned(keypoints, 25.0, 1.2, (0.1, -0.05)))
    points = torch.rand(1, 9, 2) - 0.5
    for number in range(len(NAMES)):
        assert torch.allclose(to_tile(to_crop(points, frames[:, number]), frames[:, number]), points, atol=1e-5)


def test_tiles_follow_a_turned_scaled_and_shifted_face(keypoints):
    still = frames_of(keypoints)
    moved = frames_of(turned(keypoints, 25.0, 1.2, (0.1, -0.05)))
    assert torch.allclose(moved[..., 2], 1.2 * still[..., 2], rtol=1e-4)
    assert torch.allclose(moved[..., 3] - still[..., 3], torch.deg2rad(torch.tensor(25.0)).expand(1, 5), atol=1e-4)
    centre = torch.cat([still[..., :2], torch.zeros(1, 5, 1)], -1)
    assert torch.allclose(moved[..., :2], turned(centre, 25.0, 1.2, (0.1, -0.05))[..., :2], atol=1e-4)


def test_lids_brows_and_jaw_neither_shrink_nor_turn_a_tile_and_only_the_mouths_follows(keypoints):
    still = frames_of(keypoints)
    moved = keypoints.clone()
    moved[:, [37, 38, 43, 44], 1] += 0.05  # lids close
    moved[:, 17:27, 1] -= 0.1  # brows rise
    moved[:, list(tl.MOUTH), 1] += 0.2  # the mouth opens
    open_ = frames_of(moved)
    mouth = NAMES.index("mouth")
    others = [n for n in range(len(NAMES)) if n != mouth]
    assert torch.allclose(open_[:, others], still[:, others], atol=1e-6)
    assert open_[0, mouth, 1] - still[0, mouth, 1] == pytest.approx(0.1, abs=1e-5)
    assert torch.equal(open_[:, mouth, 2:], still[:, mouth, 2:])


@pytest.mark.parametrize("side", [128, 256, 320, 512])
@pytest.mark.parametrize("name", NAMES)
def test_a_dot_appears_where_its_point_maps_to(keypoints, name, side):
    frames = frames_of(turned(keypoints, 12.0))
    tile, frame = TILES[name], frames[:, NAMES.index(name)]
    dot = to_crop(torch.tensor([[[0.3, -0.2 * tile.tall]]]), frame)[0, 0]
    axis = (torch.arange(side) + 0.5) / side * 2 - 1
    away = (axis[None] - dot[0]) ** 2 + (axis[:, None] - dot[1]) ** 2
    image = torch.exp(-away / (2 * (0.08 * frame[0, 2]) ** 2)).expand(1, 3, -1, -1)
    shown = cut(image, frames)[name][0, 0]
    assert shown.shape == (tile.rows, tile.columns)
    rows = (torch.arange(tile.rows) + 0.5) / tile.rows * 2 - 1
    columns = (torch.arange(tile.columns) + 0.5) / tile.columns * 2 - 1
    assert float((shown.sum(0) * columns).sum() / shown.sum()) == pytest.approx(0.3, abs=0.03)
    assert float((shown.sum(1) * rows).sum() / shown.sum()) == pytest.approx(-0.2, abs=0.03)


def test_a_fine_pattern_is_averaged_and_does_not_alias(keypoints):
    side = 512
    stripes = ((torch.arange(side) // 2) % 2 * 2.0 - 1).expand(1, 3, side, side).contiguous()
    face = cut(stripes, frames_of(keypoints))["face"]
    assert face.abs().mean() < 0.3


def test_labels_are_those_of_the_pixels_and_beside_the_crop_nothing(keypoints):
    labels = torch.zeros(1, 160, 160, dtype=torch.uint8)
    labels[:, 80:] = 7
    frames = frames_of(keypoints)
    frames[:, 0, :2] = 0
    frames[:, 0, 2] = 0.5
    shown = labels_in("face", labels, frames[:, 0], 4)
    assert shown.shape == (1, 24, 24)
    assert (shown[:, :12] == 0).all() and (shown[:, 12:] == 7).all()
    frames[:, 0, 0] = 5.0
    assert (labels_in("face", labels, frames[:, 0], 4) == -1).all()


def test_shaking_repeats_with_its_seed_and_stays_within_its_limits(keypoints):
    frames = frames_of(keypoints).expand(400, -1, -1)
    shake = Shake()
    one, again = (shaken(np.random.default_rng(3), frames, shake) for _ in range(2))
    assert torch.equal(one, again)
    zoom = (one[..., 2] / frames[..., 2]).log().abs().amax(0)
    turn = torch.rad2deg((one[..., 3] - frames[..., 3]).abs()).amax(0)
    assert (zoom <= sum(shake.zoom) + 1e-4).all() and (zoom > 0.8 * sum(shake.zoom)).all()
    assert (turn <= sum(shake.turn) + 1e-3).all() and (turn > 0.8 * sum(shake.turn)).all()
    shift = (one - frames)[..., :2].abs() / frames[:, :1, 2:3]
    assert shift[:, 0].amax() <= sum(shake.shift) + 1e-4


def test_the_mouth_tile_lies_too_high_more_often_than_too_low(keypoints):
    frames = frames_of(keypoints).expand(2000, -1, -1)
    moved = (shaken(np.random.default_rng(0), frames, Shake()) - frames)[:, NAMES.index("mouth"), 1]
    assert moved.mean() < -0.003 and (moved > 0).float().mean() > 0.2


def test_corners_are_those_of_the_eyes():
    assert {tl.CORNERS[1]} < set(tl.EYE_CORNERS[0]) and {tl.CORNERS[0]} < set(tl.EYE_CORNERS[1])
