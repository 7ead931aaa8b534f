"""Eyes without layers: the iris moves, and the corners stay."""

import torch

from thgen.compact.flow.network import BASE
from thgen.compact.keypoint_rig import EYE_RINGS


def looking(rig, keypoints, yaw, pitch=0.0):
    """Keypoints of the same face, both eyes turned."""
    gaze = torch.tensor([[[float(yaw), pitch]] * 2])
    still = torch.zeros(1, 3)
    return rig.targets(rig.unpose(keypoints), torch.zeros(1, 57), gaze, still, still)


def at(values, points):
    """Maps [1 C S S] at points [n 2]: [n C]."""
    return torch.nn.functional.grid_sample(values, points[None, :, None], align_corners=False)[0, :, :, 0].T


def test_an_iris_moves_and_the_corners_of_its_eye_stay(generator, keypoints):
    rig = generator.rig
    target = looking(rig, keypoints, 20)
    flow = generator.coarse(keypoints, target, BASE).flow
    for layer, ring in zip((1, 2), EYE_RINGS, strict=True):
        ball = (rig.layer == layer).nonzero()[:, 0]
        middle = target[0, ball, :2].mean(0)
        asked = (keypoints - target)[0, ball, 0].mean()
        assert torch.allclose(at(flow, middle[None])[0, 0], asked, atol=0.2 * float(asked.abs()))
        inward = 0.9 * keypoints[0, [ring[0], ring[3]], :2] + 0.1 * keypoints[0, list(ring), :2].mean(0)
        assert at(flow, inward)[:, 0].abs().max() < 0.5 * asked.abs(), "the white stretches"
