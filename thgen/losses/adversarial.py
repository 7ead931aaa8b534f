"""Losses of a hinge GAN (Lim and Ye 2017) with feature matching (Wang et al. 2018), and of StyleGAN2.

The discriminator of the hinge GAN maps pictures [B 3 H W] to scores [B 1 h w] and to a list of its feature maps. The
one of StyleGAN2 maps them to logits [B 1] that a picture is real.
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


# ---- StyleGAN2 (Karras et al. 2020)
def generator_logistic(fake: Tensor) -> Tensor:
    """Non-saturating loss (Goodfellow et al. 2014): mean of -log sigmoid(fake), for logits of any shape."""
    return F.softplus(-fake).mean()


def discriminator_logistic(real: Tensor, fake: Tensor) -> Tensor:
    """Mean of -log sigmoid(real) - log(1 - sigmoid(fake)), for logits of any shape."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def r1_penalty(discriminator: nn.Module, real: Tensor) -> Tensor:
    """R1 (Mescheder et al. 2018): half the squared norm of the gradient of a logit with respect to the true picture.

    real [B C H W]; mean over the batch. The gradient of the result reaches the discriminator.
    """
    pictures = real.detach().requires_grad_(True)
    (slope,) = torch.autograd.grad(discriminator(pictures).sum(), pictures, create_graph=True)
    return slope.square().flatten(1).sum(1).mean() / 2


def path_lengths(pictures: Tensor, latents: Tensor) -> Tensor:
    """How much pictures [B 3 H W] change per change of their latents [B L D] in a random direction of the picture, [B].

    StyleGAN2, section 3.2: its generator keeps these lengths at their mean. The result has a graph.
    """
    noise = torch.randn_like(pictures) / (pictures.shape[2] * pictures.shape[3]) ** 0.5
    (slope,) = torch.autograd.grad((pictures * noise).sum(), latents, create_graph=True)
    return slope.square().sum(2).mean(1).sqrt()
