"""Modulated convolutions against their definition: weights scaled per image, filters given tap by tap."""

import math

import pytest
import torch
import torch.nn.functional as F

from thgen.nn.stylegan2 import (
    ActivatedLinear,
    BiasActivation,
    ModulatedConv,
    StyleGAN2,
    StyleGenerator,
    blur,
    upsample,
)


def kernel(gain):
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    return taps[:, None] * taps / 64 * gain


def by_weights(conv, x, latent):
    """StyleGAN2, section 2.2 and eq. 1 to 3: scale the weights, normalise them, then convolve."""
    outs = []
    style = F.linear(latent, conv.modulation.weight / math.sqrt(latent.shape[1]), conv.modulation.bias)
    for picture, s in zip(x, style, strict=True):
        weight = conv.weight[0] * s[None, :, None, None] / math.sqrt(x.shape[1] * conv.kernel**2)
        if conv.demodulate:
            weight = weight / torch.sqrt(weight.square().sum((1, 2, 3), keepdim=True) + 1e-8)
        if conv.up:
            wide = F.conv_transpose2d(picture[None], weight.transpose(0, 1), stride=2)
            wide = F.pad(wide, (1, 1, 1, 1))
            c = wide.shape[1]
            outs.append(F.conv2d(wide, kernel(4.0).expand(c, 1, 4, 4), groups=c))
        else:
            outs.append(F.conv2d(picture[None], weight, padding=conv.kernel // 2))
    return torch.cat(outs)


@pytest.mark.parametrize(("size", "demodulate", "up"), [(3, True, False), (3, True, True), (1, False, False)])
def test_scaling_inputs_and_outputs_equals_scaling_the_weights(size, demodulate, up):
    torch.manual_seed(0)
    conv = ModulatedConv(6, 5, size, latent=9, demodulate=demodulate, up=up)
    x, latent = torch.randn(3, 6, 7, 7), torch.randn(3, 9)
    assert torch.allclose(conv(x, latent), by_weights(conv, x, latent), rtol=1e-4, atol=1e-5)


def test_blur_and_upsample_equal_the_filter_in_two_dimensions():
    torch.manual_seed(0)
    picture = torch.randn(2, 3, 5, 6)
    expected = F.conv2d(F.pad(picture, (1, 2, 1, 2)), kernel(4.0).expand(3, 1, 4, 4), groups=3)
    assert torch.allclose(blur(picture, (1, 2), 4.0), expected, atol=1e-6)
    spread = torch.zeros(2, 3, 10, 12)
    spread[:, :, ::2, ::2] = picture
    expected = F.conv2d(F.pad(spread, (2, 1, 2, 1)), kernel(4.0).expand(3, 1, 4, 4), groups=3)
    assert torch.allclose(upsample(picture), expected, atol=1e-6)
    flat = upsample(torch.ones(1, 3, 6, 6))
    assert torch.allclose(flat[:, :, 3:-3, 3:-3], torch.ones(1, 3, 6, 6)), "a constant image stays constant"


def test_activation_scales_by_the_square_root_of_two():
    act = BiasActivation(2)
    act.bias.data[:] = torch.tensor([1.0, -1.0])[None, :, None, None]
    out = act(torch.zeros(1, 2, 1, 1)).flatten()
    assert out.tolist() == pytest.approx([math.sqrt(2), -0.2 * math.sqrt(2)])


def test_noise_is_fixed_and_can_be_switched_off():
    torch.manual_seed(1)
    net = StyleGenerator(latent=12, channels=(8, 8, 4), start=7).eval()
    for layer in [net.conv1, *net.convs]:
        layer.noise.weight.data.fill_(0.3)
    latent, start = torch.randn(2, 12), torch.randn(2, 8, 7, 7)
    with torch.no_grad():
        one, again, without = net(latent, start), net(latent, start), net(latent, start, noise=False)
    assert one.shape == (2, 3, 28, 28) and torch.equal(one, again) and not torch.allclose(one, without)
    assert [m.shape[-1] for m in net.noises.maps()] == [7, 14, 14, 28, 28]


def whole():
    torch.manual_seed(0)
    return StyleGAN2(latent=6, channels=(8, 8, 4), layers=2).eval()


def test_the_size_of_the_whole_generator_is_the_published_one():
    with torch.device("meta"):
        net = StyleGAN2()
    assert sum(p.numel() for p in net.parameters()) == pytest.approx(30.03e6, rel=1e-3) and net.indices == 14
    assert sum(p.numel() for p in net.style.parameters()) == 8 * (512 * 512 + 512)


def test_each_style_index_reaches_the_picture_and_one_latent_serves_all():
    net = whole()
    w = torch.randn(2, 6)
    same = w[:, None].repeat(1, net.indices, 1)
    with torch.no_grad():
        picture = net.paint(w)
        assert picture.shape == (2, 3, 16, 16) and torch.allclose(picture, net.paint(same), atol=1e-5)
        for index in range(net.indices):
            other = same.clone()
            other[:, index] += 1
            assert not torch.allclose(net.paint(other), picture, atol=1e-4), index


def test_the_mapping_forgets_the_length_of_its_input_and_learns_slowly():
    net = whole()
    z = torch.randn(3, 6)
    torch.testing.assert_close(net.style(z), net.style(5 * z))
    layer = ActivatedLinear(512, 64, rate=0.01)
    x = torch.nn.functional.normalize(torch.randn(100, 512)) * math.sqrt(512)
    assert layer(x).square().mean().sqrt().item() == pytest.approx(1.02, abs=0.1), "the output's size stays"
    assert layer.weight.std().item() == pytest.approx(100, rel=0.05), "so a step of Adam is a hundredth of it"


def test_mixing_takes_the_second_latent_from_its_index_on():
    net = whole()
    a, b = torch.randn(2, 6), torch.randn(2, 6)
    mixed = net.mixed(a, b, 2)
    torch.testing.assert_close(mixed[:, 1], net.style(a))
    torch.testing.assert_close(mixed[:, 2], net.style(b))
    torch.testing.assert_close(net.mixed(a, b, net.indices)[:, -1], net.style(a))


def test_the_average_follows_the_latents_of_the_training():
    net = whole()
    for _ in range(2000):
        net.follow(torch.full((4, 6), 3.0))
    torch.testing.assert_close(net.average, torch.full((6,), 3.0), atol=1e-2, rtol=0)


def test_fresh_noise_differs_from_call_to_call():
    net = whole()
    for layer in [net.conv1, *net.convs]:
        layer.noise.weight.data.fill_(0.3)
    w = torch.randn(1, 6).expand(2, -1)
    with torch.no_grad():
        one, again = net.paint(w, fresh=True), net.paint(w, fresh=True)
        assert torch.equal(net.paint(w), net.paint(w))
    assert not torch.allclose(one, again) and not torch.allclose(one[0], one[1])
