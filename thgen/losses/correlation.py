"""Correlation of two latents over more samples than one batch holds."""

from __future__ import annotations

import torch
from torch import Tensor, nn

EPSILON = 1e-6  # added to sums of squares: a constant entry has correlation 0 and not 0 / 0


def correlations(a: Tensor, b: Tensor) -> Tensor:
    """Pearson's correlation of every entry of a [N A] with every entry of b [N B]: [A B], in [-1, 1]."""

    def standardised(x: Tensor) -> Tensor:
        x = x - x.mean(0)
        return x / (x.square().sum(0) + EPSILON).sqrt()

    return standardised(a.float()).T @ standardised(b.float())


class MemoryBank(nn.Module):
    """The latest `size` pairs of two latents, the newest last. Checkpoints contain it (buffers)."""

    first: Tensor
    second: Tensor
    filled: Tensor

    def __init__(self, size: int, first: int, second: int):
        """first, second: entries of the two latents."""
        super().__init__()
        self.register_buffer("first", torch.zeros(size, first))
        self.register_buffer("second", torch.zeros(size, second))
        self.register_buffer("filled", torch.zeros(()))

    def joined(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """The bank's rows followed by those of a batch [B first], [B second]. Gradients reach the batch only."""
        count = int(self.filled)
        start = len(self.first) - count
        return (
            torch.cat([self.first[start:], first.float()]),
            torch.cat([self.second[start:], second.float()]),
        )

    @torch.no_grad()
    def push(self, first: Tensor, second: Tensor) -> None:
        """Append a batch [B first], [B second] and drop the oldest rows."""
        for bank, rows in ((self.first, first), (self.second, second)):
            bank.copy_(torch.cat([bank, rows.detach().to(bank)])[-len(bank) :])
        self.filled.fill_(min(len(self.first), int(self.filled) + len(first)))
