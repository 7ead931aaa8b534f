import pytest
import torch

from thgen.losses.reconstruction import (
    edges,
    feature_l1,
    masked_mean,
    multiscale_l1,
    perceptual,
    root_mean_square,
    weighted_l1,
)

A = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
ONES = torch.ones(2, 1, 16, 16)
LOSSES = {
    "weighted_l1": lambda x, y: weighted_l1(x, y, ONES),
    "multiscale_l1": multiscale_l1,
    "edges": lambda x, y: edges(x, y, ONES),
    "feature_l1": lambda x, y: feature_l1([x], [y]),
    "perceptual": lambda x, y: perceptual([x], [y]),
}


@pytest.mark.parametrize("name", LOSSES)
def test_zero_at_equality_with_a_gradient_elsewhere(name):
    loss = LOSSES[name]
    assert loss(A, A) == 0
    x = (A + 0.1 * torch.rand_like(A)).requires_grad_()
    value = loss(x, A)
    value.backward()
    assert value > 0 and x.grad.abs().sum() > 0


def test_worked_examples():
    zero, one = torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4)
    assert weighted_l1(one, zero, torch.rand(1, 1, 4, 4)) == pytest.approx(1)
    assert multiscale_l1(one, zero) == pytest.approx(1)
    assert edges(one, zero, one) == 0, "an offset has no edges"
    step = zero.clone()
    step[..., 2:] = 1
    assert edges(step, zero, one) == pytest.approx(4 / 12)
    assert feature_l1([one * 3], [one * 2]) == pytest.approx(0.5)
    assert perceptual([one * 3, zero], [one * 2, one * 2]) == pytest.approx(1 + 2), "a sum over layers"
    assert masked_mean(torch.tensor([1.0, 5.0]), torch.tensor([0.0, 1.0])) == 5


def test_weight_moves_the_loss_to_where_it_lies():
    wrong = A.clone()
    wrong[..., :8, :] += 0.5
    top, bottom = ONES.clone(), ONES.clone()
    top[..., 8:, :] = 0
    bottom[..., :8, :] = 0
    assert weighted_l1(wrong, A, top) > 0.2 > weighted_l1(wrong, A, bottom) == 0


def test_root_mean_square_does_not_depend_on_the_size_and_has_a_slope_at_zero():
    assert root_mean_square(torch.full((2, 3, 4, 4), -0.5)) == pytest.approx(0.5)
    assert root_mean_square(torch.full((1, 8), -0.5)) == pytest.approx(0.5)
    assert root_mean_square(torch.tensor([[3.0, 0, 0, 0], [0, 0, 0, 0]])) == pytest.approx(0.75), "1.5 and 0"
    same = torch.zeros(2, 3, requires_grad=True)
    root_mean_square(same).backward()
    assert torch.isfinite(same.grad).all()
