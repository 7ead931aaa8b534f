"""Compact FC-TFG with untrained networks and the built-in head: from a photo to frames, and what each factor does."""

import numpy as np
import pytest
import torch

from tests.methods.noise import noise_voice
from tests.methods.pd_fgc.test_method import SIZE, clip_of, crop_of
from tests.methods.pd_fgc.test_method import method as pd_fgc  # noqa: F401 - a fixture
from thgen import pipeline
from thgen.encoder.inputs import input_size
from thgen.methods.fc_tfg.compact_networks import FaceCodes, IndexHeads
from thgen.methods.fc_tfg.compact_stages import INDICES, VOICED
from thgen.methods.fc_tfg.declaration import COMPACT_CODE, COMPACT_VOICE
from thgen.methods.fc_tfg.latents import motion_factors
from thgen.methods.fc_tfg.method import CODES, FcTfg
from thgen.methods.fc_tfg.networks import LatentFusion
from thgen.nn.wav2lip import AudioEncoder
from thgen.settings import Controls
from thgen.training.config import load_stage

FRAMES = 4


@pytest.fixture(scope="module")
def method(pd_fgc):  # noqa: F811
    """With the generator, the analyser and the face encoder of the tests of PD-FGC."""
    torch.manual_seed(0)
    voice = AudioEncoder(4)
    fusion = LatentFusion(8, voice.features, len(INDICES), 16, INDICES, VOICED)
    heads = IndexHeads(8, hidden=16, layers=1)
    with torch.no_grad():
        for parameter in (*fusion.parameters(), *heads.parameters()):  # as after some training
            parameter.add_(0.1 * torch.randn_like(parameter))
    own = (FaceCodes(input_size(pd_fgc.encoder), 16, 1, 8, len(INDICES)), voice, fusion, heads)
    own = tuple(net.eval().requires_grad_(False) for net in own)
    return FcTfg(pd_fgc.generator, pd_fgc.encoder, *own, torch.device("cpu"))


@pytest.fixture(scope="module")
def photo():
    return np.random.default_rng(0).integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def identity(method, photo):
    return method.encode_photos([crop_of(method, photo)])


@pytest.fixture(scope="module")
def clip(method, photo):
    return method.encode_clip(iter(clip_of(method, photo, FRAMES)))


@pytest.fixture(scope="module")
def voice(method):
    return noise_voice(method, FRAMES)


def finished(method, identity, driven, second=None, **controls):
    target = pipeline.targets(
        method, identity, Controls(**controls), 0, FRAMES, driven, voiced=("speech",), second=second
    )
    return target.factors[CODES]


def test_a_photo_a_clip_and_a_voice_make_frames(method, identity, clip, voice):
    assert identity.own.keys() == {f.name for f in method.declaration.factors}
    target = pipeline.targets(method, identity, Controls(), 0, FRAMES, clip | voice, voiced=("speech",))
    out = method.decode(identity, target.part(0, 3).factors, target.part(0, 3).sliders)
    assert out.frames.shape == (3, 3, SIZE, SIZE) and out.frames.abs().max() <= 1 and out.flow.abs().max() > 1e-4
    alone = method.decode(identity, target.part(1, 2).factors, target.part(1, 2).sliders)
    torch.testing.assert_close(alone.frames[0], out.frames[1], atol=1e-3, rtol=0)


def idle(method, identity, driven, **controls):
    """What the idle motion asks for, over eight seconds: how far head and lids leave the photo's own."""
    voiced = ("speech",) if "speech" in driven else ()
    target = pipeline.targets(method, identity, Controls(**controls), 0, 200, driven, voiced=voiced).sliders
    return tuple(float((target[n] - identity.measured[n]).abs().max()) for n in ("pose", "gaze", "blink"))


def test_a_voice_alone_leaves_the_head_alive(method, identity, clip, voice):
    head, gaze, lids = idle(method, identity, voice)
    assert head > 0.5 and gaze > 1 and lids > 0.5 * float(identity.measured["blink"].max())
    assert (
        idle(method, identity, {"coarse": clip["coarse"]})[0]
        == 0
        < idle(method, identity, {"coarse": clip["coarse"]})[2]
    )
    assert idle(method, identity, {"fine": clip["fine"]})[1:] == (0, 0)
    assert idle(method, identity, voice, idle={"coarse": False, "fine": False}) == (0, 0, 0)


def test_a_photo_without_a_driver_stays_as_it_is(method, identity, photo):
    out = method.decode(identity, {CODES: finished(method, identity, {})})
    shown = ((out.frames[1] + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    assert out.flow.abs().max() < 1e-4 and np.abs(shown.astype(int) - photo).mean() < 2


def test_the_tracks_are_those_of_equation_2(method, identity, clip, voice, photo):
    with torch.inference_mode():
        driving = method._inverted(clip_of(method, photo, FRAMES))
        motion = method.fusion.motion_codes(driving, voice["speech"])
        fused = method.fusion.fused(identity.state["canonical"], motion[None])[0].flatten(1)
    torch.testing.assert_close(finished(method, identity, clip | voice), fused, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("name", "places"), [
    ("coarse", [0, 1, 2, 3]), ("fine", [4, 5, 6, 7]), ("speech", [4, 5]),
])  # fmt: skip
def test_each_factor_moves_its_own_indices_and_part_of_the_face(method, identity, clip, voice, name, places):
    before, after = (finished(method, identity, driven) for driven in ({}, {name: (clip | voice)[name]}))
    moved = (after - before).unflatten(1, (8, 8)).abs().amax((0, 2)) > 1e-6
    assert moved.nonzero().flatten().tolist() == places
    one, two = method.heads(before), method.heads(after)
    assert torch.equal(one.turn, two.turn) == (name != "coarse")
    assert torch.equal(one.gaze, two.gaze) == (name != "fine")
    assert torch.equal(one.coefficients, two.coefficients) == (name == "coarse")


def test_no_motion_is_the_canonical_face(method, identity, clip):
    with torch.inference_mode():
        expected = method.fusion.fused(identity.state["canonical"], torch.zeros(1, FRAMES, 8, 8))[0].flatten(1)
    torch.testing.assert_close(finished(method, identity, {}, undriven="zero"), expected)
    off = finished(method, identity, clip, undriven="zero", strength={"coarse": 0.0, "fine": 0.0})
    torch.testing.assert_close(off, expected)


def test_two_clips_blend_code_by_code(method, identity, clip):
    """Between two clips, by slider: half of each."""
    other = {name: track.flip(0) for name, track in clip.items()}
    ends = [finished(method, identity, clip, {"coarse": other["coarse"]}, blend={"coarse": share}) for share in (0, 1)]
    half = finished(method, identity, clip, {"coarse": other["coarse"]}, blend={"coarse": 0.5})
    torch.testing.assert_close(half, (ends[0] + ends[1]) / 2, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(ends[0], ends[1])


def test_the_voice_can_be_switched_off(method, identity, clip, voice):
    """At its two indices the clip then drives the lips."""
    off = finished(method, identity, clip | voice, strength={"speech": 0.0})
    torch.testing.assert_close(off, finished(method, identity, clip))


def test_declared_sizes_are_those_of_the_config():
    model = load_stage("fc_tfg.compact", "3").model
    assert model["encoder"]["latent"] == COMPACT_CODE and 16 * model["voice"]["base"] == COMPACT_VOICE
    fusion = LatentFusion(COMPACT_CODE, COMPACT_VOICE, 8, **model["fusion"])
    found = motion_factors(fusion, torch.zeros(1, 8, COMPACT_CODE))
    sizes = {n: v.shape[1] for n, v in found.items()} | {"speech": AudioEncoder(**model["voice"]).features}
    assert sizes == {factor.name: factor.size for factor in FcTfg.declaration.factors}
