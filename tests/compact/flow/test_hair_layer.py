"""Hair moves with the head: the rigid flow against rotations computed by hand."""

import math

import pytest
import torch

from thgen.compact.flow.hair_layer import CENTRE, GRID, RADII, hair_layer, rigid_flow
from thgen.nn.geometry import rotation_matrix, to_head_axes


def turned(keypoints, angles, shift=(0.0, 0.0)):
    """Keypoints [1 K 3] with the whole head turned about the origin of the crop, and shifted in it."""
    own = to_head_axes(keypoints)
    out = to_head_axes(own @ rotation_matrix(torch.tensor(angles)).T)
    out[..., :2] += torch.tensor(shift)
    return out


def pixel(x, y):
    return int((y + 1) / 2 * GRID), int((x + 1) / 2 * GRID)


def test_without_motion_the_flow_is_zero(generator, keypoints):
    assert rigid_flow(generator.rig, keypoints, keypoints).abs().max() < 1e-5


def test_roll_is_a_rotation_of_the_image_at_any_depth(generator, keypoints):
    flow = rigid_flow(generator.rig, keypoints, turned(keypoints, [0.0, 0.0, 10.0]))[0]
    c, s = math.cos(math.radians(10)), math.sin(math.radians(10))
    for x, y in ((0.0, -0.5), (0.4, -0.6), (-0.5, -0.2)):
        row, column = pixel(x, y)
        x, y = (column + 0.5) / GRID * 2 - 1, (row + 0.5) / GRID * 2 - 1
        back = (c * x + s * y, -s * x + c * y)  # positive roll is clockwise on the screen
        assert flow[:, row, column].tolist() == pytest.approx([back[0] - x, back[1] - y], abs=2e-3)


def test_yaw_moves_each_place_by_its_depth(generator, keypoints):
    target = turned(keypoints, [12.0, 0.0, 0.0])
    flow = rigid_flow(generator.rig, keypoints, target)[0]
    posed = generator.rig.unpose(keypoints)
    size, middle = posed.scale[0], (posed.rotation[0] @ torch.tensor(CENTRE)) * posed.scale[0] + posed.shift[0]
    for x, y in ((0.05, -0.35), (0.25, -0.45), (-0.3, -0.5)):
        row, column = pixel(x, y)
        here = torch.tensor([(column + 0.5) / GRID * 2 - 1, (row + 0.5) / GRID * 2 - 1])
        place = here + flow[:, row, column]  # in the photo
        away = (place * torch.tensor([1.0, -1.0]) - middle[:2]) / size
        inside = max(0.0, 1 - float((away[0] / RADII[0]) ** 2 + (away[1] / RADII[1]) ** 2))
        point = torch.tensor([place[0], -place[1], middle[2] + size * RADII[2] * math.sqrt(inside)])
        there = rotation_matrix(torch.tensor([12.0, 0.0, 0.0])) @ point
        assert torch.stack([there[0], -there[1]]).tolist() == pytest.approx(here.tolist(), abs=0.02)


def test_long_hair_moves_less_towards_the_shoulders(generator, keypoints):
    flow = rigid_flow(generator.rig, keypoints, turned(keypoints, [0.0, 0.0, 10.0], shift=(0.1, 0.0)))[0]
    size = flow.norm(dim=0)
    column = GRID // 6
    assert size[GRID // 3, column] > 0.05 and size[-1, column] < 0.2 * size[GRID // 3, column]


def test_the_weight_is_high_where_the_motion_brings_hair(generator, keypoints):
    hair = torch.zeros(1, 1, GRID, GRID)
    hair[..., :16, 24:40] = 1
    layer = hair_layer(generator.rig, keypoints, keypoints + torch.tensor([0.25, 0.0, 0.0]), hair)
    assert layer.weight[0, 0, 4, 40:46].min() > 0.9 and layer.weight[0, 0, 4, 26:30].max() < 0.1


def test_the_coarse_flow_of_hair_far_from_any_keypoint(generator, keypoints):
    target = keypoints + torch.tensor([0.2, 0.0, 0.0])
    hair = torch.zeros(1, 1, GRID, GRID)
    hair[..., :6, :] = 1
    without = generator.coarse(keypoints, target)
    within = generator.coarse(keypoints, target, hair=hair_layer(generator.rig, keypoints, target, hair))
    assert without.flow[0, 0, 2, 100].abs() < 0.08
    assert within.flow[0, 0, 2, 100] == pytest.approx(-0.2, abs=0.03) and within.cover[0, 0, 2, 100] > 0.8
    nose = ((target[0, 30, :2] + 1) / 2 * 128).long()
    assert torch.allclose(within.flow[0, :, nose[1], nose[0]], without.flow[0, :, nose[1], nose[0]], atol=1e-4)


def test_geometry_stays_in_float32_under_autocast(generator, keypoints):
    target, hair = turned(keypoints, [12.0, 0.0, 0.0]), torch.rand(1, 1, GRID, GRID)
    plain = hair_layer(generator.rig, keypoints, target, hair)
    with torch.autocast("cpu", torch.bfloat16):
        half = hair_layer(generator.rig, keypoints, target, hair)
    assert half.flow.dtype == torch.float32 and torch.equal(half.flow, plain.flow)
