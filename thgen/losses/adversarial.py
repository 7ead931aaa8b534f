"""Losses of a hinge GAN (Lim and Ye 2017) with feature matching (Wang et al. 2018).

A discriminator maps pictures [B 3 H W] to scores [B 1 h w] and to a list of its feature maps.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def discriminator_hinge(real: Tensor, fake: Tensor) -> Tensor:
    """Mean of max(0, 1 - real) + max(0, 1 + fake), scores of any shape. 0 where all real scores are 1 or more and all
    fake ones -1 or less."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def generator_hinge(fake: Tensor) -> Tensor:
    """-mean(fake). It has no lower bound, because the discriminator's scores have no upper bound."""
    return -fake.mean()


def feature_matching(fake: list[Tensor], real: list[Tensor]) -> Tensor:
    """Mean over maps of the mean L1 distance between two pictures' feature maps. No gradient reaches `real`."""
    terms = [(a - b.detach()).abs().mean() for a, b in zip(fake, real, strict=True)]
    return sum(terms) / len(terms)  # type: ignore[return-value]


def generator_losses(discriminator: nn.Module, fake: Tensor, real: Tensor) -> dict[str, Tensor]:
    """The generator's terms "adversarial" and "matching" for generated and true pictures, both [B 3 H W]."""
    score, fake_maps = discriminator(fake)
    with torch.no_grad():
        _, real_maps = discriminator(real)
    return {
        "adversarial": generator_hinge(score.float()),
        "matching": feature_matching([m.float() for m in fake_maps], real_maps),
    }


def discriminator_losses(discriminator: nn.Module, fake: Tensor, real: Tensor) -> dict[str, Tensor]:
    """The discriminator's term "discriminator" for pictures [B 3 H W]; `fake` was generated without gradients."""
    return {"discriminator": discriminator_hinge(discriminator(real)[0].float(), discriminator(fake)[0].float())}
