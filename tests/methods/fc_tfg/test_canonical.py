"""Spread of faces: what of a pose and of a mouth it counts, and in which unit."""

import pytest
import torch

from thgen.compact.frozen_generator import load_generator
from thgen.compact.generator import Movement, face_of, targets
from thgen.methods.fc_tfg.canonical import spread_of
from thgen.schema import COEFFICIENT_INDEX


@pytest.fixture(scope="module")
def rig():
    return load_generator({"head": "ellipsoid"}).rig


def faces(rig, turn=None, coefficients=None, count=4):
    """Keypoints of one head after movements: turn [B 3] degrees, coefficients name -> [B]."""
    points = rig.canonical[None] * torch.tensor([1.0, -1.0, -1.0]) / 15
    still = torch.zeros(count, 57)
    for name, values in (coefficients or {}).items():
        still[:, COEFFICIENT_INDEX[name]] = values
    none = torch.zeros(count, 3)
    face = face_of(rig, points, torch.zeros(1, 57), torch.zeros(1, 2, 2))
    move = Movement(still, still, torch.zeros(count, 2, 2), none if turn is None else turn, none, torch.zeros(count, 2))
    return targets(rig, face, move)


def test_one_face_has_no_spread(rig):
    found = spread_of(rig, faces(rig))
    assert max(value for name, value in found.items() if name != "turned") < 1e-3


def test_turned_heads_differ_in_pose_alone(rig):
    still = spread_of(rig, faces(rig))
    turn = torch.zeros(4, 3)
    turn[:, 0] = torch.tensor([-15.0, -5, 5, 15])
    found = spread_of(rig, faces(rig, turn))
    assert found["pose"] == pytest.approx(float(turn[:, 0].std()) / 3, rel=0.05)
    assert found["turned"] == pytest.approx(10 / 2, rel=0.1)
    assert found["mouth"] < 0.1 and still["turned"] < 1


def test_an_open_mouth_counts_and_is_no_pose(rig):
    found = spread_of(rig, faces(rig, coefficients={"jawOpen": torch.tensor([0.0, 0.3, 0.6, 0.9])}))
    assert found["mouth"] > 1 and found["pose"] < 0.1 and found["brows"] < 0.1
    lids = spread_of(rig, faces(rig, coefficients={"eyeBlink_L": torch.tensor([0.0, 0.3, 0.6, 0.9])}))
    assert lids["lids"] > 0.1 and lids["mouth"] < 0.1
