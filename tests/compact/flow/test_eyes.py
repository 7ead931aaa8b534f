"""Eyes: the iris moves, the corners stay, and uncovered places show white and not the lid beside them."""

import torch

from thgen.compact.flow.eyes import sample_between_lids
from thgen.compact.flow.network import BASE, FLOW_SIZE, MOTION
from thgen.compact.flow.openings import polygon_distance
from thgen.compact.keypoint_rig import EYE_RINGS
from thgen.nn.sampling import resize, warp


def looking(rig, keypoints, yaw, pitch=0.0):
    """Keypoints of the same face, both eyes turned."""
    gaze = torch.tensor([[[float(yaw), pitch]] * 2])
    still = torch.zeros(1, 3)
    return rig.targets(rig.unpose(keypoints), torch.zeros(1, 57), gaze, still, still)


def lids(rig, keypoints):
    return torch.cat([polygon_distance(outline, sign, FLOW_SIZE) for outline, sign in rig.openings(keypoints)[:2]], 1)


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


def test_places_inside_an_eye_sample_between_the_lids_of_the_photo(generator, keypoints):
    rig = generator.rig
    target = looking(rig, keypoints, 30)
    photo, now = lids(rig, keypoints), lids(rig, target)
    flow = generator.coarse(keypoints, target, BASE).flow
    led = sample_between_lids(rig, keypoints, target, flow, now)
    inside = resize(now, BASE).amax(1) > 0
    outside = [((warp(photo.amax(1, keepdim=True), f)[:, 0] < 0) & inside).sum().item() for f in (flow, led)]
    assert outside[0] > 30 and outside[1] < 0.1 * outside[0]
    assert torch.equal(flow[:, :, ~inside[0]], led[:, :, ~inside[0]]), "the flow of the skin does not change"


def test_the_generator_samples_between_the_lids(generator, keypoints):
    target = looking(generator.rig, keypoints, 30)
    photo, inside = lids(generator.rig, keypoints).amax(1, keepdim=True), lids(generator.rig, target).amax(1) > 0
    flows = generator.coarse(keypoints, target).flow, generator(torch.rand(1, 3, BASE, BASE), keypoints, target,
                                                                torch.zeros(1, MOTION)).flow  # fmt: skip
    outside = [((warp(photo, flow)[:, 0] < 0) & inside).sum().item() for flow in flows]
    assert outside[0] > 6 and outside[1] < 0.2 * outside[0]


def test_the_flow_hardly_changes_for_an_eye_that_looks_up_or_does_not_move(generator, keypoints):
    rig = generator.rig
    for target in (keypoints, looking(rig, keypoints, 0, 15)):
        flow = generator.coarse(keypoints, target, BASE).flow
        led = sample_between_lids(rig, keypoints, target, flow, lids(rig, target))
        assert torch.allclose(led, flow, atol=2e-3 if target is not keypoints else 1e-6)
