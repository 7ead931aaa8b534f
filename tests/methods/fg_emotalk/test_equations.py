"""Equations 1 to 11: which code makes which picture, and which pair each loss compares."""

import math

import pytest
import torch

from thgen.methods.fg_emotalk import equations as eq
from thgen.methods.fg_emotalk.networks import VideoNetwork


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return VideoNetwork(16, 16, 3, 2).eval()


@pytest.fixture(scope="module")
def step(net):
    torch.manual_seed(1)
    source, driving = torch.rand(2, 2, 3, 16, 16) * 2 - 1
    with torch.no_grad():
        (x, maps), (y, _) = eq.features(net, source), eq.features(net, driving)
        s, d = eq.extract(net, x), eq.extract(net, y)
        return source, driving, maps, s, d, eq.made(net, maps, s, d)


def test_equations_1_and_2_have_the_papers_parts(net, step):
    _, _, maps, s, _, _ = step
    assert s.appearance.shape == (2, 16) and s.pose.shape == (2, 3) and s.expression.shape == (2, 2)
    assert [m.shape[-1] for m in maps] == [8, 16]


def test_equations_3_to_5_make_five_pictures(net, step):
    _, _, maps, s, d, made = step
    basis = net.dictionary.basis().detach()
    dic = {"pose": lambda e: e.pose @ basis[:, :3].T, "expression": lambda e: e.expression @ basis[:, 3:].T}
    codes = {
        "target": s.appearance + dic["pose"](d) + dic["expression"](d),
        "appearance": s.appearance,
        "expression": s.appearance + dic["expression"](d),
        "pose": s.appearance + dic["pose"](d),
        "rebuilt": s.appearance + dic["pose"](s) + dic["expression"](s),
    }
    with torch.no_grad():
        for name, code in codes.items():
            assert torch.allclose(getattr(made, name), eq.generate(net, maps, code), atol=1e-4), name
    names = list(codes)
    for k, one in enumerate(names):
        for other in names[k + 1 :]:
            assert not torch.allclose(getattr(made, one), getattr(made, other), atol=1e-3), (one, other)


def test_a_picture_that_drives_itself_is_the_rebuilt_one(net, step):
    _, _, maps, s, _, _ = step
    with torch.no_grad():
        made = eq.made(net, maps, s, s)
    assert torch.allclose(made.target, made.rebuilt, atol=1e-4)


def test_equation_6_is_the_angle_between_features():
    backbone = lambda x: x.flatten(1)  # noqa: E731
    one = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    made = (one * 3).requires_grad_()
    assert eq.appearance(backbone, made, one).item() == pytest.approx(0, abs=1e-6)
    turned = torch.tensor([[0.0, 1.0], [-1.0, -1.0]])
    assert eq.appearance(backbone, turned, one).item() == pytest.approx((1 + 2) / 2, abs=1e-6)


def test_no_gradient_reaches_the_true_picture():
    true = torch.randn(2, 3, 4).requires_grad_()
    made = torch.randn(2, 3, 4).requires_grad_()
    loss = eq.expression(lambda x: 2 * x, made, true) + eq.appearance(lambda x: x.flatten(1), made, true)
    loss.backward()
    assert true.grad is None and made.grad.abs().max() > 0
    assert eq.expression(lambda x: 2 * x, made + 1, made).item() == pytest.approx(2, rel=1e-5)


def test_equations_8_and_9_compare_the_pairs_that_the_paper_names(step):
    source, driving, _, _, _, made = step
    right = eq.Made(driving, made.appearance, made.expression, made.pose, source)
    vgg = lambda x: [x, x[..., ::2]]  # noqa: E731
    assert eq.perceptual(vgg, right, source, driving) == 0 and eq.reconstruction(right.target, driving) == 0
    swapped = eq.Made(source, made.appearance, made.expression, made.pose, driving)
    assert eq.perceptual(vgg, swapped, source, driving) > 0.1
    assert eq.reconstruction(driving + 0.5, driving).item() == pytest.approx(0.5, rel=1e-5)


def test_equation_10_sums_over_five_pictures():
    logits = [torch.full((2, 1), float(k)) for k in range(5)]
    true = sum(math.log1p(math.exp(-k)) for k in range(5))
    assert eq.gan_generator(logits).item() == pytest.approx(true, rel=1e-5)
    real = torch.full((2, 1), 1.5)
    true = math.log1p(math.exp(-1.5)) + sum(math.log1p(math.exp(k)) for k in range(5)) / 5
    assert eq.gan_discriminator(real, logits).item() == pytest.approx(true, rel=1e-5)


def test_equation_11_has_the_papers_weights():
    terms = {name: torch.tensor(1.0) for name in eq.LAMBDAS}
    assert eq.total(terms).item() == 100 + 100 + 10 + 1 + 1
    del terms["appearance"]
    assert eq.total(terms).item() == 112, "a loss without its network is off"


def test_the_loss_of_the_units_is_zero_at_equality_alone():
    change = torch.randn(3, 4).requires_grad_()
    made = change.detach().clone().requires_grad_()
    assert eq.au_loss(made, change).item() == pytest.approx(0, abs=1e-5)
    assert eq.au_loss(2 * made, change) > 0.1
    eq.au_loss(made * 2, change).backward()
    assert change.grad is None and made.grad is not None
