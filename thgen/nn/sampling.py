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


def gaussians(points: Tensor, width: Tensor | float, size: int) -> tuple[Tensor, Tensor]:
    """Gaussians around points [B n 2+] as factors of columns and rows, [B n size] each. Their sum is a matrix product:
    rows.transpose(1, 2) @ columns. width: half-widths, or [B n 1] of them."""
    axis = grid(size, points.device)
    columns, rows = (torch.exp(-0.5 * ((axis - points[..., k, None]) / width) ** 2) for k in (0, 1))
    return columns, rows


def spread(values: Tensor, columns: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Sum [B C size size] of values [B n C] times their `gaussians`, and of the Gaussians alone [B 1 size size]."""
    total = (rows.transpose(1, 2) @ columns)[:, None]
    sums = [(rows * values[..., k, None]).transpose(1, 2) @ columns for k in range(values.shape[-1])]
    return torch.stack(sums, 1), total


def smoothstep(x: Tensor, low: float, high: float) -> Tensor:
    """0 up to `low`, 1 from `high` on, smooth between."""
    t = ((x - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)
