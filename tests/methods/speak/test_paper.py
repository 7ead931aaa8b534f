"""SPEAK's paper preset with small random networks: from a photo to frames, and what each factor and control does."""

import numpy as np
import pytest
import torch

from tests.methods.noise import noise_crop, noise_voice
from thgen import pipeline
from thgen.declare import AUDIO, CLIP
from thgen.errors import ControlError
from thgen.face.finder import FaceCrop
from thgen.methods.speak import paper
from thgen.methods.speak.declaration import SPEAK_PAPER
from thgen.methods.speak.networks import EditingModule, EmotionEncoder, Encoder, TalkingGenerator, Voice
from thgen.methods.speak.paper import EXPRESSION, LIP, POSE, PaperSpeak
from thgen.schema import EMOTIONS
from thgen.settings import Controls
from thgen.weights.hub import NETWORKS

SIZE = 64  # px of the photo; the generator paints 32
CODES = 512
TINY = {"channels": (16,) * 7, "hidden": 16, "layers": 1, "heads": 2, "inner": 16, "positions": 8, "groups": 2}


@pytest.fixture(scope="module")
def method():
    torch.manual_seed(0)
    networks = [
        Encoder(CODES, (1, 1), 4), EmotionEncoder(CODES, (1, 1), 4), Encoder(CODES, (1, 1), 4),
        Voice(CODES, (1,), **TINY), EditingModule(CODES, CODES, 8, 8),
        TalkingGenerator(CODES, 8, (16, 16, 16, 8), hidden=8, photo=32),
    ]  # fmt: skip
    with torch.no_grad():
        for net in networks[:3]:  # as after some training: batch norms know their inputs
            for _ in range(30):
                net.train()(torch.randn(4, 3, 32, 32))
            net.fc.weight.div_(net.fc.weight.std())
        networks[1].centres.normal_()
        networks[1].seen.fill_(1.0)
    return PaperSpeak(*(n.eval().requires_grad_(False) for n in networks), torch.device("cpu"))


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


def frames_of(method, identity, driven, voiced=(), **controls):
    target = pipeline.targets(method, identity, Controls(**controls), 0, 4, driven, voiced=voiced)
    return method.decode(identity, target.factors, target.sliders).frames


def test_a_photo_a_clip_and_a_voice_make_frames(method, identity, clip, voice):
    assert identity.image.shape == (1, 3, SIZE, SIZE) and identity.measured is None
    frames = frames_of(method, identity, clip | voice, (LIP,))
    assert frames.shape == (4, 3, SIZE, SIZE) and frames.abs().max() <= 1
    assert not torch.allclose(frames[0], frames[1], atol=1e-4)


def test_tracks_have_the_declared_form(identity, clip, voice):
    declared = {f.name: f.size for f in SPEAK_PAPER.factors}
    assert {n: v.shape[1] for n, v in (clip | voice).items()} == declared
    assert {n: v.shape for n, v in identity.own.items()} == {n: (1, size) for n, size in declared.items()}
    for value in (*clip.values(), *voice.values()):
        assert len(value) == 4 and torch.isfinite(value).all() and value.device.type == "cpu"


def test_the_declaration_says_what_drives_what():
    sources = {f.name: f.sources for f in SPEAK_PAPER.factors}
    assert sources == {LIP: (AUDIO,), POSE: (CLIP,), EXPRESSION: (CLIP,)}
    assert SPEAK_PAPER.clip_fps == 30 and SPEAK_PAPER.max_photos == 1 and SPEAK_PAPER.factor(EXPRESSION).blends
    assert all(f.latent and not f.idle for f in SPEAK_PAPER.factors) and not SPEAK_PAPER.relative
    assert {c.factor for c in SPEAK_PAPER.controls} == {EXPRESSION}
    assert SPEAK_PAPER.control("emotion.name").options == ("own", *EMOTIONS)


def test_each_source_may_be_left_out_and_each_moves_the_picture(method, identity, clip, voice):
    still = frames_of(method, identity, {})
    assert torch.equal(still[0], still[3]), "without any driver nothing moves"
    for name, track in ((POSE, clip), (EXPRESSION, clip), (LIP, voice)):
        moved = frames_of(method, identity, {name: track[name]})
        assert (moved - still).abs().amax((1, 2, 3)).min() > 1e-4, name


def test_what_has_no_driver_is_the_photos_own_and_silence(method, identity):
    own = method.encode_clip([crop_of(0)])
    for name in (POSE, EXPRESSION):
        torch.testing.assert_close(identity.own[name], own[name])
    quiet = method.encode_audio(np.zeros(16000, np.float32), 25)[LIP]
    torch.testing.assert_close(identity.own[LIP], quiet[12:13])


def test_an_emotion_by_name_is_the_centre_of_its_class(method, identity):
    still = frames_of(method, identity, {})
    centre = method.emotion.centres[list(EMOTIONS).index("sad")]
    by_name = frames_of(method, identity, {}, values={"emotion.name": "sad"})
    codes = {name: value.expand(4, -1) for name, value in identity.own.items()}
    wanted = method.decode(identity, codes | {EXPRESSION: centre.expand(4, -1)}).frames
    torch.testing.assert_close(by_name, wanted, atol=1e-4, rtol=0)
    assert not torch.allclose(by_name, still, atol=1e-4)
    none = frames_of(method, identity, {}, values={"emotion.name": "sad", "emotion.strength": 0.0})
    torch.testing.assert_close(none, still)
    twice = frames_of(method, identity, {}, values={"emotion.name": "sad", "emotion.strength": 2.0})
    torch.testing.assert_close(twice, by_name)
    with pytest.raises(ControlError, match="add to 1"):
        frames_of(method, identity, {}, values={"emotion.sad": 0.6, "emotion.happy": 0.6})


def test_emotions_are_blended_between_two_clips(method, identity, clip):
    other = method.encode_clip([crop_of(9)])[EXPRESSION].expand(4, -1)
    for weight, wanted in ((0.0, clip[EXPRESSION]), (1.0, other), (0.5, (clip[EXPRESSION] + other) / 2)):
        target = pipeline.targets(
            method, identity, Controls(blend={EXPRESSION: weight}), 0, 4, {EXPRESSION: clip[EXPRESSION]},
            second={EXPRESSION: other})  # fmt: skip
        torch.testing.assert_close(target.factors[EXPRESSION], wanted)


def test_identity_is_a_latent_beside_the_factors(method, clip):
    found = method.latents(iter([crop_of(k) for k in (1, 2, 3, 4)]))
    assert set(found) == {"identity", POSE, EXPRESSION} and found["identity"].shape == (4, CODES)
    torch.testing.assert_close(found[POSE], clip[POSE])


def test_a_long_voice_is_heard_in_passes_that_fit_together(method, monkeypatch):
    sound = np.random.default_rng(0).normal(0, 0.1, 100 * 640).astype(np.float32)
    whole = method.encode_audio(sound, 100)[LIP]
    heard = []
    at = method.voice.at
    monkeypatch.setattr(method.voice, "at", lambda x, frames, fps: heard.append(frames) or at(x, frames, fps))
    monkeypatch.setattr(paper, "PASS", 40)
    monkeypatch.setattr(paper, "CONTEXT", 10)
    parts = method.encode_audio(sound, 100)[LIP]
    assert heard == [50, 60, 30] and parts.shape == whole.shape
    near, far = ((parts - whole).norm(dim=1).mean(), (parts.roll(5, 0) - whole).norm(dim=1).mean())
    assert near < 0.5 * far


@pytest.mark.parametrize("length", [0, 100, 5000])
def test_a_voice_of_another_length_than_the_video_is_padded_or_cut(method, length):
    found = method.encode_audio(np.ones(length, np.float32), 5)[LIP]
    assert found.shape == (5, CODES) and torch.isfinite(found).all()


def test_load_takes_the_declared_weights_in_their_order(method):
    nets = [method.identity, method.emotion, method.pose, method.voice, method.editing, method.generator]
    asked = []

    class Stub:
        device = torch.device("cpu")

        def get(self, name):
            asked.append(name)
            return nets[len(asked) - 1]

    loaded = PaperSpeak.load(Stub())
    assert tuple(asked) == SPEAK_PAPER.weights and loaded.editing is method.editing
    names = [name.removeprefix("speak_paper_") for name in asked]
    assert names == ["identity", "emotion", "pose", "voice", "editing", "generator"]
    assert all(net.config["class"] in NETWORKS for net in nets)
