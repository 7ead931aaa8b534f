"""The frozen encoder of compact stages: features of clips, their augmentation, and which encoder it is."""

import numpy as np
import pytest
import torch

from thgen.encoder import frozen
from thgen.encoder.frozen import load_encoder, read_frames, trained_on
from thgen.encoder.inputs import input_size
from thgen.training.data.store import ClipStore
from thgen.weights import hub


@pytest.fixture(scope="module")
def encoder():
    return load_encoder("ellipsoid")


@pytest.fixture(scope="module")
def clip(shards):
    images, truth = ClipStore(shards).load(0)
    return images, truth["keypoints"]


def test_the_encoder_of_another_head_is_always_the_same_and_draws_nothing(encoder):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    again = load_encoder("ellipsoid")
    assert torch.equal(torch.rand(1), expected), "the stage's own weights do not change"
    assert all(torch.equal(a, b) for a, b in zip(encoder.parameters(), again.parameters(), strict=True))
    assert not any(p.requires_grad for p in again.parameters()) and not again.training


def test_frames_read_in_parts_are_those_read_together(encoder, clip, monkeypatch):
    whole = read_frames(encoder, *clip)
    assert whole.shape == (len(clip[0]), input_size(encoder)) and whole.dtype == torch.float32
    monkeypatch.setattr(frozen, "BATCH", 2)
    torch.testing.assert_close(read_frames(encoder, *clip), whole, atol=1e-5, rtol=1e-4)


def test_a_stage_with_autocast_reads_as_exactly(encoder, clip):
    with torch.autocast("cpu", torch.bfloat16):
        inside = read_frames(encoder, *clip)
    assert torch.equal(inside, read_frames(encoder, *clip))


def test_augmented_frames_have_other_pictures_and_other_places_of_tiles(encoder, clip):
    plain = read_frames(encoder, *clip)
    one, same, other = (read_frames(encoder, *clip, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)
    size = encoder.feature_size
    assert not torch.allclose(one[:, :size], plain[:, :size]) and not torch.allclose(one[:, size:], plain[:, size:])


@pytest.mark.weights
def test_the_bundled_encoder_is_loaded_and_named():
    encoder = load_encoder("facekit")
    assert input_size(encoder) > 500
    assert hub.describe("face_encoder")["sha256"] in trained_on("facekit")
