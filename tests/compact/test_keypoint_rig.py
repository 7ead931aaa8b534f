"""Each control moves its keypoints by the requested amount."""

import pytest
import torch

from thgen.compact.keypoint_rig import EYE_RINGS, LID_PAIRS
from thgen.schema import COEFFICIENT_INDEX, COEFFICIENTS


def moved(generator, keypoints, turn=(0, 0, 0), shift=(0, 0, 0), gaze=(0, 0), **shapes):
    rig = generator.rig
    change = torch.zeros(1, len(COEFFICIENTS))
    for name, value in shapes.items():
        change[:, COEFFICIENT_INDEX[name]] = value
    both = torch.tensor([[gaze, gaze]], dtype=torch.float32)
    turn, shift = (torch.tensor([v], dtype=torch.float32) for v in (turn, shift))
    return rig.targets(rig.unpose(keypoints), change, both, turn, shift)


def test_no_change_gives_the_photo_back(generator, keypoints):
    assert torch.allclose(moved(generator, keypoints), keypoints, atol=1e-5)


def test_turning_moves_the_nose_and_leaves_the_shoulders(generator, keypoints):
    out = moved(generator, keypoints, turn=(20, 0, 0))
    assert (out - keypoints)[0, 30, 0] > 0.1
    still = generator.rig.follow == 0
    assert still.any()
    assert torch.allclose(out[0, still], keypoints[0, still], atol=1e-5)


def test_the_turn_is_undone_by_fitting_the_pose(generator, keypoints):
    turned = moved(generator, keypoints, turn=(15, -8, 5))
    back = generator.rig.unpose(turned)
    front = generator.rig.unpose(keypoints)
    rigid = generator.rig.rigid > 0
    assert torch.allclose(back.shape[:, rigid], front.shape[:, rigid], atol=0.15)  # cm


def test_gaze_moves_only_the_eyes(generator, keypoints):
    out = moved(generator, keypoints, gaze=(15, 0))
    change = (out - keypoints).norm(dim=-1)[0]
    eyes = (generator.rig.layer == 1) | (generator.rig.layer == 2)
    assert change[~eyes].max() < 1e-5
    assert (out - keypoints)[0, 68:70, 0].min() > 0.015, "the pupils go to the right"


def test_a_blink_scaled_to_the_person_closes_wide_and_narrow_eyes(generator, keypoints):
    for stretch in (0.7, 1.0, 1.3):
        person = keypoints.clone()
        for ring in EYE_RINGS:
            middle = person[:, ring, 1].mean()
            person[:, ring, 1] = middle + stretch * (person[:, ring, 1] - middle)
        scale = generator.rig.lid_scale(generator.rig.unpose(person))[0]
        out = moved(generator, person, eyeBlink_L=float(scale[0]), eyeBlink_R=float(scale[1]))
        for pairs in LID_PAIRS:
            gap = sum(out[0, low, 1] - out[0, high, 1] for high, low in pairs)
            before = sum(person[0, low, 1] - person[0, high, 1] for high, low in pairs)
            assert abs(gap) < 0.3 * before, f"eyes {stretch} times as high stay open"


def test_openings_vanish_when_turned_inside_out(generator, keypoints):
    (left, sense), *_ = generator.rig.openings(keypoints)
    x, y = left[0].unbind(-1)
    area = ((x * y.roll(-1) - x.roll(-1) * y).sum() / 2) * sense
    assert area > 0
    assert area == pytest.approx(3.14 * 1.65 * 0.95 / 18**2, rel=0.35), "about the ellipse that was cut out"


def test_lids_are_told_apart(generator, layout):
    upper, lower, others = generator.rig.lid_groups()
    assert upper[43] and upper[38] and lower[47] and lower[41] and others[30] and others[8]
    assert not (upper & lower).any() and torch.equal(upper | lower | others, generator.rig.layer == 0)


def test_above_the_lower_lid_the_upper_one_counts(generator, keypoints):
    below = generator.rig.below_lids(keypoints, 128, 0.006)[0, 0]
    at = ((keypoints[0, :, :2] + 1) / 2 * 128).long()
    pupil, cheek = at[68], at[47] + torch.tensor([0, 4])
    assert below[pupil[1], pupil[0]] < 0.05 < 0.9 < below[cheek[1], cheek[0]]
    assert below[at[30, 1], at[30, 0]] == 1, "away from the eyes nothing is gated"


def test_closing_lids_are_those_that_close_and_lie_at_their_eye(generator, keypoints):
    rig, size = generator.rig, 128
    assert rig.closing_lids(keypoints, keypoints, size).max() < 1e-5
    wink = moved(generator, keypoints, eyeBlink_L=1.0)
    lids = rig.closing_lids(keypoints, wink, size)[0, 0]
    at = ((keypoints[0, list(range(42, 48)), :2].mean(0) + 1) / 2 * size).long()
    other = ((keypoints[0, list(range(36, 42)), :2].mean(0) + 1) / 2 * size).long()
    assert lids[at[1], at[0]] > 0.5 and lids[other[1], other[0]] < 0.05
    assert (lids > 0.05).float().mean() < 0.1
