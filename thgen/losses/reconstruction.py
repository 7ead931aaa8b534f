"""How far a picture is from the true one. Images [B C H W] in [-1, 1]; every loss is 0 at equality."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def weighted_l1(image: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Mean |image - truth| under weight [B 1 H W]."""
    return ((image - truth).abs() * weight).mean() / weight.mean()


def multiscale_l1(image: Tensor, truth: Tensor, scales: int = 3) -> Tensor:
    """Mean of L1 at full size and after each 2x2 average pooling, `scales` in all."""
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


def feature_l1(found: list[Tensor], true: list[Tensor]) -> Tensor:
    """Perceptual loss on given feature maps: mean over maps of L1 relative to the true map's mean magnitude."""
    terms = [(a - b).abs().mean() / b.abs().mean().clamp_min(1e-3) for a, b in zip(found, true, strict=True)]
    return sum(terms) / len(terms)  # type: ignore[return-value]


def masked_mean(value: Tensor, mask: Tensor) -> Tensor:
    """Mean of value where mask is 1; both [B ...] of one shape."""
    return (value * mask).sum() / mask.sum().clamp_min(1)
