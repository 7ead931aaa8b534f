"""Records of tensors keep their kind and their fields."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from thgen.nn.rows import Rows


@dataclass(frozen=True)
class Pair(Rows):
    one: Tensor
    two: Tensor


@pytest.fixture
def pair() -> Pair:
    return Pair(torch.ones(1, 3, requires_grad=True), torch.zeros(1, 2, 2, dtype=torch.float64))


def test_every_field_changes(pair: Pair) -> None:
    assert type(pair.float()) is Pair and pair.float().two.dtype == torch.float32
    assert not pair.detach().one.requires_grad and pair.one.requires_grad
    assert pair.to(torch.device("meta")).two.device.type == "meta"


def test_rows_are_repeated_and_joined(pair: Pair) -> None:
    four = pair.expand(4)
    assert four.one.shape == (4, 3) and four.two.shape == (4, 2, 2)
    both = Pair.cat([four, pair])
    assert both.one.shape == (5, 3) and both.two.shape == (5, 2, 2)
