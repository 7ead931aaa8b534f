"""Openings of a face, eyes and mouth, as maps over the crop: how far each place lies inside an outline."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from thgen.nn.sampling import grid

EDGE = 0.006  # half-widths over which the edge of an opening is softened
MARGIN, FAR = 0.08, -1.0  # half-widths around an opening in which its distance is measured; what it is elsewhere


def polygon_distance(points: Tensor, sense: Tensor, size: int) -> Tensor:
    """Signed distance in half-widths to a closed polygon [B n 2] (crop coordinates), [B 1 size size]; inside positive.

    sense: sign of the polygon's area where it counts as open. One that has collapsed or turned inside out is empty,
    which is what closed lids and pressed lips are. Distances, unlike masks, can be enlarged and keep a sharp edge.
    Measured only near the polygon; further than MARGIN from it the map says FAR.
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
    # In y-down coordinates a ray to the right crosses a loop of positive area upwards in y.
    inside = (winding * sense > 0).to(points.dtype) * 2 - 1
    dx, dy = bx - ax, by - ay
    t = (((px - ax) * dx + (py - ay) * dy) / (dx * dx + dy * dy + 1e-12)).clamp(0, 1)
    distance = ((px - ax - t * dx) ** 2 + (py - ay - t * dy) ** 2).amin(1).sqrt()
    out = points.new_full((len(points), size, size), FAR)
    batch = torch.arange(len(points), device=points.device)[:, None, None]
    out[batch, rows[:, :, None], columns[:, None, :]] = inside * distance
    return out[:, None]


def open_share(distance: Tensor) -> Tensor:
    """Signed distance to an opening's outline -> how far it is open there, 0 to 1.

    Lids and lips have a rim: the opening begins an edge's width inside it, and a shut one is empty.
    """
    return torch.sigmoid((distance - EDGE) / (EDGE / 2))
