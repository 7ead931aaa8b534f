"""Distance of a generated picture to the true one. Pictures [B C H W] in [-1, 1]; every loss is 0 at equality."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

SMALLEST_SQUARE = 1e-12  # added below a root, whose slope at 0 has no limit


def weighted_l1(image: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Mean |image - truth| under weight [B 1 H W]."""
    return ((image - truth).abs() * weight).mean() / weight.mean()


def multiscale_l1(image: Tensor, truth: Tensor, scales: int = 3) -> Tensor:
    """Mean of the L1 distances at `scales` resolutions: full size, then after each 2x2 average pooling."""
    total = (image - truth).abs().mean()
    for _ in range(scales - 1):
        image, truth = F.avg_pool2d(image, 2), F.avg_pool2d(truth, 2)
        total = total + (image - truth).abs().mean()
    return total / scales


def edges(image: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """L1 between the horizontal and vertical differences of neighbouring pixels, under weight [B 1 H W]."""
    dx = (image.diff(dim=-1) - truth.diff(dim=-1)).abs() * weight[..., 1:]
    dy = (image.diff(dim=-2) - truth.diff(dim=-2)).abs() * weight[..., 1:, :]
    return (dx.mean() + dy.mean()) / weight.mean()


def perceptual(made: list[Tensor], true: list[Tensor]) -> Tensor:
    """Perceptual loss (Johnson et al. 2016): sum over layers of the mean |made - true|.

    made, true: feature maps of a generated and a true picture. No gradient reaches `true`.
    """
    return sum((a.float() - b.float().detach()).abs().mean() for a, b in zip(made, true, strict=True))  # type: ignore[return-value]


def feature_l1(made: list[Tensor], true: list[Tensor]) -> Tensor:
    """Perceptual loss in relative units: mean over layers of L1, divided by the true map's mean magnitude."""
    terms = [(a - b).abs().mean() / b.abs().mean().clamp_min(1e-3) for a, b in zip(made, true, strict=True)]
    return sum(terms) / len(terms)  # type: ignore[return-value]


def masked_mean(value: Tensor, mask: Tensor) -> Tensor:
    """Mean of `value` where `mask` is 1; both [B ...] of one shape. 0 for an empty mask."""
    return (value * mask).sum() / mask.sum().clamp_min(1)


def root_mean_square(difference: Tensor) -> Tensor:
    """Mean over rows [B ...] of a row's root mean square: its L2 norm, divided by the root of the number of entries."""
    return (difference.square().flatten(1).mean(1) + SMALLEST_SQUARE).sqrt().mean()
