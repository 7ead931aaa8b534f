import pytest
import torch

from thgen.nn.adain_generator import WIDE, AdaINGenerator, AdaptiveNorm


@pytest.fixture
def small():
    torch.manual_seed(0)
    return AdaINGenerator(12, (8, 8, 4), residual=1)


def test_sizes_are_those_of_the_parent():
    with torch.device("meta"):
        parent, own = AdaINGenerator(512 + 256), AdaINGenerator(1036)
    assert sum(own.widths) * 2 == 13_056 and own.size == 256
    assert own.affine_params_projector["0"].weight_orig.shape == (1036, 1036)
    own_count, parent_count = (sum(p.numel() for p in n.parameters()) for n in (own, parent))
    assert own_count == pytest.approx(41.5e6, rel=0.005)
    assert parent_count < own_count
    assert [b.block["0"].channels for b in list(own.decoder_blocks.values())[:8]] == [512] * 6 + [256, 128]


def test_tensor_names_are_those_of_the_released_generator():
    with torch.device("meta"):
        names = set(AdaINGenerator(1036).state_dict())
    for name in (
        "constant.constant", "decoder_blocks.0.block.3.weight_orig", "decoder_blocks.1.block.7.weight_u",
        "decoder_blocks.2.block.4.weight_orig", "decoder_blocks.7.block.8.weight_v", "decoder_blocks.2.skip.1.bias",
        "decoder_blocks.7.skip.1.weight_orig", "decoder_blocks.10.weight_orig", "decoder_blocks.10.bias",
        "affine_params_projector.0.weight_orig", "affine_params_projector.2.bias",
    ):  # fmt: skip
        assert name in names, name
    assert not any(".block.3.bias" in n or (".skip." in n and n.startswith("decoder_blocks.0.")) for n in names)
    assert len(names) == 1 + 8 * 6 + 6 * 4 + 4 + 2 * 4


def test_the_norm_takes_the_shift_first_and_then_the_scale(small):
    """Numbers of the projector: shift and scale of each norm, in the order in which the picture passes them."""
    with torch.no_grad():
        last = small.affine_params_projector["2"]
        last.weight_orig.zero_()
        last.weight_u.zero_()
        last.weight_u[0] = 1
        last.weight_v.zero_()
        last.weight_v[0] = 1
        last.weight_orig[0, 0] = 1  # any norm but 0
        last.bias.copy_(torch.arange(len(last.bias)))
    affine = small.eval().affine(torch.zeros(1, 12))
    assert [tuple(s.shape) + tuple(c.shape) for s, c in affine] == [(1, n, 1, n) for n in (8, 8, 8, 8, 8, 4, 4)]
    flat = torch.cat([part for pair in affine for part in pair], 1)[0]
    torch.testing.assert_close(flat[1:], torch.arange(1.0, len(flat)))


def test_adaptive_norm_sets_mean_and_spread():
    x, shift, scale = torch.randn(2, 3, 16, 16) * 5 + 2, torch.randn(2, 3), torch.rand(2, 3) + 0.5
    out = AdaptiveNorm(3)(x, shift, scale)
    torch.testing.assert_close(out.mean((2, 3)), shift, atol=1e-4, rtol=0)
    torch.testing.assert_close(out.std((2, 3), correction=0), scale, atol=1e-3, rtol=0)


def test_every_part_of_the_latent_reaches_the_picture(small):
    latent = torch.randn(2, 12, requires_grad=True)
    out = small.eval()(latent)
    assert out.shape == (2, 3, 16, 16) and out.abs().max() <= WIDE
    (slope,) = torch.autograd.grad(out.square().sum(), latent)
    assert (slope != 0).all()
    assert not torch.allclose(out[0], out[1])


@pytest.mark.parametrize("start", [0, 3, 9])
def test_a_shift_moves_the_zero_of_some_entries(small, start):
    small.eval()
    latent, rest = torch.randn(2, 12), torch.randn(3)
    before = small(latent)
    small.shift(start, rest)
    moved = latent.clone()
    moved[:, start : start + 3] -= rest
    torch.testing.assert_close(small(moved), before)
    assert not torch.allclose(small(latent), before)
