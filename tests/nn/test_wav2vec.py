"""wav2vec 2.0 at a tiny size: what it hears is what transformers hears, and public names are read."""

import numpy as np
import pytest
import torch

from thgen.nn.wav2vec import FIELD, Wav2Vec2, normalised, own_names

TINY = {"channels": (16,) * 7, "hidden": 16, "layers": 2, "heads": 2, "inner": 32, "positions": 8, "groups": 2}


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return Wav2Vec2(**TINY).eval()


def test_the_default_has_the_size_of_base():
    with torch.device("meta"):
        count = sum(p.numel() for p in Wav2Vec2().parameters())
    assert count == pytest.approx(94.4e6, rel=0.005)


@torch.no_grad()
def test_at_its_own_rate_it_is_the_model_of_transformers(net):
    sound = torch.randn(2, 16000)
    expected = net.model(sound).last_hidden_state
    assert expected.shape == (2, 49, 16)
    torch.testing.assert_close(net(sound, 49), expected, atol=1e-5, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("frames", [1, 30, 60])
def test_it_gives_one_feature_per_frame(net, frames):
    assert net(torch.randn(1, 16000), frames).shape == (1, frames, 16)


@torch.no_grad()
def test_features_follow_the_sound_in_time(net):
    """Convolutions are resampled before the transformer: a late change moves late features most."""
    torch.manual_seed(0)
    sound = torch.randn(1, 16000)
    other = sound.clone()
    other[:, 12000:] = torch.randn(4000)
    moved = (net(sound, 30) - net(other, 30)).abs().mean(2)[0]
    assert moved[25:].min() > 2 * moved[:15].max()


@torch.no_grad()
def test_sounds_may_be_shorter_than_one_field(net):
    assert torch.isfinite(net(torch.randn(1, FIELD // 4), 2)).all()


def test_the_convolutions_are_frozen_and_the_transformer_is_not(net):
    frozen = {name.split(".")[1] for name, p in net.named_parameters() if not p.requires_grad}
    assert frozen == {"feature_extractor"}
    net.train()
    net(torch.randn(1, 4000), 5).square().sum().backward()
    assert all(p.grad is None for p in net.model.feature_extractor.parameters())
    assert net.model.feature_projection.projection.weight.grad.abs().sum() > 0
    net.eval()


def test_normalised_sounds_do_not_depend_on_the_level():
    sound = np.random.default_rng(0).normal(0.2, 0.1, 4000)
    assert normalised(sound).mean() == pytest.approx(0, abs=1e-5) and normalised(sound).std() == pytest.approx(1, 1e-3)
    np.testing.assert_allclose(normalised(sound), normalised(3 * sound), atol=1e-3)
    assert (normalised(np.zeros(100)) == 0).all() and normalised(np.zeros(0)).shape == (0,)


@pytest.mark.parametrize("old", [True, False])
def test_public_checkpoints_fit(net, old):
    """Both names of weight norm occur; heads and the mask of the pre-training are left out."""
    public = {"wav2vec2." + name.removeprefix("model."): value for name, value in net.state_dict().items()}
    if old:
        public = {name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"): value for name, value in public.items()}  # fmt: skip
        assert "wav2vec2.encoder.pos_conv_embed.conv.weight_g" in public
    public |= {"lm_head.weight": torch.zeros(1), "wav2vec2.masked_spec_embed": torch.zeros(16)}
    again = Wav2Vec2(**TINY)
    again.load_state_dict(own_names(public), strict=True)
    assert all(torch.equal(value, net.state_dict()[name]) for name, value in again.state_dict().items())
