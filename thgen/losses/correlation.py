"""How far two latents go together over many samples, more of them than fit into a batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

EPSILON = 1e-6


def correlations(a: Tensor, b: Tensor) -> Tensor:
    """Pearson's correlation of every entry of a [N A] with every entry of b [N B]: [A B], in [-1, 1]."""

    def standard(x: Tensor) -> Tensor:
        x = x - x.mean(0)
        return x / (x.square().sum(0) + EPSILON).sqrt()

    return standard(a.float()).T @ standard(b.float())


class MemoryBank(nn.Module):
    """The latest `size` rows of two latents that belong together, newest last; saved with the training."""

    first: Tensor
    second: Tensor
    filled: Tensor

    def __init__(self, size: int, first: int, second: int):
        super().__init__()
        self.register_buffer("first", torch.zeros(size, first))
        self.register_buffer("second", torch.zeros(size, second))
        self.register_buffer("filled", torch.zeros(()))

    def joined(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """The bank's rows and after them those of a batch [B A], [B C]; gradients reach the batch alone."""
        count = int(self.filled)
        old = len(self.first) - count
        return (
            torch.cat([self.first[old:], first.float()]),
            torch.cat([self.second[old:], second.float()]),
        )

    @torch.no_grad()
    def push(self, first: Tensor, second: Tensor) -> None:
        """Remember a batch and forget the oldest rows."""
        for bank, rows in ((self.first, first), (self.second, second)):
            bank.copy_(torch.cat([bank, rows.detach().to(bank)])[-len(bank) :])
        self.filled.fill_(min(len(self.first), int(self.filled) + len(first)))
