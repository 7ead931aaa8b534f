"""Rotations, Euler angles and similarity fits."""

import doctest

import pytest
import torch

from thgen.nn import geometry
from thgen.nn.geometry import euler_angles, fit_similarity, rotation_matrix, to_head_axes


def test_euler_angles_is_the_inverse_of_rotation_matrix():
    angles = torch.tensor([[10.0, -20.0, 30.0], [-45.0, 15.0, -5.0], [0.0, 0.0, 0.0]])
    assert torch.allclose(euler_angles(rotation_matrix(angles)), angles, atol=1e-3)


@pytest.mark.parametrize(("angles", "axis", "sign"), [((20.0, 0, 0), 0, 1), ((0, 20.0, 0), 1, 1)])
def test_positive_yaw_and_pitch_move_the_nose_right_and_up(angles, axis, sign):
    nose = torch.tensor([0.0, 0.0, 1.0])  # towards the viewer
    assert sign * (rotation_matrix(torch.tensor(angles)) @ nose)[axis] > 0.3


def test_positive_roll_is_clockwise_on_the_screen():
    top = rotation_matrix(torch.tensor([0.0, 0.0, 20.0])) @ torch.tensor([0.0, 1.0, 0.0])
    assert top[0] > 0.3, "the top of the head goes to the right"


def test_fit_finds_the_similarity_and_ignores_points_of_weight_zero():
    torch.manual_seed(0)
    source = torch.randn(2, 30, 3)
    rotation = rotation_matrix(torch.tensor([[12.0, -7.0, 33.0], [-30.0, 4.0, 0.0]]))
    target = 0.3 * source @ rotation.mT + torch.tensor([0.1, -0.2, 0.5])
    target[:, -1] += 10
    weight = torch.ones(30)
    weight[-1] = 0
    scale, found, shift = fit_similarity(source, target, weight)
    assert torch.allclose(scale, torch.full((2,), 0.3), atol=1e-5)
    assert torch.allclose(found, rotation, atol=1e-5)
    assert torch.allclose(shift, torch.tensor([0.1, -0.2, 0.5]).expand(2, 3), atol=1e-5)


def test_fit_to_a_mirrored_cloud_is_a_rotation():
    source = torch.randn(1, 20, 3, generator=torch.Generator().manual_seed(1))
    _, rotation, _ = fit_similarity(source, source * torch.tensor([-1.0, 1.0, 1.0]), torch.ones(20))
    assert torch.linalg.det(rotation)[0] == pytest.approx(1, abs=1e-4)


def test_to_head_axes_is_its_own_inverse():
    points = torch.randn(3, 5, 3)
    assert torch.equal(to_head_axes(to_head_axes(points)), points)


def test_examples_in_the_docstrings():
    result = doctest.testmod(geometry)
    assert result.attempted and not result.failed
