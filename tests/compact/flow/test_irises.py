"""Turned eyes: the iris moves its whole way, stays behind the lids, and nothing changes without a turn."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from tests.compact.drawn_eyes import CENTRES, RADIUS, ROW, drawn_eyes, drawn_keypoints
from thgen.compact.eye_patch import Seen, cut_patches
from thgen.compact.flow.irises import TRAVEL, TurnedEyes, looking, moved_disk, squash
from thgen.compact.iris_layers import cut_irises

SIZE = 256
WHOLE = (slice(0, SIZE), slice(0, SIZE))


@pytest.fixture(scope="module")
def layers():
    none = np.zeros((64, 64), np.float32)
    points, balls = drawn_keypoints()
    crop = drawn_eyes()
    patches = [true for _, true in cut_patches(crop, points[:68], Seen.of(len(crop), none, none, none))]
    return cut_irises(patches, len(crop), points, balls, np.eye(3), np.zeros((2, 2)))


def picture(shift=(0, 0)):
    return torch.from_numpy(drawn_eyes(shift)).permute(2, 0, 1)[None].float() / 127.5 - 1


def turned(layers, turn, image=None, flow=None):
    """The drawn face [B 3 256 256] after `turn` [B 2 2]."""
    turn = torch.tensor(turn, dtype=torch.float32)
    count = len(turn)
    target = torch.from_numpy(drawn_keypoints()[0]).float()[None].expand(count, -1, -1)
    flow = torch.zeros(count, 2, 64, 64) if flow is None else flow
    eyes = TurnedEyes(layers.expand(count), turn, target, flow)
    return eyes.over((picture() if image is None else image).expand(count, -1, -1, -1).clone(), WHOLE, SIZE)


def dark(image, eye):
    """Centre (x, y) of what is as dark as an iris around an eye, below the lashes."""
    x, half = CENTRES[eye], 24
    part = image[0, :, ROW - 4 : ROW + 12, x - half : x + half].mean(0) < -0.2
    y, x = part.nonzero().float().mean(0).tolist()
    return x - half + CENTRES[eye] + 0.5, y + ROW - 4 + 0.5


def test_without_a_turn_no_bit_changes_and_each_eye_turns_alone(layers):
    assert torch.equal(turned(layers, [[[0, 0], [0, 0]]]), picture())
    one = turned(layers, [[[15, 0], [0, 0]], [[0, 0], [0, 0]]])
    assert torch.equal(one[1:], picture()), "another frame of the same clip"
    assert torch.equal(one[0, :, :, :128], picture()[0, :, :, :128]), "the other eye"
    assert (one[0] - picture()[0]).abs().max() > 0.5


@pytest.mark.parametrize("yaw", [-15, 10, 20])
def test_an_iris_moves_as_far_as_a_ball_turns_it(layers, yaw):
    image = turned(layers, [[[yaw, 0], [yaw, 0]]])
    way = TRAVEL * RADIUS * np.sin(np.deg2rad(yaw))
    for eye, x in enumerate(CENTRES):
        before, after = dark(picture(), eye), dark(image, eye)
        assert after[0] - before[0] == pytest.approx(way, rel=0.15) and abs(after[1] - before[1]) < 1
        assert before[0] == pytest.approx(x, abs=1)


def test_it_looks_like_an_eye_that_was_drawn_so(layers):
    way = TRAVEL * RADIUS * np.sin(np.deg2rad(18))
    image, true = turned(layers, [[[18, 0], [18, 0]]]), picture((way, 0))
    error, change = ((image - x).square().mean() for x in (true, picture()))
    assert error < 0.3 * change


def test_nothing_leaves_the_opening_of_the_lids(layers):
    for turn in ([30, 0], [-30, 0], [0, 20], [0, -20], [30, 25]):
        change = (turned(layers, [[turn, turn]]) - picture()).abs().amax((0, 1)) > 0.04
        y, x = np.mgrid[:SIZE, :SIZE] + 0.5
        inside = np.minimum(*(((x - c) / 26) ** 2 + ((y - ROW) / 13) ** 2 for c in CENTRES)) < 1
        assert change.any() and not (change & ~torch.from_numpy(inside)).any(), turn


def test_the_eyes_move_with_the_head(layers):
    shift = torch.zeros(1, 2, 64, 64)
    shift[:, 0] = -2 * 4 / SIZE  # everything moves right by 4 px
    image = turned(layers, [[[15, 0], [15, 0]]], picture().roll(4, 3), shift)
    still = turned(layers, [[[15, 0], [15, 0]]])
    assert (image[..., 8:] - still.roll(4, 3)[..., 8:]).abs().max() < 0.02


def test_a_disk_stops_softly_and_looks_narrow_from_the_side():
    place = torch.tensor([[50.0, 40.0, 10.0, 30.0, 62.0, 35.0, 45.0]])
    ahead = looking(torch.eye(3)[None], torch.zeros(1, 2))
    turns = [looking(torch.eye(3)[None], torch.tensor([[yaw, 0.0]])) for yaw in (0.0, 5.0, 15.0, 30.0, 60.0)]
    ways = [float(moved_disk(place, ahead, turn)[0, 0] - 50) for turn in turns]
    assert ways[0] == 0 and ways[1] == pytest.approx(TRAVEL * 10 * np.sin(np.deg2rad(5)), rel=1e-4)
    assert all(a < b for a, b in pairwise(ways)) and ways[-1] < 12
    assert torch.allclose(squash(ahead), torch.eye(2)[None])
    assert torch.allclose(
        squash(turns[3])[0], torch.diag(torch.tensor([np.cos(np.deg2rad(30)), 1.0])).float(), atol=1e-5
    )
