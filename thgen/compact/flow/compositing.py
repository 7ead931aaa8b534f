"""The moving head in front of the background of its photo.

Only the head moves. Where it uncovers a place, the background (`plate`) shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from thgen.compact.flow.dentition import Bite
from thgen.compact.flow.irises import IrisLayers
from thgen.compact.flow.lids import EyeLayers
from thgen.nn.sampling import resize, smoothstep, warp

STRAY = 3  # pixels of a 64 x 64 map: stray hair reaches this far beyond the head
EDGE = (0.3, 0.7)  # probability of "head" from which the head begins to cover a place, and covers it fully
MOTION_RANGE = (0.004, 0.02)  # half-widths of motion from which the plate begins to show, and shows fully


@dataclass(frozen=True)
class PhotoLayers:
    """What a photo shows besides its keypoints. Maps [B 1 H W] lie in [0, 1], images in [-1, 1].

    moving [B 1 H W]: probability that a place moves with the head.
    hair [B 1 H W]: probability that it is hair or something worn.
    mouth [B 1 H W]: how open the mouth of the photo is there, 1 inside the parted lips.
    plate [B 3 S S]: the background behind the head, at the size of the crop.
    eyes: patches of both eyes, from which closed lids are made.
    irises: patches of both eyes, from which turned eyes are made; None: the gaze cannot change.
    bite: how the drawn teeth look, for a photo that shows none.
    drift [B 2 H W], doubt [B 1 H W]: error of the network on this photo, measured without motion. drift is the flow
    that it then outputs (it should be 0); doubt is what must be added to its logit of trust in the photo.
    """

    moving: Tensor
    hair: Tensor
    mouth: Tensor
    plate: Tensor
    eyes: EyeLayers
    bite: Bite
    drift: Tensor
    doubt: Tensor
    irises: IrisLayers | None = None

    def expand(self, count: int) -> PhotoLayers:
        """The same layers for `count` frames."""
        patches = ("bite", "eyes", "irises")
        maps = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in patches}
        shown = {name: x.expand(count, -1, -1, -1) for name, x in maps.items()}
        irises = None if self.irises is None else self.irises.expand(count)
        return PhotoLayers(**shown, eyes=self.eyes.expand(count), bite=self.bite.expand(count), irises=irises)


@dataclass(frozen=True)
class MovedLayers:
    """The head after its motion, in front of the background.

    head [B 1 S S], 0 to 1: how much the head covers a place. uncovered [B 1 S S], 0 to 1: how much it has left it.
    plate [B 3 S S]: the background behind the head, in [-1, 1].
    """

    head: Tensor
    uncovered: Tensor
    plate: Tensor

    @cached_property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns that contain the head. Outside of them nothing needs to be warped."""
        covered = self.head.amax((0, 1)) > 0
        spans = []
        for axis in (1, 0):
            used = covered.any(axis).nonzero()
            spans.append(slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(0, 1))
        return spans[0], spans[1]

    def composite(self, photo: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Put the head over photo and plate. Without motion the photo does not change.

        photo [B 3 S S]. pixels [B 3 h w]: pixels of the head, for the whole of `window`. Returns the image [B 3 S S]
        and a mask [B 1 S S] of where it may differ from the photo.
        """
        rows, columns = self.window
        image = torch.lerp(photo, self.plate, self.uncovered)
        inner = image[..., rows, columns]
        image[..., rows, columns] = torch.lerp(inner, pixels, self.head[..., rows, columns])
        return image, torch.maximum(self.head, self.uncovered)


def move_layers(layers: PhotoLayers, rigid: Tensor, flow: Tensor, size: int) -> MovedLayers:
    """Layers after a motion: where the head is now, and which places it has left.

    rigid [B 2 g g]: flow of the head as a rigid body. flow [B 2 G G]: the flow that warps the photo. size: S.
    """
    # A flow between head and background can leave strands of hair behind. Remove hair that lies far from every place to
    # which the rigid motion brings hair.
    near = F.max_pool2d(warp(layers.hair, rigid), 2 * STRAY + 1, 1, STRAY)
    strands = warp(layers.hair, flow) * (1 - resize(near, flow.shape[-1]))
    head = smoothstep(resize(warp(layers.moving, flow) - strands, size), *EDGE)
    in_motion = smoothstep(rigid.norm(dim=1, keepdim=True), *MOTION_RANGE)
    former = F.max_pool2d(layers.moving, 2 * STRAY + 1, 1, STRAY)
    return MovedLayers(head, resize(former * resize(in_motion, former.shape[-1]), size), layers.plate)
