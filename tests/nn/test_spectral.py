import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import spectral_norm

from thgen.nn.spectral import SpectralConv2d, SpectralLinear

CASES = {
    "linear": (lambda: SpectralLinear(6, 4), lambda: spectral_norm(nn.Linear(6, 4)), (3, 6)),
    "convolution": (
        lambda: SpectralConv2d(3, 5, 3, 2, 1, epsilon=1e-4),
        lambda: spectral_norm(nn.Conv2d(3, 5, 3, 2, 1), eps=1e-4),
        (2, 3, 9, 9),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_torchs_spectral_norm_with_its_tensor_names(case):
    own, reference, shape = CASES[case]
    torch.manual_seed(0)
    net, other = own(), reference()
    other.load_state_dict(net.state_dict())
    for _ in range(3):  # one step of the power iteration each
        x = torch.randn(shape)
        torch.testing.assert_close(net(x), other(x))
    grads = [torch.autograd.grad(n(x).square().sum(), n.weight_orig)[0] for n in (net, other)]
    torch.testing.assert_close(*grads)
    net.eval(), other.eval()
    torch.testing.assert_close(net(x), other(x))
    for name, value in net.state_dict().items():
        torch.testing.assert_close(value, other.state_dict()[name])


@pytest.mark.parametrize("case", CASES)
def test_the_largest_singular_value_is_one_from_the_start(case):
    torch.manual_seed(0)
    net = CASES[case][0]()
    assert torch.linalg.matrix_norm(net.weight().flatten(1), 2).item() == pytest.approx(1, abs=0.05)
    before = net.weight_u.clone()
    net.eval().weight()
    assert net.weight_u.equal(before)
    net.train().weight()
    assert not net.weight_u.equal(before), "training goes on with the power iteration"


def test_it_can_be_copied_after_a_step():
    net = SpectralLinear(4, 4)
    net(torch.randn(2, 4)).sum().backward()
    copied = copy.deepcopy(net).eval()
    x = torch.randn(2, 4)
    torch.testing.assert_close(copied(x), net.eval()(x))


def test_mixed_precision_normalises_in_full():
    net = SpectralLinear(8, 8).eval()
    with torch.autocast("cpu", torch.bfloat16):
        assert net.weight().dtype == torch.float32 and net(torch.randn(2, 8)).dtype == torch.bfloat16
