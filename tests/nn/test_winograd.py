"""Winograd's products give what a direct convolution gives."""

import pytest
import torch
import torch.nn.functional as F

from thgen.nn.winograd import INPUT, OUTPUT, WEIGHT, Winograd, pays


@pytest.mark.parametrize(("inputs", "outputs", "height", "width"), [(3, 5, 8, 12), (6, 2, 4, 4), (16, 16, 16, 16)])
def test_it_equals_the_direct_convolution(inputs, outputs, height, width):
    torch.manual_seed(0)
    weight, x = torch.randn(outputs, inputs, 3, 3), torch.randn(1, inputs, height, width)
    out = Winograd(weight)(x.contiguous(memory_format=torch.channels_last))
    true = F.conv2d(x, weight, padding=1)
    assert out.shape == true.shape and out.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(out, true, atol=3e-5 * true.abs().max())


def test_along_one_axis_the_transforms_are_a_convolution():
    x, w = torch.arange(6.0) ** 2, torch.tensor([2.0, -1.0, 0.5])
    one, two, three = (torch.tensor(rows) for rows in (INPUT, WEIGHT, OUTPUT))
    made = three.float() @ ((two @ w) * (one.float() @ x))
    assert torch.allclose(made, F.conv1d(x[None, None], w[None, None])[0, 0], atol=1e-4)


def test_it_pays_for_many_channels_and_whole_tiles():
    assert pays(256, 64) and pays(512, 16)
    assert not pays(128, 128) and not pays(512, 8) and not pays(512, 18)
