"""Displacements of keypoints that arrive at the keypoints, although the flow between them is a mean."""

import pytest
import torch

from thgen.compact.flow.coarse import FLOW_SIZE, unfolded
from thgen.compact.keypoint_rig import BROWS, EYE_RINGS
from thgen.nn.geometry import to_head_axes
from thgen.nn.sampling import grid
from thgen.schema import COEFFICIENT_INDEX


def arrived(generator, source, target, sharp):
    """What the flow moves each keypoint by [K 2], half-widths."""
    flow = generator.coarse(source, target, FLOW_SIZE, sharp=sharp).flow
    return -torch.nn.functional.grid_sample(flow, target[:, None, :, :2], align_corners=False)[0, :, 0].T


@pytest.mark.parametrize(("name", "points", "axis"), [("browInnerUp", (21, 22), 1), ("mouthStretch_L", (54,), 0)])
def test_features_move_further_towards_where_they_are_asked_to_be(generator, keypoints, name, points, axis):
    number = next(i for n, i in COEFFICIENT_INDEX.items() if n.startswith(name))
    target = keypoints + to_head_axes(generator.rig.basis[number]) / 18
    asked = (target - keypoints)[0, list(points), axis].mean()
    mean, exact = (
        arrived(generator, keypoints, target, sharp)[list(points), axis].mean() / asked
        for sharp in (None, generator.coarse.sharpened(keypoints, target))
    )
    assert mean < 0.95, "a mean with neighbours that move less is smaller"
    assert abs(1 - exact) < 0.75 * (1 - mean)


def test_without_motion_nothing_is_added(generator, keypoints):
    assert (generator.coarse.sharpened(keypoints, keypoints) == keypoints).all()


def test_a_shift_of_the_whole_head_gains_little(generator, keypoints):
    """Neighbours that move alike have a mean that lacks nothing, but at the rim."""
    target = keypoints + torch.tensor([0.1, 0.0, 0.0])
    added = (generator.coarse.sharpened(keypoints, target) - keypoints)[0, 17:68]
    assert added.abs().max() < 0.01


def test_only_the_skin_is_sharpened_and_nothing_in_depth(generator, keypoints):
    rig = generator.rig
    smile = to_head_axes(rig.basis[COEFFICIENT_INDEX["jawOpen"]]) / 18
    added = generator.coarse.sharpened(keypoints, keypoints + 0.5 * smile) - keypoints
    assert added[:, rig.layer != 0].abs().max() == 0
    assert added[..., 2].abs().max() == 0
    assert added.abs().max() > 0.001


def test_one_lip_does_not_pull_the_other(generator, keypoints):
    """The lower lip falls by itself; what is added to the upper one is its own lack, which is nothing."""
    rig, target = generator.rig, keypoints.clone()
    upper, lower = rig.lips()
    target[:, lower, 1] += 0.08
    added = (generator.coarse.sharpened(keypoints, target) - keypoints)[0, :, 1]
    mixing = generator.coarse._mixing((rig.layer == 0).nonzero()[:, 0])
    both = upper[rig.layer == 0].nonzero(), lower[rig.layer == 0].nonzero()
    assert mixing[both[0], both[1].T].max() == 0 and mixing.diagonal().min() == 1
    assert added[upper].abs().max() == pytest.approx(0, abs=0.005)


def test_a_keypoint_behind_the_face_is_not_sharpened(generator, keypoints):
    """What lies behind cannot be seen, and the flow there is that of the face before it."""
    source = keypoints.clone()
    ear = 0  # an end of the jaw's outline
    source[:, ear] = source[:, 30] + torch.tensor([0.0, 0.0, 2.0])
    target = source.clone()
    target[:, ear, 0] += 0.1
    added = generator.coarse.sharpened(source, target) - source
    assert added[0, ear].abs().max() < 1e-6


def test_a_brow_that_rises_far_does_not_carry_the_lids_edge_up(generator, keypoints):
    """From the lid up to the brow, the flow leads to ever higher places of the photo."""
    ring, brow = EYE_RINGS[0], list(BROWS[0])
    target = keypoints.clone()
    lid = keypoints[0, list(ring[1:3]), :2].mean(0)
    height = float(lid[1] - keypoints[0, brow, 1].mean())
    target[:, brow, 1] -= 1.2 * height
    axis = grid(256, torch.device("cpu"))
    flow = torch.zeros(1, 2, 256, 256)
    flow[:, 1, axis < lid[1] - 0.3 * height] = 1.1 * height  # a step: what lies above it shows the lid again

    def shown(flow):
        rows = (axis < lid[1]) & (axis > lid[1] - 2 * height)
        column = int((axis - lid[0]).abs().argmin())
        return (axis + flow[0, 1, :, column])[rows]

    assert shown(flow).diff().min() < -0.5 * height, "the flow given folds"
    assert shown(unfolded(flow, keypoints, target)).diff().min() > -0.1 * height
    assert (unfolded(flow, keypoints, keypoints) == flow).all(), "without raised brows nothing changes"


def test_the_skin_below_a_raised_brow_stretches_evenly_and_the_lashes_stay(generator, keypoints):
    """Kernels alone stretch it only just below the brow."""
    ring, brow, size = EYE_RINGS[0], list(BROWS[0]), 256
    lid = keypoints[0, list(ring[1:3]), :2].mean(0)
    height = float(lid[1] - keypoints[0, brow, 1].mean())
    target = keypoints.clone()
    target[:, brow, 1] -= height
    sharp = generator.coarse.sharpened(keypoints, target)
    flow = generator.coarse(keypoints, target, size, sharp=sharp).flow
    axis = grid(size, torch.device("cpu"))
    rows = (axis < lid[1] - 0.02 * height) & (axis > lid[1] - 1.8 * height)
    column = int((axis - lid[0]).abs().argmin())
    shown = ((lid[1] - axis - flow[0, 1, :, column]) / height)[rows].flip(0)
    assert shown.diff().min() > 0
    assert 0.4 < shown[len(shown) // 2] < 0.7, "half way up to the brow the photo is seen half way up"
    moved = flow[0, 1, :, column][(axis < lid[1]) & (axis > lid[1] - 0.1 * height)]
    assert moved.abs().max() < 0.15 * height
