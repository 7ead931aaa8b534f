"""Both players of a hinge GAN (Lim and Ye 2017), and feature matching (Wang et al. 2018)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def discriminator_hinge(real: Tensor, fake: Tensor) -> Tensor:
    """Mean of max(0, 1 - real) + max(0, 1 + fake); 0 when the two are told apart with a margin of 1."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def generator_hinge(fake: Tensor) -> Tensor:
    """-mean(fake): unbounded below, as the discriminator's score is."""
    return -fake.mean()


def feature_matching(fake: list[Tensor], real: list[Tensor]) -> Tensor:
    """Mean L1 between the discriminator's maps of the generated and the true picture; no gradient into the latter."""
    terms = [(a - b.detach()).abs().mean() for a, b in zip(fake, real, strict=True)]
    return sum(terms) / len(terms)  # type: ignore[return-value]
