"""The head before its background: what a moving head uncovers is background, and only the head ever moves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from thgen.compact.flow.dentition import Bite
from thgen.nn.sampling import resize, smoothstep, warp

STRAY = 3  # places of a 64 x 64 map by which the plate reaches beyond the head: stray hair
EDGE = (0.3, 0.7)  # probabilities between which the head's outline is soft
STIR = (0.004, 0.02)  # half-widths of motion from which the plate begins to show behind the head, and does


@dataclass(frozen=True)
class PhotoLayers:
    """What a photo shows besides keypoints, each map [B 1 H W] from 0 to 1: moving, how sure it is that a place moves
    with the head; hair, that it is hair or worn; mouth, how far it lies inside the parted lips. plate [B 3 S S] in
    [-1, 1]: what stands behind the head, in the size of the crop. lids [B 3 S S]: the photo with skin where its eyes
    are, and eyes [B 1 H W]: where that is. bite: how teeth would look that the photo does not show. drift [B 2 H W],
    doubt [B 1 H W]: the flow and the lack of trust in the photo's pixels with which the network answers when nothing
    moves: its error on this photo."""

    moving: Tensor
    hair: Tensor
    mouth: Tensor
    plate: Tensor
    lids: Tensor
    eyes: Tensor
    bite: Bite
    drift: Tensor
    doubt: Tensor

    def expand(self, count: int) -> PhotoLayers:
        """The same for `count` frames."""
        maps = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "bite"}
        return PhotoLayers(**{n: m.expand(count, -1, -1, -1) for n, m in maps.items()}, bite=self.bite.expand(count))


@dataclass(frozen=True)
class Layers:
    """How a moved head lies over its background, each [B 1 S S] from 0 to 1: there, the head covers this place; gone,
    it has left it. plate [B 3 S S]: what stands behind it."""

    there: Tensor
    gone: Tensor
    plate: Tensor

    @cached_property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns that hold all of the head: elsewhere nothing needs to be warped."""
        seen = self.there.amax((0, 1)) > 0
        spans = []
        for axis in (1, 0):
            held = seen.any(axis).nonzero()
            spans.append(slice(int(held[0]), int(held[-1]) + 1) if len(held) else slice(0, 1))
        return spans[0], spans[1]

    def lay(self, photo: Tensor, head: Tensor) -> tuple[Tensor, Tensor]:
        """photo [B 3 S S]; head [B 3 h w]: warped and painted, as if all of `window` were head. Returns the picture
        [B 3 S S] and where it may differ from the photo [B 1 S S]. Without motion the photo stays as it is."""
        rows, columns = self.window
        picture = torch.lerp(photo, self.plate, self.gone)
        inner = picture[..., rows, columns]
        picture[..., rows, columns] = torch.lerp(inner, head, self.there[..., rows, columns])
        return picture, torch.maximum(self.there, self.gone)


def place(scene: PhotoLayers, turned: Tensor, flow: Tensor, size: int) -> Layers:
    """Where the head is now, and where it was: turned [B 2 g g], flow of the head as a whole; flow [B 2 G G] with which
    the photo is warped; size: S of the result."""
    # A strand that a flow between head and background leaves behind is nowhere near where the head takes its hair.
    near = F.max_pool2d(warp(scene.hair, turned), 2 * STRAY + 1, 1, STRAY)
    strands = warp(scene.hair, flow) * (1 - resize(near, flow.shape[-1]))
    there = smoothstep(resize(warp(scene.moving, flow) - strands, size), *EDGE)
    stirred = smoothstep(turned.norm(dim=1, keepdim=True), *STIR)
    left = F.max_pool2d(scene.moving, 2 * STRAY + 1, 1, STRAY)
    return Layers(there, resize(left * resize(stirred, left.shape[-1]), size), scene.plate)
