"""FC-TFG's paper preset with small random networks: from a photo to frames, and what each factor does."""

import math

import numpy as np
import pytest
import torch

from tests.methods.noise import noise_crop, noise_voice
from thgen import pipeline
from thgen.errors import FaceError
from thgen.face.crop import Square
from thgen.face.finder import FaceCrop
from thgen.methods.fc_tfg.networks import LatentFusion
from thgen.methods.fc_tfg.paper import CODES, FARTHEST, PaperFcTfg
from thgen.nn.psp import InversionEncoder
from thgen.nn.stylegan2 import StyleGAN2
from thgen.nn.wav2lip import AudioEncoder
from thgen.settings import Controls

SIZE = 96  # px of the photo; the generator paints 64


@pytest.fixture(scope="module")
def method():
    torch.manual_seed(0)
    generator = StyleGAN2(8, (8, 8, 8, 8, 4), layers=2)
    encoder = InversionEncoder(64, 8, generator.indices, 4, (1, 1, 1, 1))
    voice = AudioEncoder(4)
    fusion = LatentFusion(8, voice.features, generator.indices, 16)
    with torch.no_grad():
        for parameter in fusion.parameters():  # as after some training
            parameter.add_(0.2 * torch.randn_like(parameter))
    networks = (generator, encoder, voice, fusion)
    untrained = math.inf  # what random networks make is far from any photo
    return PaperFcTfg(*(n.eval().requires_grad_(False) for n in networks), torch.device("cpu"), untrained)


def crop_of(seed: int) -> FaceCrop:
    return noise_crop(seed, SIZE)


@pytest.fixture(scope="module")
def identity(method):
    return method.encode_photos([crop_of(0)])


@pytest.fixture(scope="module")
def clip(method):
    return method.encode_clip(iter([crop_of(k) for k in (1, 2, 3, 4)]))


@pytest.fixture(scope="module")
def voice(method):
    return noise_voice(method, 4)


def finished(method, identity, driven, **controls):
    return pipeline.targets(method, identity, Controls(**controls), 0, 4, driven, voiced=("speech",)).factors[CODES]


def test_a_photo_a_clip_and_a_voice_make_frames(method, identity, clip, voice):
    assert identity.image.shape == (1, 3, SIZE, SIZE) and identity.measured is None
    target = pipeline.targets(method, identity, Controls(), 0, 4, clip | voice, voiced=("speech",))
    out = method.decode(identity, target.part(0, 3).factors, target.part(0, 3).sliders)
    assert out.frames.shape == (3, 3, SIZE, SIZE) and out.frames.abs().max() <= 1 and (out.mask == 1).all()
    assert not torch.allclose(out.frames[0], out.frames[1], atol=1e-3)
    alone = method.decode(identity, target.part(1, 2).factors)
    torch.testing.assert_close(alone.frames[0], out.frames[1], atol=1e-4, rtol=0)


def test_tracks_have_the_declared_form(method, identity, clip, voice):
    """Four codes each, of which the fine ones have a weight more; the voice is not negative, and a photo has none."""
    assert {n: tuple(v.shape) for n, v in (clip | voice).items()} == {
        "coarse": (4, 32),
        "fine": (4, 33),
        "speech": (4, 64),
    }
    assert identity.own.keys() == {f.name for f in method.declaration.factors}
    assert (
        (identity.own["speech"] == 0).all() and (identity.own["fine"][:, -1] == 1).all() and voice["speech"].min() >= 0
    )


def test_declared_sizes_are_those_of_the_papers_networks(method):
    from thgen.methods.fc_tfg.latents import motion_factors

    with torch.device("meta"):
        fusion = LatentFusion()
        found = motion_factors(fusion, torch.zeros(1, 14, 512))
    assert {n: v.shape[1] for n, v in found.items()} | {"speech": AudioEncoder().features} == {
        f.name: f.size for f in method.declaration.factors
    }  # fmt: skip


def test_the_tracks_are_those_of_equation_2(method, identity, clip, voice):
    """What goes through factors and controls is E_m of the frame's code and the voice, then the temporal fusion."""
    with torch.inference_mode():
        driving = method._inverted([crop_of(k) for k in (1, 2, 3, 4)])
        for heard in (voice["speech"], torch.zeros_like(voice["speech"])):
            motion = method.fusion.motion_codes(driving, heard)
            fused = method.fusion.fused(identity.state["canonical"], motion[None])[0].flatten(1)
            found = finished(method, identity, clip | {"speech": heard})
            torch.testing.assert_close(found, fused, atol=1e-5, rtol=1e-5)


def test_each_factor_moves_its_own_indices(method, identity, clip, voice):
    still = finished(method, identity, {}).unflatten(1, (8, 8))
    for name, track, places in (
        ("coarse", clip, [0, 1, 2, 3]),
        ("fine", clip, [4, 5, 6, 7]),
        ("speech", voice, [4, 5]),
    ):
        moved = finished(method, identity, {name: track[name]}).unflatten(1, (8, 8))
        assert ((moved - still).abs().amax((0, 2)) > 1e-6).nonzero().flatten().tolist() == places, name


def test_no_motion_is_the_canonical_face_of_the_photo(method, identity, clip):
    zero = finished(method, identity, {}, undriven="zero")
    with torch.inference_mode():
        expected = method.fusion.fused(identity.state["canonical"], torch.zeros(1, 4, 8, 8))[0].flatten(1)
    torch.testing.assert_close(zero, expected)
    off = finished(method, identity, clip, undriven="zero", strength={"coarse": 0.0, "fine": 0.0})
    torch.testing.assert_close(off, expected)


def test_strength_scales_the_motion_from_the_canonical_face_on(method, identity, clip, voice):
    """Also at the two indices with a voice, at which E_m is not linear."""
    codes = [
        finished(method, identity, clip | voice, undriven="zero", strength={"coarse": gain, "fine": gain})
        for gain in (0.0, 0.5, 1.0)
    ]
    torch.testing.assert_close(codes[1], (codes[0] + codes[2]) / 2, atol=1e-5, rtol=1e-5)


def test_strength_0_of_the_voice_switches_it_off_at_its_two_indices(method, identity, clip, voice):
    off = finished(method, identity, clip | voice, strength={"speech": 0.0})
    torch.testing.assert_close(off, finished(method, identity, clip))
    changed = (finished(method, identity, clip | voice) - off).unflatten(1, (8, 8)).abs().amax((0, 2)) > 1e-6
    assert changed.nonzero().flatten().tolist() == [4, 5]


def test_codes_of_two_clips_are_interpolated_by_a_number_and_over_time(method, identity, clip):
    """At indices without a voice and before the fusion, which here is a mixture of neighbours, they lie on a line."""
    second = method.encode_clip(iter([crop_of(k) for k in (5, 6, 7, 8)]))
    places = [0, 1, 2, 3, 6, 7]

    def codes(blend):
        controls = Controls(blend={"coarse": blend, "fine": blend})
        target = pipeline.targets(method, identity, controls, 0, 4, clip, second=second)
        return target.factors[CODES].unflatten(1, (8, 8))[:, places]

    zero, half, one = codes(0.0), codes(0.5), codes(1.0)
    torch.testing.assert_close(half, (zero + one) / 2, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(zero, one, atol=1e-3)
    moving = codes("0:0, 0.04:0, 0.08:1")  # frames 0 and 1 of the first clip, 2 and 3 of the second
    torch.testing.assert_close(moving[0], zero[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(moving[3], one[3], atol=1e-5, rtol=1e-5)


def test_the_temporal_fusion_sees_the_whole_track_and_not_a_window(method, identity, clip):
    target = pipeline.targets(method, identity, Controls(), 0, 20, clip)
    short = pipeline.targets(method, identity, Controls(), 0, 8, clip)
    torch.testing.assert_close(target.factors[CODES][:7], short.factors[CODES][:7])
    assert not torch.allclose(target.factors[CODES][7], short.factors[CODES][7]), "frame 8 reaches back to frame 7"


@pytest.mark.parametrize("length", [640, 6401, 16_000])
def test_a_voice_gives_one_code_per_frame_however_long(method, length):
    frames = -(-length // 640)
    samples = np.random.default_rng(1).normal(0, 0.1, length).astype(np.float32)
    codes = method.encode_audio(samples, frames)["speech"]
    assert codes.shape == (frames, 64) and torch.isfinite(codes).all()


def test_the_view_shows_each_face_above_its_own_canonical_face(method, identity, clip):
    """The canonical face is that of no motion; photos come before frames of a clip."""
    photos, frames = [crop_of(0), crop_of(1)], [crop_of(2)]
    shown, made = method.view("canonical", photos, frames)
    assert [np.array_equal(a, c.image) for a, c in zip(shown.pictures, photos + frames, strict=True)] == [True] * 3
    zero = pipeline.targets(method, identity, Controls(undriven="zero"), 0, 1).factors
    assert np.array_equal(made.pictures[0], method.decode(identity, zero).images()[0])
    assert not np.array_equal(made.pictures[0], made.pictures[1]) and len(made.pictures) == 3


def test_each_picture_of_the_view_can_be_the_last(method):
    seen = []

    def tick():
        seen.append(1)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        method.view("canonical", [crop_of(0), crop_of(1), crop_of(2)], [], tick)


def photo_of(method, codes) -> FaceCrop:
    """A crop that shows what the generator makes of codes [1 L N]."""
    with torch.inference_mode():
        picture = method.generator.paint(codes).clamp(-1, 1)
    picture = torch.nn.functional.interpolate(picture, size=(SIZE, SIZE), mode="bilinear")
    image = ((picture[0].permute(1, 2, 0) + 1) * 127.5).round().to(torch.uint8).numpy()
    square = Square(SIZE / 2, SIZE / 2, SIZE)
    return FaceCrop(image, square, np.zeros((1, 3), np.float32), None, square)


@pytest.mark.parametrize("which", ["true", "average", "other"])
def test_a_photo_that_is_not_inverted_is_refused(method, monkeypatch, which):
    """The encoder returns the codes of the photo's own picture, the average, or codes that lead away from it."""
    true = torch.randn(1, method.generator.indices, 8, generator=torch.Generator().manual_seed(3))
    average = method.generator.average.expand_as(true)
    codes = {"true": true, "average": average, "other": average - (true - average)}[which]
    crop = photo_of(method, true)
    monkeypatch.setattr(method, "farthest", FARTHEST)
    monkeypatch.setattr(method, "_inverted", lambda crops: codes)
    misfit = method.misfit(torch.from_numpy(crop.image.copy()).permute(2, 0, 1)[None] / 127.5 - 1, codes)
    if which == "true":
        assert misfit < 0.1 and method.encode_photos([crop]).image.shape[-1] == SIZE
        return
    assert misfit == pytest.approx(1, abs=1e-3) if which == "average" else misfit > 1
    with pytest.raises(FaceError, match="The generator cannot make this photo"):
        method.encode_photos([crop])
    inverted = iter([true, codes])
    monkeypatch.setattr(method, "_inverted", lambda crops: next(inverted))
    with pytest.raises(FaceError, match="Photo 2: The generator cannot make"):
        method.view("canonical", [crop, crop], [])


def test_frames_of_a_clip_may_be_far_from_what_the_generator_makes(method, monkeypatch):
    """They only drive, so that a stranger's clip is not refused."""
    monkeypatch.setattr(method, "farthest", 0.0)
    assert len(method.encode_clip(iter([crop_of(1)]))["coarse"]) == 1
