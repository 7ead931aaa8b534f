"""Where patches of the photo are drawn: pixels of a box of the frame, and the places of the photo that they show."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from thgen.nn.sampling import grid


@dataclass(frozen=True)
class Box:
    """Rows and columns of a frame, px, and the same within the window of the frame that is drawn."""

    rows: slice
    columns: slice
    inner: tuple[slice, slice]

    @staticmethod
    def around(low: Tensor, high: Tensor, window: tuple[slice, slice], size: int) -> Box:
        """The pixels of a frame of size px between two places [2] (x, y in half-widths), within `window`."""
        ends = (((x + 1) / 2 * size).tolist()[::-1] for x in (low, high))
        rows, columns = (
            slice(max(int(a), w.start), min(int(b) + 1, w.stop)) for a, b, w in zip(*ends, window, strict=True)
        )
        return Box(rows, columns, _moved((rows, columns), window))

    @property
    def empty(self) -> bool:
        return self.rows.start >= self.rows.stop or self.columns.start >= self.columns.stop

    def shown(self, flow: Tensor, size: int) -> Tensor:
        """Places of the photo [B h w 2] that the pixels show. flow [B 2 G G]: from frame to photo, half-widths."""
        axis = grid(size, flow.device)
        here = torch.stack(torch.meshgrid(axis[self.columns], axis[self.rows], indexing="xy"), -1)
        here = here.expand(len(flow), -1, -1, -1)
        return here + F.grid_sample(flow, here, padding_mode="border", align_corners=False).permute(0, 2, 3, 1)


def _moved(box: tuple[slice, slice], window: tuple[slice, slice]) -> tuple[slice, slice]:
    rows, columns = (slice(b.start - w.start, b.stop - w.start) for b, w in zip(box, window, strict=True))
    return rows, columns
