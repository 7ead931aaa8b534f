"""Drawn teeth: real widths, two rows that meet, placed by the line of the closed lips."""

import doctest
import math

import pytest
import torch

from thgen.compact.flow import dentition as dentition_module
from thgen.compact.flow.dentition import CROWN_WIDTHS, Dentition, arch_length, bite_lift, draw_rows
from thgen.compact.flow.teeth import ARC, HEIGHT, TEETH_LAYER, WIDTH
from thgen.compact.keypoint_rig import KeypointRig
from thgen.nn.geometry import rotation_matrix
from thgen.schema import COEFFICIENTS

SCALE = 0.08  # crop half-widths per cm


@pytest.fixture
def rig() -> KeypointRig:
    """68 points that define the pose, lips that meet at y = -3.4, and two rows of six teeth on an arch behind them."""
    generator = torch.Generator().manual_seed(0)
    x = torch.tensor([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])
    rows = [torch.stack([x, torch.full((6,), y), 10.8 - ARC * x**2], 1) for y in (-3.0, -3.9)]
    face = 6 * torch.randn(68, 3, generator=generator)
    face[60:68, 1] = -3.4
    made = KeypointRig(80, 4)
    made.canonical.copy_(torch.cat([face, *rows]))
    made.layer[68:] = TEETH_LAYER
    made.rigid[68:] = 0
    return made


def pixels(size: int) -> torch.Tensor:
    axis = (torch.arange(size) + 0.5) * 2 / size - 1
    return torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1)


def in_crop(rig: KeypointRig, yaw: float = 0.0) -> torch.Tensor:
    turned = rig.canonical @ rotation_matrix(torch.tensor([yaw, 0.0, 0.0])).T * SCALE
    return (turned * torch.tensor([1.0, -1.0, -1.0]))[None]


def test_arch_length_is_the_length_of_a_polyline():
    steps = torch.linspace(0, 2, 20001)
    points = torch.stack([steps, ARC * steps**2], 1)
    length = (points[1:] - points[:-1]).norm(dim=1).sum()
    assert float(arch_length(torch.tensor(2.0))) == pytest.approx(float(length), rel=1e-3)


def test_the_first_tooth_has_its_width():
    row = draw_rows()[0]
    assert row.min() >= 0 and row.max() <= 1 + 1e-6
    high = round((1 - 0.5 / HEIGHT) / 2 * row.shape[1])  # half a centimetre above the edges
    line, step = row[1, high], 2 * WIDTH / row.shape[2]
    dips = [i for i in range(1, len(line) - 1) if line[i] < line[i - 1] and line[i] <= line[i + 1] and line[i] > 0.1]
    first = min(((i + 0.5) * step - WIDTH for i in dips if (i + 0.5) * step - WIDTH > 0.3), key=abs)
    assert float(arch_length(torch.tensor(first))) == pytest.approx(CROWN_WIDTHS[0][0], abs=0.04)


def test_gums_are_redder_than_teeth_and_rows_do_not_cross_their_edges():
    upper, lower = draw_rows()
    middle, half = upper.shape[2] // 2 + 12, upper.shape[1] // 2
    gum, tooth = upper[:, half - 44, middle], upper[:, half - 15, middle]
    assert gum[0] / gum[2] > 1.4 > 1.2 > tooth[0] / tooth[2]
    assert upper[3, half + 4 :].max() < 0.01 and lower[3, : half - 4].max() < 0.01


@pytest.mark.parametrize("yaw", [0.0, 20.0])
def test_the_upper_edge_lies_below_the_line_of_the_lips(rig, yaw):
    target, dentition, size = in_crop(rig, yaw), Dentition(), 256
    lift = bite_lift(rig, rig.unpose(in_crop(rig)), torch.zeros(1, len(COEFFICIENTS)))
    drawn = dentition(rig, target, lift, pixels(size))[0]
    assert drawn.shape == (4, size, size) and bool((drawn[:3] <= drawn[3:] + 1e-5).all())
    front = 10.8 * SCALE * math.sin(math.radians(yaw))
    column = round((front + 1) / 2 * size)
    cover = dentition(rig, target, lift - torch.tensor([0.0, 50.0]), pixels(size))[0, 3, :, column - 3 : column + 3]
    lowest = (cover.amax(1) > 0.5).nonzero().max()
    edge = (float(lowest) + 0.5) / size * 2 - 1
    assert edge == pytest.approx((3.4 + 0.5) * SCALE, abs=0.012), "half a centimetre below the line of the lips"


def test_the_upper_row_hides_the_lower_one(rig):
    target, dentition = in_crop(rig), Dentition()
    both = dentition(rig, target, torch.zeros(1, 2), pixels(128))
    upper = dentition(rig, target, torch.tensor([[0.0, 50.0]]), pixels(128))
    covered = upper[:, 3:] > 0.999
    assert covered.sum() > 50
    assert ((both - upper).abs() * covered).max() < 2e-3


def test_a_head_without_teeth_shows_none():
    rig = KeypointRig(68, 4)
    target = torch.randn(2, 68, 3)
    assert Dentition()(rig, target, torch.zeros(2, 2), pixels(16)).abs().max() == 0
    posed = rig.unpose(target)
    assert bite_lift(rig, posed, torch.zeros(2, len(COEFFICIENTS))).shape == (2, 2)


def test_examples_in_the_docstrings():
    result = doctest.testmod(dentition_module)
    assert result.attempted and not result.failed
