"""The head before its background: what a moving head uncovers is background, and only the head ever moves."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from thgen.networks.hair import shown

STRAY = 3  # places of a 64 x 64 map by which the plate reaches beyond the head: stray hair
EDGE = (0.3, 0.7)  # probabilities between which the head's outline is soft
STIR = (0.004, 0.02)  # half-widths of motion from which the plate begins to show behind the head, and does


@dataclass(frozen=True)
class Scene:
    """What a photo shows besides keypoints, each map [B 1 H W] from 0 to 1: moving, how sure it is that a place moves
    with the head; hair, that it is hair or worn; mouth, how far it lies inside the parted lips. plate [B 3 S S] in
    [-1, 1]: what stands behind the head, in the size of the crop."""

    moving: Tensor
    hair: Tensor
    mouth: Tensor
    plate: Tensor

    def expand(self, count: int) -> Scene:
        """The same for `count` frames."""
        maps = (self.moving, self.hair, self.mouth, self.plate)
        return Scene(*(m.expand(count, -1, -1, -1) for m in maps))


def lay(scene: Scene, turned: Tensor, inner: Tensor, photo: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    """The moved head over its background: picture [B 3 S S], and where it may differ from the photo [B 1 S S].

    turned [B 2 g g]: flow of the head as a whole; inner [B 3 S S]: the photo warped and painted, as if all of it were
    head; photo [B 3 S S]; flow [B 2 G G] with which it was warped. Without any motion the photo stays as it is.
    """
    size = inner.shape[-1]
    # A strand that a flow between head and background leaves behind is nowhere near where the head takes its hair.
    near = F.max_pool2d(shown(scene.hair, turned), 2 * STRAY + 1, 1, STRAY)
    strands = shown(scene.hair, flow) * (1 - _full(near, flow.shape[-1]))
    there = _soft(_full(shown(scene.moving, flow) - strands, size), EDGE)
    stirred = _soft(turned.norm(dim=1, keepdim=True), STIR)
    left = F.max_pool2d(scene.moving, 2 * STRAY + 1, 1, STRAY)
    gone = _full(left * _full(stirred, left.shape[-1]), size)
    back = torch.lerp(photo, scene.plate, gone)
    return torch.lerp(back, inner, there), torch.maximum(there, gone)


def _full(x: Tensor, size: int) -> Tensor:
    return F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False)


def _soft(x: Tensor, ends: tuple[float, float]) -> Tensor:
    """0 up to the first end, 1 from the second on, smooth between."""
    t = ((x - ends[0]) / (ends[1] - ends[0])).clamp(0, 1)
    return t * t * (3 - 2 * t)
