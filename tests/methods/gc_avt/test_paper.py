"""GC-AVT's paper preset with small random networks: from photos to frames, and what each factor does."""

import numpy as np
import pytest
import torch

from tests.face_parts.faces import drawn_points
from tests.methods.noise import noise_crop, noise_voice
from thgen import pipeline
from thgen.analyser.network import Analyser
from thgen.declare import AUDIO, CLIP
from thgen.face.finder import FaceCrop
from thgen.methods.base import at_size
from thgen.methods.gc_avt import paper
from thgen.methods.gc_avt.declaration import GC_AVT_PAPER
from thgen.methods.gc_avt.networks import Content, Identity, Voice
from thgen.methods.gc_avt.paper import PaperGcAvt
from thgen.nn.adain_generator import AdaINGenerator
from thgen.nn.mobilenet import MobileNetV2
from thgen.schema import SEGMENTS
from thgen.settings import Controls
from thgen.weights.hub import NETWORKS

SIZE = 96  # px of the photo; the generator paints 32


@pytest.fixture(scope="module")
def method():
    torch.manual_seed(0)
    analyser = Analyser(71, [[36], [42]], [48], (8, 8, 8, 8, 8), 16, 8)
    networks = [
        analyser, Identity(8, (1, 1, 1), 2, 4, 8), MobileNetV2(12, 0.1), MobileNetV2(256, 0.1),
        Content(256, (8, 16), (1, 1)), Voice(256, (8, 16), (1, 1), attention=4),
        AdaINGenerator(8 + 12 + 2 * 256, (16, 16, 8, 8), residual=1),
    ]  # fmt: skip
    with torch.no_grad():
        for net in networks[1:5]:  # as after some training: batch norms know their inputs
            for _ in range(30):
                net.train()(torch.randn(4, 3, 32, 32))
            last = net.classifier[1] if isinstance(net, MobileNetV2) else net.fc
            last.weight.div_(last.weight.std())
    return PaperGcAvt(*(n.eval().requires_grad_(False) for n in networks), torch.device("cpu"))


def crop_of(seed: int, opening: float = 0.05) -> FaceCrop:
    """A crop of noise with the landmarks of a face."""
    points = np.concatenate([drawn_points(opening), np.zeros((68, 1))], 1).astype(np.float32)
    return noise_crop(seed, SIZE, points)


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
    return method.decode(identity, target.factors, target.sliders)


def test_photos_a_clip_and_a_voice_make_frames(method, identity, clip, voice):
    assert identity.image.shape == (1, 3, SIZE, SIZE) and identity.measured is None
    out = frames_of(method, identity, clip | voice, ("lip",))
    assert out.frames.shape == (4, 3, SIZE, SIZE) and out.frames.abs().max() <= 1 and (out.mask == 1).all()
    assert not torch.allclose(out.frames[0], out.frames[1], atol=1e-4)


def test_tracks_have_the_declared_form(method, identity, clip, voice):
    declared = {f.name: f.size for f in method.declaration.factors}
    assert {n: v.shape[1] for n, v in clip.items()} == declared == {n: v.shape[1] for n, v in identity.own.items()}
    assert voice.keys() == {"lip"} and voice["lip"].shape == (4, 256)
    assert all(len(v) == 4 for v in clip.values()) and all(len(v) == 1 for v in identity.own.values())
    for value in (*clip.values(), *voice.values()):
        assert torch.isfinite(value).all() and value.device.type == "cpu"


def test_the_declaration_says_what_drives_what():
    assert GC_AVT_PAPER.max_photos == 8 and GC_AVT_PAPER.factor("lip").sources == (AUDIO, CLIP)
    assert GC_AVT_PAPER.factor("pose").sources == (CLIP,) and GC_AVT_PAPER.factor("expression").blends
    assert all(f.latent and f.zero and not f.idle for f in GC_AVT_PAPER.factors) and not GC_AVT_PAPER.relative
    assert len(GC_AVT_PAPER.weights) == 7


def test_each_factor_moves_the_picture(method, identity, clip, voice):
    still = frames_of(method, identity, {}).frames
    for name, track in (("pose", clip), ("expression", clip), ("lip", clip), ("lip", voice)):
        moved = frames_of(method, identity, {name: track[name]}).frames
        assert (moved - still).abs().amax((1, 2, 3)).min() > 1e-4, name


def test_mouth_clip_and_voice_replace_each_other(method, identity, clip, voice):
    seen, heard = (frames_of(method, identity, {"lip": track["lip"]}).frames for track in (clip, voice))
    assert not torch.allclose(seen, heard, atol=1e-4)


def test_the_frontalised_face_has_a_pose_of_zero(method, identity, clip):
    turned = frames_of(method, identity, clip).frames
    front = frames_of(method, identity, clip, undriven="zero", strength={"pose": 0.0})
    codes = dict(clip) | {"pose": torch.zeros(4, 12)}
    torch.testing.assert_close(front.frames, method.decode(identity, codes).frames, atol=1e-5, rtol=0)
    assert not torch.allclose(turned, front.frames, atol=1e-4)


def test_one_to_eight_photos_in_any_order_of_the_further_ones(method):
    crops = [crop_of(k) for k in range(8)]
    people = [method.encode_photos(crops[:count]).state["person"] for count in (1, 2, 8)]
    assert all(p.shape == (1, 8) for p in people)
    singles = [method.encode_photos([crop]).state["person"] for crop in crops]
    torch.testing.assert_close(people[2], torch.stack(singles).mean(0), atol=1e-5, rtol=1e-4)
    mixed = method.encode_photos([crops[0], *crops[:0:-1]])
    torch.testing.assert_close(mixed.state["person"], people[2], atol=1e-5, rtol=1e-4)
    alone, all_of_them = method.encode_photos(crops[:1]), method.encode_photos(crops)
    for name, own in alone.own.items():
        torch.testing.assert_close(own, all_of_them.own[name], atol=1e-5, rtol=1e-4)
    assert not torch.allclose(alone.state["person"], people[2], atol=1e-4)


def test_the_background_is_that_of_the_photo(method, identity, clip, monkeypatch):
    """Where the analyser sees no person in what was made, the photo's background remains."""

    def left_half(x):
        logits = torch.zeros(len(x), len(SEGMENTS), 64, 64)
        logits[:, SEGMENTS.index("background"), :, :] = 30.0
        return logits

    monkeypatch.setattr(method.analyser, "segment", left_half)
    out = method.decode(identity, clip).frames
    background = at_size(identity.state["background"], SIZE).clamp(-1, 1)
    torch.testing.assert_close(out, background.expand(4, -1, -1, -1), atol=1e-4, rtol=0)


@pytest.mark.parametrize("length", [1, 5, 40])
def test_a_clip_of_any_length_gives_a_row_per_frame(method, length):
    track = method.encode_clip(iter([crop_of(k % 7) for k in range(length)]))
    assert all(len(value) == length for value in track.values())


def test_the_expression_comes_from_a_frame_with_another_mouth(method, monkeypatch):
    """The mouth of a frame changes the expression of the frame eight before it, and not that of its own."""
    monkeypatch.setattr(paper, "person", lambda analyser, pictures: pictures.new_ones(len(pictures), 1, 32, 32))
    crops = [crop_of(k, opening=0.25) for k in range(12)]
    other = list(crops)
    other[9] = crop_of(9, opening=0.25)
    lips = other[9].image[57:66, 45:51]
    lips[:] = 255 - lips
    a, b = method.encode_clip(iter(crops)), method.encode_clip(iter(other))
    changed = {n: ((a[n] - b[n]).abs().amax(1) > 1e-5).nonzero().flatten().tolist() for n in a}
    assert changed == {"lip": [9], "pose": [], "expression": [1]}


def test_a_still_picture_has_its_own_mouth(method, identity):
    alone = method.encode_clip(iter([crop_of(0)]))
    for name, value in alone.items():
        torch.testing.assert_close(value, identity.own[name], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("length", [640, 6401])
def test_a_voice_gives_one_code_per_frame_however_long(method, length):
    frames = -(-length // 640)
    samples = np.random.default_rng(1).normal(0, 0.1, length).astype(np.float32)
    assert method.encode_audio(samples, frames)["lip"].shape == (frames, 256)


def test_every_network_has_a_class_key(method):
    nets = (method.identity, method.pose, method.expression, method.content, method.voice, method.generator)
    for net in nets:
        module, _, name = NETWORKS[net.config["class"]].partition(":")
        assert type(net).__name__ == name and type(net).__module__ == module
