import math

import pytest
import torch

from thgen.losses.contrastive import info_nce_among


def test_each_row_has_its_diagonal_as_the_positive():
    near = torch.tensor([[[1.0, 0.0], [0.5, -0.5]]])
    first, second = -math.log(1 / (1 + math.exp(-10))), -math.log(1 / (1 + math.exp(10)))
    assert info_nce_among(near, 0.1).item() == pytest.approx((first + second) / 2, rel=1e-4)


def test_moments_that_look_alike_give_the_loss_of_a_guess():
    assert info_nce_among(torch.full((3, 5, 5), 0.7), 0.1).item() == pytest.approx(math.log(5))
