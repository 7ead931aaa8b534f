"""LIA as a method, with a small random network: from a photo and a clip to frames, and what each slider does."""

import numpy as np
import pytest
import torch

from tests.methods.noise import noise_crop
from thgen import pipeline
from thgen.declare import CLIP
from thgen.face.finder import FaceCrop
from thgen.methods.base import Identity
from thgen.methods.lia.declaration import LIA_RELEASED, MOTION
from thgen.methods.lia.method import Lia
from thgen.nn.lia import LIA
from thgen.settings import Controls

SIZE = 48  # px of the photo; the network paints 32


@pytest.fixture(scope="module")
def method():
    torch.manual_seed(0)
    return Lia(LIA(32, 24, 20).eval().requires_grad_(False), torch.device("cpu"))


def crop_of(seed: int) -> FaceCrop:
    return noise_crop(seed, SIZE)


@pytest.fixture(scope="module")
def identity(method):
    return method.encode_photos([crop_of(0)])


@pytest.fixture(scope="module")
def clip(method):
    return method.encode_clip(iter([crop_of(k) for k in (1, 1, 1, 2, 3, 4)]))


def frames_of(method, identity, driven, **controls):
    target = pipeline.targets(method, identity, Controls(**controls), 0, 6, driven)
    return method.decode(identity, target.factors, target.sliders).frames


def picture(method, crop):
    return method._picture(crop)


def test_a_clip_moves_the_photo_in_absolute_motion_as_the_network_does(method, identity, clip):
    assert clip[MOTION].shape == (6, 20) and identity.own[MOTION].shape == (1, 20)
    frames = frames_of(method, identity, clip, motion="absolute")
    assert frames.shape == (6, 3, SIZE, SIZE) and frames.abs().max() <= 1
    small = method.decode(Identity(torch.zeros(1, 3, 32, 32), identity.own, identity.state), clip).frames
    for row, seed in ((0, 1), (3, 2), (5, 4)):
        with torch.inference_mode():
            true = method.net(picture(method, crop_of(0)), picture(method, crop_of(seed))).clamp(-1, 1)
        assert torch.allclose(small[row : row + 1], true, atol=1e-3)


def test_relative_motion_is_that_of_the_released_code(method, identity, clip):
    """The clip's first frames are alike, so their median is its first frame."""
    small = Identity(torch.zeros(1, 3, 32, 32), identity.own, identity.state)
    frames = frames_of(method, small, clip, motion="relative")
    for row, seed in ((0, 1), (3, 2), (5, 4)):
        with torch.inference_mode():
            parts = [picture(method, crop_of(k)) for k in (0, seed, 1)]
            true = method.net(*parts).clamp(-1, 1)
        assert torch.allclose(frames[row : row + 1], true, atol=1e-3)
    still = frames_of(method, small, {})
    assert torch.allclose(frames[0], still[0], atol=1e-3) and not torch.allclose(frames[5], still[0], atol=1e-2)


def test_each_slider_moves_one_direction(method, identity):
    for number in (1, 20):
        (offset,) = method.steer(identity, {f"lia.d{number}": 2.0})[MOTION]
        assert offset[number - 1] == 2 and offset.count_nonzero() == 1
    assert not method.steer(identity, {})[MOTION].any()
    still = frames_of(method, identity, {})
    moved = frames_of(method, identity, {}, values={"lia.d7": 3.0})
    own = identity.own[MOTION].clone()
    own[0, 6] += 3
    assert torch.allclose(moved[:1], method.decode(identity, {MOTION: own}).frames, atol=1e-4)
    assert not torch.allclose(moved, still, atol=1e-3)


def test_the_declaration_says_what_it_can(method):
    (factor,) = LIA_RELEASED.factors
    assert factor.latent and factor.relative and factor.sources == (CLIP,) and factor.size == len(LIA_RELEASED.controls)
    assert LIA_RELEASED.control("lia.d20").checked("-5") == -5
    assert LIA_RELEASED.weights == ("analyser", "lia") and "weights convert lia" in LIA_RELEASED.weights_from
    assert method.encode_audio(np.zeros(640, np.float32), 1) == {}


def test_the_evaluation_gets_the_source_code_too(method):
    latents = method.latents(iter([crop_of(1), crop_of(2)]))
    assert {name: tuple(value.shape) for name, value in latents.items()} == {MOTION: (2, 20), "code": (2, 24)}
