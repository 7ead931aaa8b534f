"""Learned teeth: two rows lie at their keypoints, and nowhere else."""

import pytest
import torch

from thgen.compact.flow.teeth import TEETH_LAYER, Teeth
from thgen.compact.keypoint_rig import KeypointRig
from thgen.nn.geometry import rotation_matrix

SIZE, SCALE = 128, 0.08  # crop half-widths per cm


@pytest.fixture
def head() -> tuple[KeypointRig, torch.Tensor]:
    """A rig of 20 points that define the pose, and two rows of six teeth on an arch, 2 cm apart."""
    generator = torch.Generator().manual_seed(0)
    x = torch.tensor([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])
    rows = [torch.stack([x, torch.full((6,), y), 10.8 - 0.41 * x**2], 1) for y in (-3.0, -5.0)]
    points = torch.cat([6 * torch.randn(20, 3, generator=generator), *rows])
    rig = KeypointRig(len(points), 4)
    rig.canonical.copy_(points)
    rig.layer[20:] = TEETH_LAYER
    rig.rigid[20:] = 0
    return rig, points


def in_crop(points: torch.Tensor, yaw: float = 0.0) -> torch.Tensor:
    """The points in crop coordinates [1 K 3], turned by `yaw` degrees."""
    turned = points @ rotation_matrix(torch.tensor([yaw, 0.0, 0.0])).T * SCALE
    return (turned * torch.tensor([1.0, -1.0, -1.0]))[None]


def at(image: torch.Tensor, point: torch.Tensor) -> torch.Tensor:
    column, row = ((point[:2] + 1) / 2 * SIZE).long()
    return image[..., row, column]


@pytest.mark.parametrize("yaw", [0.0, 25.0, -25.0])
def test_a_mark_on_the_third_tooth_stays_on_it(head, yaw):
    rig, points = head
    teeth = Teeth(1)
    with torch.no_grad():
        teeth.picture.zero_()
        column = int((points[22, 0] / 3.4 + 1) / 2 * 48)
        teeth.picture[0, 0, :, column - 1 : column + 2] = 1
    target = in_crop(points, yaw)
    image = teeth(rig, target, SIZE)
    assert image.shape == (1, 2, SIZE, SIZE)
    values = torch.stack([at(image[0, 0], p) for p in target[0, 20:26]])
    assert values[2] > 0.5
    assert values[[0, 1, 3, 4, 5]].max() < 0.1


def test_each_row_lies_at_its_own_height(head):
    rig, points = head
    teeth = Teeth(1)
    with torch.no_grad():
        teeth.picture.fill_(1)
    target = in_crop(points)
    upper, lower = teeth(rig, target, SIZE)[0]
    assert at(upper, target[0, 22]) > 0.9 and at(lower, target[0, 22]) == 0
    assert at(lower, target[0, 28]) > 0.9 and at(upper, target[0, 28]) == 0
    assert at(upper, torch.tensor([0.0, -0.9])) == 0


def test_the_rows_are_learned(head):
    rig, points = head
    teeth = Teeth()
    teeth(rig, in_crop(points), SIZE).square().mean().backward()
    assert teeth.picture.grad is not None and teeth.picture.grad.abs().sum() > 0


def test_a_head_without_teeth_gives_zeros(head):
    rig, points = head
    rig.layer.zero_()
    assert not Teeth()(rig, in_crop(points), SIZE).any()
