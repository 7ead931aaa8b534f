"""Modulated convolutions against their definition: weights scaled per image, filters given tap by tap."""

import math

import pytest
import torch
import torch.nn.functional as F

from thgen.nn.stylegan2 import BiasActivation, ModulatedConv, StyleGenerator, blur, upsample


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
