"""The painter against the generator's plain path, row by row and in both types."""

import pytest
import torch

from thgen.nn import stylegan2_painter
from thgen.nn.stylegan2 import StyleGAN2
from thgen.nn.stylegan2_painter import Painter, fast_type

LEVELS = 127.5  # of a picture in [-1, 1]


@pytest.fixture(scope="module")
def generator():
    """64 px, as after some training: noise and biases are not 0. Its widest maps scale weights, the others inputs."""
    torch.manual_seed(0)
    net = StyleGAN2(16, (32, 32, 32, 16, 8), layers=2).eval().requires_grad_(False)
    for layer in [net.conv1, *net.convs]:
        layer.noise.weight.fill_(0.2)
        layer.activate.bias.normal_(0, 0.3)
    for layer in [net.to_rgb1, *net.to_rgbs]:
        layer.bias.normal_(0, 0.1)
        layer.conv.weight.mul_(0.2)
    return net


@pytest.fixture(scope="module")
def latents(generator):
    return torch.randn(3, generator.indices, 16, generator=torch.Generator().manual_seed(1))


def painted(generator, latents, kind):
    return Painter(generator, kind)(latents, generator.input.input)


def test_float32_is_the_plain_path(generator, latents):
    both = {layer.bias is None for layer in Painter(generator).layers}
    assert both == {True, False}, "the test must cover scaled weights and scaled inputs"
    plain = generator.paint(latents)
    torch.testing.assert_close(painted(generator, latents, torch.float32), plain, atol=1e-4, rtol=0)


def test_each_row_has_its_own_start(generator, latents):
    starts = torch.randn(3, 32, 4, 4)
    out = Painter(generator, torch.float32)(latents, starts)
    torch.testing.assert_close(out, generator(latents, starts), atol=1e-4, rtol=0)


def test_bfloat16_is_within_a_level_or_two(generator, latents):
    plain = generator.paint(latents)
    assert 0.2 < plain.std() < 1.5, "of the size of a picture"
    levels = (painted(generator, latents, torch.bfloat16) - plain) * LEVELS
    assert 0 < levels.square().mean().sqrt() < 1 and levels.abs().max() < 5
    assert levels.abs().flatten().quantile(0.99) < 2


def test_bfloat16_is_chosen_where_the_processor_has_it(monkeypatch):
    for known, kind in (
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"avx512_f": True}, torch.float32),
        ({}, torch.float32),
    ):
        monkeypatch.setattr(stylegan2_painter.torch.cpu, "get_capabilities", lambda known=known: known)
        assert fast_type() == kind


def test_the_painter_keeps_no_gradient_and_changes_no_weight(generator, latents):
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    out = painted(generator, latents.clone().requires_grad_(), torch.float32)
    assert not out.requires_grad
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())
