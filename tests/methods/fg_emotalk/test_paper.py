"""FG-EmoTalk's paper preset with small random networks: from a photo and clips to frames, and what the units do."""

import pytest
import torch

from tests.methods.noise import noise_crop
from thgen import pipeline
from thgen.declare import CLIP
from thgen.errors import ControlError
from thgen.face.finder import FaceCrop
from thgen.methods.base import Identity
from thgen.methods.fg_emotalk import equations as eq
from thgen.methods.fg_emotalk.declaration import FG_EMOTALK_PAPER
from thgen.methods.fg_emotalk.networks import AUEncoder, VideoNetwork
from thgen.methods.fg_emotalk.paper import PaperFgEmoTalk
from thgen.settings import Controls

SIZE = 48  # px of the photo; the network paints 32


@pytest.fixture(scope="module")
def method():
    torch.manual_seed(0)
    networks = VideoNetwork(32, 48), AUEncoder(width=16)
    return PaperFgEmoTalk(*(n.eval().requires_grad_(False) for n in networks), torch.device("cpu"))


def crop_of(seed: int) -> FaceCrop:
    return noise_crop(seed, SIZE)


@pytest.fixture(scope="module")
def identity(method):
    found = method.encode_photos([crop_of(0)])
    return Identity(torch.zeros(1, 3, 32, 32), found.own, found.state)


@pytest.fixture(scope="module")
def clip(method):
    return method.encode_clip(iter([crop_of(k) for k in (1, 2, 3)]))


def frames_of(method, identity, driven, **controls):
    target = pipeline.targets(method, identity, Controls(**controls), 0, 3, driven)
    return method.decode(identity, target.factors, target.sliders).frames


def test_pose_alone_expression_alone_and_both_are_the_papers_pictures(method, identity, clip):
    net = method.net
    with torch.no_grad():
        (x, maps), (y, _) = (eq.features(net, method._picture(crop_of(k))) for k in (0, 2))
        s, d = eq.extract(net, x), eq.extract(net, y)
        made = eq.made(net, maps, s, d)
    both = frames_of(method, identity, clip, motion="absolute")
    assert both.shape == (3, 3, 32, 32)
    assert torch.allclose(both[1:2], made.target.clamp(-1, 1), atol=1e-3)
    assert torch.allclose(frames_of(method, identity, {})[:1], made.rebuilt.clamp(-1, 1), atol=1e-3)
    alone = [frames_of(method, identity, {name: clip[name]}, motion="absolute") for name in ("pose", "expression")]
    assert all(not torch.allclose(one, both, atol=1e-2) for one in alone)


def test_relative_motion_adds_the_change(method, identity, clip):
    relative, absolute = (frames_of(method, identity, clip, motion=motion) for motion in ("relative", "absolute"))
    assert not torch.allclose(relative, absolute, atol=1e-2)
    still = {name: value[:1].repeat(3, 1) for name, value in clip.items()}
    unmoved = frames_of(method, identity, still, motion="relative")
    assert torch.allclose(unmoved, frames_of(method, identity, {}), atol=1e-3)


def test_units_change_the_expression_alone_and_emotions_are_their_sums(method, identity):
    assert method.steer(identity, {})["expression"].abs().max() < 1e-6
    smile = method.steer(identity, {"unit.12": 3.0, "unit.1": 3.0})
    assert smile.keys() == {"expression"} and smile["expression"].abs().max() > 1e-3
    assert torch.allclose(method.steer(identity, {"emotion.happy": 1.0})["expression"], smile["expression"], atol=1e-6)
    full, over = ({"unit.4": 5.0}, {"unit.4": 5.0, "emotion.angry": 0.0})
    assert torch.equal(method.steer(identity, full)["expression"], method.steer(identity, over)["expression"])
    moved, still = (frames_of(method, identity, {}, values=values) for values in ({"unit.12": 5.0}, {}))
    assert not torch.allclose(moved, still, atol=1e-3)


def test_the_declaration_names_units_and_refuses_what_is_out_of_range():
    keys = [control.key for control in FG_EMOTALK_PAPER.controls]
    assert keys[:7] == [f"unit.{au}" for au in (1, 2, 4, 5, 6, 9, 12)]
    assert set(keys[7:]) == {
        f"emotion.{e}" for e in ("angry", "contempt", "disgusted", "fear", "happy", "sad", "surprised")
    }
    assert FG_EMOTALK_PAPER.control("unit.12").label == "AU12 Lip corner puller"
    for value in (5.1, -0.1, "nan"):
        with pytest.raises(ControlError, match=r"unit\.12"):
            FG_EMOTALK_PAPER.control("unit.12").checked(value)
    assert all(f.latent and f.relative and f.sources == (CLIP,) and f.size == 20 for f in FG_EMOTALK_PAPER.factors)


def test_the_evaluation_gets_the_appearance_too(method):
    latents = method.latents(iter([crop_of(1), crop_of(2)]))
    sizes = {name: tuple(value.shape) for name, value in latents.items()}
    assert sizes == {"pose": (2, 20), "expression": (2, 20), "appearance": (2, 48)}
