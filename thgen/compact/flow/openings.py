"""Openings of a face (left eye, right eye, mouth) as maps over the crop: signed distance to an outline."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from thgen.nn.sampling import grid

EDGE = 0.006  # half-widths: width of the soft edge of an opening
MARGIN = 0.08  # half-widths: the distance is computed up to this far from an outline
FAR = -1.0  # value of the map beyond MARGIN


def polygon_distance(points: Tensor, orientation: Tensor, size: int) -> Tensor:
    """Signed distance in half-widths to a closed polygon [B n 2] (crop coordinates), [B 1 size size]; inside positive.

    orientation: sign of the polygon's area while the opening is open. A polygon of the other orientation, or without
    area, has no inside: the lids or lips are closed. The map is a distance and not a mask, since a distance keeps a
    sharp edge when it is enlarged. Further than MARGIN from the polygon it is FAR.

    >>> square = torch.tensor([[[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]])
    >>> (polygon_distance(square, torch.tensor(1.0), 64) > 0).float().mean().item()  # share of the crop inside
    0.25
    """
    low, high = points.amin(1), points.amax(1)
    side = min(size, math.ceil((float((high - low).max()) / 2 + MARGIN) * size))
    corner = ((low + high + 2) / 4 * size - side / 2).round().long().clamp(0, size - side)
    steps = torch.arange(side, device=points.device)
    rows, columns = corner[:, 1, None] + steps, corner[:, 0, None] + steps
    axis = grid(size, points.device)
    py, px = axis[rows][:, None, :, None], axis[columns][:, None, None, :]
    a = points[:, :, None, None, :]
    b = points.roll(-1, 1)[:, :, None, None, :]
    ax, ay, bx, by = a[..., 0], a[..., 1], b[..., 0], b[..., 1]
    crosses = ((ay > py) != (by > py)) & (px < (bx - ax) * (py - ay) / (by - ay + 1e-12) + ax)
    winding = (crosses * (by - ay).sign()).sum(1)
    # y grows downwards: a ray to the right crosses a loop of positive area where the loop goes towards larger y.
    inside = (winding * orientation > 0).to(points.dtype) * 2 - 1
    dx, dy = bx - ax, by - ay
    t = (((px - ax) * dx + (py - ay) * dy) / (dx * dx + dy * dy + 1e-12)).clamp(0, 1)
    distance = ((px - ax - t * dx) ** 2 + (py - ay - t * dy) ** 2).amin(1).sqrt()
    out = points.new_full((len(points), size, size), FAR)
    batch = torch.arange(len(points), device=points.device)[:, None, None]
    out[batch, rows[:, :, None], columns[:, None, :]] = inside * distance
    return out[:, None]


def open_share(distance: Tensor) -> Tensor:
    """Signed distance to an outline, half-widths, any shape -> how open the opening is there, 0 to 1, same shape.

    The opening begins EDGE inside the outline, so that the rim of lids and lips stays and a closed opening is empty.
    """
    return torch.sigmoid((distance - EDGE) / (EDGE / 2))
