"""The painter of LIA gives the codes and pictures of LIA itself."""

import pytest
import torch
import torch.nn.functional as F

from thgen.nn import lia_painter
from thgen.nn.lia import LIA
from thgen.nn.lia_painter import Painter, doubled
from thgen.nn.stylegan2 import upsample
from thgen.nn.winograd import Winograd


def network(size=32, code=256, motion=5):
    """Biases and strengths differ from those of a new network, so that each counts."""
    torch.manual_seed(0)
    net = LIA(size, code, motion).eval().requires_grad_(False)
    for name, value in net.named_parameters():
        if name.endswith("bias") and "modulation" not in name:
            value.normal_(std=0.3)
    for head in net.dec.to_flows:
        head.conv.weight.mul_(0.3)  # random flows of a new network read anywhere, and enlarge errors of rounding
    return net


@pytest.fixture(scope="module")
def net():
    return network()


@pytest.fixture(scope="module")
def painter(net):
    return Painter.of(net)


def pictures(count, side=32):
    torch.manual_seed(1)
    return F.interpolate(torch.randn(count, 3, 8, 8), size=side, mode="bicubic").clamp(-1, 1)


def test_codes_features_and_magnitudes_are_equal(net, painter):
    x = pictures(1)
    (code, features), (true, wanted) = painter.encode(x), net.encode(x)
    assert torch.allclose(code, true, atol=1e-4) and torch.allclose(
        net.magnitudes(code), net.magnitudes(true), atol=1e-4
    )
    assert [f.shape for f in features] == [f.shape for f in wanted]
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(features, wanted, strict=True))


@pytest.mark.parametrize(("size", "code"), [(32, 256), (64, 16), (16, 32)])
def test_pictures_are_equal(size, code):
    net = network(size, code)
    painter = Painter.of(net)
    one, two = pictures(2, size).split(1)
    true = net(one, two)
    where, features = painter.encode(one)
    move = net.dec.direction(net.magnitudes(painter.encode(two)[0]))
    assert torch.allclose(painter.paint(where + move, features), true, atol=1e-4)
    assert not torch.allclose(painter.paint(where - move, features), true, atol=1e-2)
    # features of the network itself, not in channels-last, serve as well
    plain = [f.contiguous() for f in net.encode(one)[1]]
    assert torch.allclose(painter.paint(where + move, plain), true, atol=1e-4)


def test_both_kinds_of_convolutions_and_of_modulation_are_at_work(painter):
    assert isinstance(painter.blocks[0].first, Winograd) and isinstance(painter.convs[3].fixed, Winograd)
    assert {layer.scales_input for layer in Painter.of(network(64, 16)).convs} == {True, False}


def test_flows_that_leave_the_picture_read_zeros(net):
    other = network()
    for head in other.dec.to_flows:
        head.bias[:, :2] = 30.0  # tanh is 1: half of all positions lie outside
    one = pictures(1)
    code, features = other.encode(one)
    made = Painter.of(other).paint(code, features)
    assert torch.allclose(made, other.decode(code, features, torch.zeros(1, 5)), atol=1e-4)


def test_inputs_stay_as_they_are(painter):
    one = pictures(1)
    code, features = painter.encode(one)
    before = [one.clone(), code.clone(), *(f.clone() for f in features)]
    first = painter.paint(code, features)
    assert torch.equal(painter.paint(code, features), first)
    painter.encode(one)
    assert all(torch.equal(a, b) for a, b in zip(before, [one, code, *features], strict=True))


def test_doubling_is_the_filter_of_stylegan2():
    picture = torch.randn(1, 3, 5, 7)
    assert torch.allclose(doubled(picture), upsample(picture), atol=1e-6)
    assert pytest.approx(2**0.5) == lia_painter.GAIN
