"""Rig with untrained networks and the built-in head: the path, its zero, and the effect of each factor."""

import numpy as np
import pytest
import torch

from thgen.analyser.network import Analyser
from thgen.compact.flow.network import GuidedFlow
from thgen.compact.generator_stage import fill_rig
from thgen.compact.keypoint_rig import PARTING
from thgen.compact.slider_motion import lip_press, unexplained_gap, unit_movement
from thgen.encoder.network import FaceEncoder
from thgen.evaluation.scenes.crops import clip_crops, photo_crop
from thgen.face.observe import Observer
from thgen.methods.rig.audio_network import AudioToLip
from thgen.methods.rig.method import Rig
from thgen.nn.coefficients import place
from thgen.schema import BLINK_COEFFICIENTS, COEFFICIENT_INDEX, FACTORS, LIP_COEFFICIENTS, SEGMENTS
from thgen.synth.head.ellipsoid import ellipsoid_head
from thgen.synth.head.keypoints import build_layout
from thgen.synth.head.performer import neck_weight

SIZE = 192


@pytest.fixture(scope="module")
def rig():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    mesh = ellipsoid_head()
    layout = build_layout(mesh, neck_weight)
    # Its patches refine unimportant points only, because untrained patches would misplace the eyes.
    analyser = Analyser(len(layout.index), [[100], [101]], [102], channels=(8, 16, 16, 24, 32), hidden=48, segments=8)
    with torch.no_grad():  # always returns the canonical head in the framing of a photo's crop
        points = torch.from_numpy(layout.canonical * np.array([1, -1, -1]) / 15).float()
        points[:, 2] -= points[:68, 2].mean()
        analyser.to_keypoints.weight.zero_()
        analyser.to_keypoints.bias.copy_(points.flatten())
        analyser.segmenter.out[-1].weight.zero_()
        analyser.segmenter.out[-1].bias.copy_(20.0 * torch.eye(len(SEGMENTS))[SEGMENTS.index("face")])  # all is face
    generator = GuidedFlow(len(layout.index), len(layout.loops[2]), channels=(16, 24, 32, 40), fine=8, code=16)
    fill_rig(generator.rig, layout, mesh.eye_centre)
    with torch.no_grad():
        generator.coarse.log_width.copy_(torch.from_numpy(layout.width).log())
        generator.to_maps.weight.zero_()
        generator.to_maps.bias.fill_(30.0)  # full trust in the photo's pixels, and the head covers all
    small = {net: (8, 8, 8, 8) for net in ("face", "eye", "mouth", "brows")}
    encoder = FaceEncoder(len(layout.index), [[100], [101]], [102], [103], **small, codes=(8, 8, 8, 8), segments=8)
    return Rig(analyser.eval(), encoder.eval(), AudioToLip().eval(), generator.eval(), torch.device("cpu"))


@pytest.fixture(scope="module")
def photo():
    return np.random.default_rng(0).integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def identity(rig, photo):
    return rig.encode_photos([photo_crop(Observer(rig.generator.analyser, rig.device), photo)])


def factors(identity, frames=1, **changed):
    out = {name: value.repeat(frames, 1) for name, value in identity.own.items()}
    for name, value in changed.items():
        out[name] = out[name] + torch.tensor(value, dtype=torch.float32)
    return out


def test_own_factors_have_the_dimensions_of_the_schema(rig, identity):
    assert {n: v.shape[1] for n, v in identity.own.items()} == {n: FACTORS[n].size for n in FACTORS}


def test_the_photos_own_factors_give_the_photo_back(rig, identity, photo):
    out = rig.decode(identity, factors(identity, 2))
    assert out.frames.shape == (2, 3, SIZE, SIZE) and out.mask.shape == (2, 1, SIZE, SIZE)
    shown = ((out.frames[0] + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    assert np.abs(shown.astype(int) - photo).max() <= 1


def test_what_the_network_answers_at_rest_is_taken_for_its_error(rig, photo):
    biases = rig.generator.flow.to_flow.bias, rig.generator.flow.to_maps.bias
    before = [bias.clone() for bias in biases]
    try:
        with torch.no_grad():
            biases[0].fill_(0.2)  # an error of a twentieth of a half-width everywhere
            biases[1][:12], biases[1][12:16] = 0.0, -3.0  # and no trust in the photo's pixels
        identity = rig.encode_photos([photo_crop(Observer(rig.generator.analyser, rig.device), photo)])
        still = rig.decode(identity, factors(identity)).frames
        turned = rig.decode(identity, factors(identity, pose=[20, 0, 0, 0, 0, 0])).frames
    finally:
        with torch.no_grad():
            for bias, values in zip(biases, before, strict=True):
                bias.copy_(values)
    assert identity.state["photo"].layers.drift.mean() > 0.04 and identity.state["photo"].layers.doubt.min() > 1
    assert (still - identity.image).abs().max() < 0.02
    clean = rig.encode_photos([photo_crop(Observer(rig.generator.analyser, rig.device), photo)])
    assert (turned - rig.decode(clean, factors(clean, pose=[20, 0, 0, 0, 0, 0])).frames).abs().mean() < 0.01


def test_the_layers_come_from_the_segmentation(rig, identity):
    layers = identity.state["photo"].layers
    assert layers.hair.shape == (1, 1, 64, 64) and layers.hair.max() < 1e-6
    assert layers.moving.min() > 0.999 and layers.plate.shape[1] == 3 and layers.mouth.shape == (1, 1, 256, 256)


def test_body_and_background_stay_while_the_head_turns(rig, photo):
    bias = rig.generator.analyser.segmenter.out[-1].bias
    before = bias.clone()
    with torch.no_grad():
        bias.copy_(20.0 * torch.eye(len(SEGMENTS))[SEGMENTS.index("body")])
    try:
        identity = rig.encode_photos([photo_crop(Observer(rig.generator.analyser, rig.device), photo)])
        out = rig.decode(identity, factors(identity, pose=[20, 0, 0, 0, 0, 0]))
    finally:
        with torch.no_grad():
            bias.copy_(before)
    assert torch.allclose(out.frames, identity.image, atol=1e-6) and out.mask.max() == 0


@pytest.mark.parametrize(
    ("factor", "change"), [("pose", [15, 0, 0, 0, 0, 0]), ("gaze", [20, 0, 20, 0]), ("blink", [-100, -100])]
)
def test_each_factor_moves_the_picture(rig, identity, factor, change):
    still, moved = (rig.decode(identity, f).frames for f in (factors(identity), factors(identity, **{factor: change})))
    assert (still - moved).abs().mean() > 1e-4


def test_the_jaw_moves_the_chin_and_leaves_the_brow(rig, identity):
    lips = [0.5 if n == "jawOpen" else 0.0 for n in LIP_COEFFICIENTS]
    difference = (rig.decode(identity, factors(identity, lip=lips)).frames - identity.image).abs()[0].mean(0)
    assert difference[int(0.65 * SIZE) : int(0.8 * SIZE), SIZE // 3 : -SIZE // 3].mean() > 0.02
    assert difference[: SIZE // 4].mean() < 1e-3


def test_a_window_decodes_as_its_frames_one_by_one(rig, identity):
    target = factors(identity, 3)
    target["pose"][:, 0] += torch.tensor([0.0, 8.0, -8.0])
    together = rig.decode(identity, target).frames
    alone = [rig.decode(identity, {n: v[t : t + 1] for n, v in target.items()}).frames for t in range(3)]
    assert torch.allclose(together, torch.cat(alone), atol=1e-4)


def test_closed_is_closed_however_far_the_eye_was_open(rig, identity):
    closed = factors(identity)
    closed["blink"] = torch.zeros(1, 2)
    photo = identity.state["photo"]
    change = unit_movement(rig.generator.rig, photo, identity.own, closed).change
    scale = photo.lid_scale
    travel = change[:, [COEFFICIENT_INDEX[n] for n in BLINK_COEFFICIENTS]] / scale
    assert ((travel >= 1) & (travel < 1.2)).all(), "the whole of this person's opening, and a little to press shut"


def test_lids_close_each_by_itself(rig, identity):
    wink = factors(identity)
    wink["blink"][:, 0] = 0.0
    difference = (rig.decode(identity, wink).frames - identity.image).abs()[0].mean(0)
    assert difference[:, SIZE // 2 :].max() > 0.1, "the subject's left eye, right in the picture"
    assert difference[:, : SIZE // 2].max() < 0.02


def test_clips_give_every_factor_per_frame(rig, photo):
    frames = [np.roll(photo, k, 1) for k in range(5)]
    factors_of_clip = rig.encode_clip(clip_crops(Observer(rig.generator.analyser, rig.device), frames, 128))
    assert {n: tuple(v.shape) for n, v in factors_of_clip.items()} == {n: (5, FACTORS[n].size) for n in FACTORS}


def test_silence_keeps_the_mouth_shut(rig):
    lips = rig.encode_audio(np.zeros(16_000, np.float32), 25)
    assert lips["lip"].shape == (25, len(LIP_COEFFICIENTS)) and lips["lip"].abs().max() == 0


def test_lips_that_the_photo_parts_meet_when_the_voice_presses_them(rig):
    """An open smile that no coefficient explains closes on b, m and p and stays open in silence."""
    net = rig.generator.flow.rig
    wide = place(torch.full((1, 4), 0.6), PARTING)
    shape = net.canonical[None] + torch.einsum("bc,ckj->bkj", wide, net.basis)
    lip = torch.zeros(1, len(LIP_COEFFICIENTS))
    weight = unexplained_gap(net, shape, lip)
    assert weight == pytest.approx(torch.full((1, 4), 0.6), abs=0.02)
    assert unexplained_gap(net, net.canonical[None], lip).abs().max() < 0.02, "closed lips have nothing to take back"
    closing = lip.clone()
    closing[:, [LIP_COEFFICIENTS.index(f"mouthPress_{side}") for side in "LR"]] = 0.25
    for voice, gap in ((lip, 1.0), (closing, 0.0)):
        change = place(-lip_press(voice) * weight, PARTING)
        moved = shape + torch.einsum("bc,ckj->bkj", change, net.basis)
        left = (net.lip_gap(moved) - net.lip_gap(net.canonical[None])) / (0.6 * net.parting())
        assert left.item() == pytest.approx(gap, abs=0.05)
