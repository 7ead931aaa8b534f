"""Maps over the crop: pixel coordinates, resizing, warping by a flow, Gaussian kernels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def grid(size: int, device: torch.device) -> Tensor:
    """Coordinates of the centres of `size` pixels in [-1, 1]: float32 [size].

    >>> grid(4, torch.device("cpu")).tolist()
    [-0.75, -0.25, 0.25, 0.75]
    """
    return (torch.arange(size, device=device, dtype=torch.float32) + 0.5) * (2 / size) - 1


def resize(x: Tensor, size: int) -> Tensor:
    """[B C H W] -> [B C size size], bilinear."""
    return x if x.shape[-1] == size else F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False)


def warp(
    image: Tensor, flow: Tensor, mode: str = "bilinear", beyond: str = "border",
    window: tuple[slice, slice] | None = None,
) -> Tensor:  # fmt: skip
    """Backward warp: sample image [B C H W] at p + flow(p). flow [B 2 H' W'] in half-widths. Returns [B C H' W'].

    mode: "bilinear", or "bicubic", which keeps fine detail and may overshoot a little.
    beyond: values outside the image: the nearest pixel of its edge ("border") or its mirror image ("reflection").
    window: rows and columns, in pixels of the image, that `flow` covers. None: the whole image.
    """
    rows, columns = window or (slice(None), slice(None))
    axis = grid(image.shape[-1] if window else flow.shape[-1], flow.device)
    base = torch.stack(torch.meshgrid(axis[columns], axis[rows], indexing="xy"), -1)
    where = base[None] + flow.permute(0, 2, 3, 1)
    return F.grid_sample(image, where.to(image.dtype), mode=mode, padding_mode=beyond, align_corners=False)


def gaussians(points: Tensor, width: Tensor | float, size: int) -> tuple[Tensor, Tensor]:
    """Gaussian kernels around points [B n 2+], as separable factors (columns, rows), [B n size] each.

    The sum of the kernels over n is rows.transpose(1, 2) @ columns. width: standard deviation in half-widths, a number
    or [B n 1].
    """
    axis = grid(size, points.device)
    columns, rows = (torch.exp(-0.5 * ((axis - points[..., k, None]) / width) ** 2) for k in (0, 1))
    return columns, rows


def spread(values: Tensor, columns: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of values [B n C] times their `gaussians`, [B C size size], and sum of the Gaussians, [B 1 size size]."""
    total = (rows.transpose(1, 2) @ columns)[:, None]
    sums = [(rows * values[..., k, None]).transpose(1, 2) @ columns for k in range(values.shape[-1])]
    return torch.stack(sums, 1), total


def smoothstep(x: Tensor, low: float, high: float) -> Tensor:
    """0 up to `low`, 1 from `high` on, a cubic without kinks between them.

    >>> smoothstep(torch.tensor([0.0, 1.0, 1.5, 2.0, 9.0]), 1, 2).tolist()
    [0.0, 0.0, 0.5, 1.0, 1.0]
    """
    t = ((x - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)
