"""Maps over the crop: where their pixels lie, other sizes of them, and what a flow shows of them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def grid(size: int, device: torch.device) -> Tensor:
    """Centres of `size` pixels in [-1, 1]: [size]."""
    return (torch.arange(size, device=device, dtype=torch.float32) + 0.5) * (2 / size) - 1


def resize(x: Tensor, size: int) -> Tensor:
    """[B C H W] -> [B C size size], bilinear."""
    return x if x.shape[-1] == size else F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False)


def warp(
    image: Tensor, flow: Tensor, mode: str = "bilinear", beyond: str = "border",
    window: tuple[slice, slice] | None = None,
) -> Tensor:  # fmt: skip
    """Sample image [B C H W] at p + flow(p); flow [B 2 H' W'] in half-widths. Returns [B C H' W'].

    mode "bicubic" keeps fine detail that "bilinear" blurs, and may overshoot a little. beyond: what lies outside the
    image, its last row ("border") or its mirror image ("reflection"). window: rows and columns, in pixels of the image,
    that `flow` is about; by default all of it.
    """
    rows, columns = window or (slice(None), slice(None))
    axis = grid(image.shape[-1] if window else flow.shape[-1], flow.device)
    base = torch.stack(torch.meshgrid(axis[columns], axis[rows], indexing="xy"), -1)
    where = base[None] + flow.permute(0, 2, 3, 1)
    return F.grid_sample(image, where.to(image.dtype), mode=mode, padding_mode=beyond, align_corners=False)


def smoothstep(x: Tensor, low: float, high: float) -> Tensor:
    """0 up to `low`, 1 from `high` on, smooth between."""
    t = ((x - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)
