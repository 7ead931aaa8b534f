"""Clips made of known coefficients: what the fit finds, what a rest is, what stays apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from thgen.analyser.network import Analysis
from thgen.compact.flow.network import GuidedFlow
from thgen.compact.keypoint_rig import KeypointRig
from thgen.encoder.network import Encoded
from thgen.encoder.reader import ReadFaces
from thgen.methods.rig.clip_motion import (
    LOWEST,
    as_read,
    clip_factors,
    explain,
    measurements,
    openness,
    quiet_frames,
    rest_weights,
)
from thgen.nn.coefficients import place
from thgen.nn.geometry import rotation_matrix, to_head_axes
from thgen.schema import COEFFICIENT_INDEX, COEFFICIENTS, EXPRESSION_COEFFICIENTS, FACTORS, LIP_COEFFICIENTS
from thgen.weights.hub import Networks

FRAMES = 40


@pytest.fixture(scope="module")
def rig() -> KeypointRig:
    """The bundled one, which has a real head's lids and lips."""
    flow = Networks("cpu").get("rig")
    assert isinstance(flow, GuidedFlow)
    return flow.rig


def weights(**values: float | Tensor) -> Tensor:
    """Coefficients [FRAMES 57]: numbers for all frames, or one number per frame."""
    out = torch.zeros(FRAMES, len(COEFFICIENTS))
    for name, value in values.items():
        out[:, COEFFICIENT_INDEX[name]] = torch.as_tensor(value)
    return out


def bump(height: float) -> Tensor:
    """[FRAMES]: 0, with one hump of this height in the middle."""
    return height * torch.exp(-0.5 * ((torch.arange(FRAMES) - FRAMES / 2) / 3) ** 2)


def faces(
    shape: Tensor, pose: Tensor | None = None, read: Tensor | None = None, gaze: Tensor | None = None
) -> ReadFaces:
    """What networks without errors would say of shapes [T K 3], heads turned by pose [T 3]. read: coefficients."""
    pose = torch.zeros(len(shape), 3) if pose is None else pose
    points = torch.einsum("tij,tkj->tki", rotation_matrix(pose), shape) / 15
    still = torch.zeros(len(shape), 57) if read is None else read
    gaze = torch.zeros(len(shape), 2, 2) if gaze is None else gaze
    opened, keypoints = torch.full((len(shape), 2), 100.0), to_head_axes(points)
    said = Analysis(keypoints, pose, gaze, opened, still, torch.zeros(len(shape)), keypoints)
    return ReadFaces(said, Encoded(torch.zeros(len(shape), 1), keypoints, keypoints, torch.zeros(len(shape), 5, 4)))


def moved(rig: KeypointRig, change: Tensor, person: Tensor | float = 0.0) -> Tensor:
    return rig.canonical + person + torch.einsum("tc,ckj->tkj", change, rig.basis)


def entry(factors: dict[str, Tensor], factor: str, name: str) -> Tensor:
    return factors[factor][:, FACTORS[factor].dims.index(name)]


@pytest.mark.parametrize(
    ("factor", "name", "height"),
    [("lip", "jawOpen", 0.6), ("expression", "mouthSmile_L", 0.7), ("expression", "browOuterUp_R", 0.8)],
)
def test_a_shape_is_found_on_any_person_and_alone(rig: KeypointRig, factor: str, name: str, height: float) -> None:
    """The person's own proportions, here random, cancel in the change."""
    person = 0.3 * torch.randn(rig.canonical.shape, generator=torch.Generator().manual_seed(1))
    true = weights(**{name: bump(height)})
    found = clip_factors(rig, faces(moved(rig, true, person)))
    peak = entry(found, factor, name)
    assert int(peak.argmax()) == FRAMES // 2, "no lag"
    asked = place(found["lip"], LIP_COEFFICIENTS) + place(found["expression"], EXPRESSION_COEFFICIENTS)
    seen, wanted = (
        (w[FRAMES // 2] - w[0]) @ rig.basis.flatten(1) @ measurements(rig).flatten(1).T for w in (asked, true)
    )
    assert (seen - wanted).norm() < 0.3 * wanted.norm(), "what can be measured in the face arrives"
    assert (found["blink"] - found["blink"][:1]).abs().max() < 12


def test_each_side_is_apart(rig: KeypointRig) -> None:
    wink = clip_factors(rig, faces(moved(rig, weights(eyeBlink_L=bump(1.0)))))["blink"]
    assert wink[FRAMES // 2, 0] < 25 and wink[FRAMES // 2, 1] > 90
    assert wink[0].tolist() == pytest.approx([100, 100], abs=2)
    brow = clip_factors(rig, faces(moved(rig, weights(browOuterUp_L=bump(0.8)))))
    assert entry(brow, "expression", "browOuterUp_L").max() > 0.4
    assert entry(brow, "expression", "browOuterUp_R").max() < 0.15


def test_a_small_eye_closes_too(rig: KeypointRig) -> None:
    """Openness is relative to the eye's own open state."""
    small = weights(eyeBlink_L=0.4 + 0.6 * bump(1.0), eyeBlink_R=0.4 + 0.6 * bump(1.0))
    blink = clip_factors(rig, faces(moved(rig, small)))["blink"]
    assert blink[0].tolist() == pytest.approx([100, 100], abs=3) and blink[FRAMES // 2].max() < 25


def test_a_sleeper_is_not_awake(rig: KeypointRig) -> None:
    """Eyes that stay closed are closed, although no frame shows them open."""
    blink = clip_factors(rig, faces(moved(rig, weights(eyeBlink_L=0.95, eyeBlink_R=0.95))))["blink"]
    assert blink.max() < 30


def test_a_shout_that_lasts_is_a_shout(rig: KeypointRig) -> None:
    """The mouth never closes, so its opening at rest counts, even if the analyser reads it as closed."""
    for read in (0.0, 0.3, 0.9):
        shout = faces(moved(rig, weights(jawOpen=0.5)), read=weights(jawOpen=read))
        jaw = entry(clip_factors(rig, shout), "lip", "jawOpen")
        assert jaw.mean() == pytest.approx(0.5, abs=0.12), read


def test_lips_that_are_shut_have_no_weight_whatever_is_read(rig: KeypointRig) -> None:
    shut = faces(moved(rig, weights()), read=weights(jawOpen=0.08, mouthPress_L=0.1, mouthSmile_L=0.2))
    found = clip_factors(rig, shut)
    assert found["lip"].abs().max() < 0.02 and found["expression"].abs().max() < 0.02


def test_a_strong_expression_that_lasts_stays(rig: KeypointRig) -> None:
    rest = rest_weights(rig, rig.canonical, weights(mouthSmile_L=0.9, browDown_L=-0.2)[0])
    assert rest[COEFFICIENT_INDEX["mouthSmile_L"]] == pytest.approx(0.6)
    assert rest[COEFFICIENT_INDEX["browDown_L"]] == 0


def test_a_still_picture_is_read(rig: KeypointRig) -> None:
    """One frame has no change; its values are those of the analyser."""
    read = weights(jawOpen=0.4, mouthSmile_L=0.2)
    still = clip_factors(rig, faces(moved(rig, weights())[:1], read=read[:1]))
    assert entry(still, "lip", "jawOpen").tolist() == pytest.approx([0.4])
    assert entry(still, "expression", "mouthSmile_L").tolist() == pytest.approx([0.2])


def test_a_turning_head_moves_nothing_else(rig: KeypointRig) -> None:
    pose = torch.zeros(FRAMES, 3)
    pose[:, 0] = bump(20)
    found = clip_factors(rig, faces(moved(rig, weights()), pose))
    assert found["pose"][:, 0].max() == pytest.approx(20, abs=1)
    for name in ("lip", "expression"):
        assert found[name].abs().max() < 0.02, name
    assert (found["blink"] - 100).abs().max() < 2


def test_noise_is_removed_and_motion_stays(rig: KeypointRig) -> None:
    noise = 0.01 * torch.randn(FRAMES, len(rig.canonical), 3, generator=torch.Generator().manual_seed(0))
    still = clip_factors(rig, faces(moved(rig, weights()) + noise))
    raw = explain(rig, noise)
    assert entry(still, "lip", "jawOpen").std() < 0.5 * raw[:, COEFFICIENT_INDEX["jawOpen"]].std()
    loud, clean = (clip_factors(rig, faces(moved(rig, weights(jawOpen=bump(0.5))) + n)) for n in (noise, 0 * noise))
    assert (loud["lip"] - clean["lip"]).abs().max() < 0.06


def test_the_lids_that_follow_a_gaze_are_no_blink(rig: KeypointRig) -> None:
    """Looking down lowers the lids; they belong to the gaze."""
    look = weights(eyeLookDown_L=bump(0.7), eyeLookDown_R=bump(0.7))
    seen = torch.zeros(FRAMES, 2, 2)
    seen[:, :, 1] = -28 * bump(0.7)[:, None]
    balls = sum(
        (rig.layer == layer).float()[None, :, None] * torch.einsum("ta,akj->tkj", seen[:, 0], rig.gaze_basis)
        for layer in (1, 2)
    )
    found = clip_factors(rig, faces(moved(rig, look) + balls, gaze=seen))
    assert (found["blink"] - 100).abs().max() < 8
    assert found["gaze"][FRAMES // 2, 1] < -15


def test_the_fit_stays_in_its_bounds(rig: KeypointRig) -> None:
    wild = explain(rig, 5 * torch.randn(3, len(rig.canonical), 3))
    assert wild.min() >= LOWEST - 1e-6 and wild.max() <= 1.3 + 1e-6 and wild.abs().max() > 0.3
    assert explain(rig, torch.zeros(2, len(rig.canonical), 3)).abs().max() == 0


def test_measurements_do_not_see_the_heads_place(rig: KeypointRig) -> None:
    rows = measurements(rig)
    assert rows.sum(1).abs().max() < 1e-5


def test_the_mouths_width_counts_for_as_much_more_as_it_is_read_less(rig: KeypointRig) -> None:
    change = rig.displaced(weights(mouthStretch_L=0.5, mouthStretch_R=0.5)[:1])
    read = as_read(rig)
    assert (read < 1).sum() == 2
    rows = measurements(rig).flatten(1)[read < 1]
    plain, wider = (rig.displaced(explain(rig, change, share)).flatten(1) @ rows.T for share in (1.0, read))
    assert (wider / plain).min() > 1.1


def test_quiet_frames_are_those_with_the_smallest_gap(rig: KeypointRig) -> None:
    shape = moved(rig, weights(jawOpen=torch.linspace(0, 1, FRAMES)))
    assert np.flatnonzero(quiet_frames(rig, shape).numpy()).tolist() == list(range(FRAMES // 4 + 2))
    assert quiet_frames(rig, moved(rig, weights(browDown_L=bump(1.0)))).all()


def test_openness_counts_from_the_open_eye(rig: KeypointRig) -> None:
    closed = torch.linspace(0, 1, FRAMES)
    opened = openness(rig, moved(rig, weights(eyeBlink_L=closed, eyeBlink_R=closed)))
    assert opened[0].min() >= 100 and opened[-1].max() < 15


def test_a_smile_is_an_expression_and_no_speech(rig: KeypointRig) -> None:
    """Lips could explain its corners too, but both sides and the cheeks together are a smile."""
    smile = {f"{stem}_{side}": bump(0.7) for stem in ("mouthSmile", "cheekSquint") for side in "LR"}
    found = clip_factors(rig, faces(moved(rig, weights(**smile))))
    middle = {name: found[name][FRAMES // 2] for name in ("lip", "expression")}
    for side in "LR":
        assert middle["expression"][EXPRESSION_COEFFICIENTS.index(f"mouthSmile_{side}")] > 0.55
        assert middle["expression"][EXPRESSION_COEFFICIENTS.index(f"cheekSquint_{side}")] > 0.2
    assert middle["lip"].abs().max() < 0.2
