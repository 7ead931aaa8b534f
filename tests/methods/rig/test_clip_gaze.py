"""Irises moved by known angles on the bundled rig: each eye, on turned heads, with a bias."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from thgen.compact.flow.network import GuidedFlow
from thgen.compact.keypoint_rig import KeypointRig
from thgen.methods.rig.clip_gaze import centred, clip_gaze, iris_gaze
from thgen.nn.geometry import rotation_matrix, to_head_axes
from thgen.weights.hub import Networks

FRAMES = 12


@pytest.fixture(scope="module")
def rig() -> KeypointRig:
    flow = Networks("cpu").get("rig")
    assert isinstance(flow, GuidedFlow)
    return flow.rig


def seen(rig: KeypointRig, gaze: Tensor, yaw: float = 0.0) -> Tensor:
    """Keypoints [T K 3] of eyes with this gaze [T 2 2] on a head turned by yaw, degrees."""
    shape = rig.canonical.expand(len(gaze), -1, -1)
    for side, layer in enumerate((1, 2)):
        on_ball = (rig.layer == layer).float()[None, :, None]
        shape = shape + on_ball * torch.einsum("ta,akj->tkj", gaze[:, side], rig.gaze_basis)
    turn = rotation_matrix(torch.tensor([[yaw, 0.0, 0.0]]))
    return to_head_axes(torch.einsum("tij,tkj->tki", turn.expand(len(gaze), -1, -1), shape) / 15)


def track(left: float, right: float) -> Tensor:
    """Gaze [FRAMES 2 2]: straight ahead, then these yaws for the last third of the frames."""
    gaze = torch.zeros(FRAMES, 2, 2)
    gaze[2 * FRAMES // 3 :, 0, 0], gaze[2 * FRAMES // 3 :, 1, 0] = left, right
    return gaze


@pytest.mark.parametrize("yaw", [0.0, 30.0, -30.0])
def test_the_irises_tell_the_gaze_also_of_a_turned_head(rig: KeypointRig, yaw: float) -> None:
    gaze = track(12.0, 12.0)
    keypoints = seen(rig, gaze, yaw)
    assert (iris_gaze(rig, keypoints, rig.unpose(keypoints)) - gaze).abs().max() < 1.0


def test_crossed_eyes_stay_crossed(rig: KeypointRig) -> None:
    """Although the analyser reads the same gaze for both."""
    keypoints = seen(rig, track(-15.0, 15.0))
    found = clip_gaze(rig, keypoints, rig.unpose(keypoints), torch.zeros(FRAMES, 4))
    assert found[-1, 0] < -11 and found[-1, 2] > 11 and found[0].abs().max() < 1


def test_a_little_apart_is_noise(rig: KeypointRig) -> None:
    keypoints = seen(rig, track(11.0, 9.0))
    read = torch.zeros(FRAMES, 4)
    read[2 * FRAMES // 3 :, [0, 2]] = 10.0
    found = clip_gaze(rig, keypoints, rig.unpose(keypoints), read)
    assert found[-1, 0] == found[-1, 2] and found[-1, 0].item() == pytest.approx(10, abs=0.5)


def test_a_bias_is_removed_and_a_look_aside_stays() -> None:
    steady = torch.tensor([[4.0, 9.0, 5.0, 9.0]]).expand(20, -1)
    assert centred(steady).abs().max() == 0
    aside = torch.tensor([[30.0, 0.0, 30.0, 0.0]]).expand(20, -1)
    assert centred(aside)[:, 0].tolist() == [24.0] * 20
