"""Two rows of teeth as a learned picture, laid where the teeth's keypoints say: most photos show none to be warped."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thgen.compact.keypoint_rig import KeypointRig, Posed
from thgen.nn.geometry import to_head_axes
from thgen.nn.sampling import grid

TEETH_LAYER = 3  # of KeypointRig.layer: the upper row's keypoints first, then as many of the lower row
WIDTH, HEIGHT = 3.4, 1.3  # cm from a row's centre that its picture reaches sideways, and up and down
ARC = 0.41  # 1/cm: the front of a row bends away by ARC x^2
PLACES = 64  # side of the map of places, which is smooth, before it is enlarged
ROUNDS = 2  # of the fixed-point search for where on the bent row a pixel lies


class Teeth(nn.Module):
    """channels per row; the picture of each row is [channels rows columns]."""

    def __init__(self, channels: int = 4, rows: int = 20, columns: int = 48):
        super().__init__()
        self.channels = channels
        self.picture = nn.Parameter(0.3 * torch.randn(2, channels, rows, columns))

    def forward(self, rig: KeypointRig, target: Tensor, size: int) -> Tensor:
        """target keypoints [B K 3] -> both rows as the target shows them, [B 2*channels size size]; 0 beside them."""
        chosen = (rig.layer == TEETH_LAYER).nonzero()[:, 0]
        if len(chosen) < 2:  # a head without teeth
            return target.new_zeros(len(target), 2 * self.channels, size, size)
        with torch.autocast(target.device.type, enabled=False):
            posed = rig.unpose(target)
            maps = []
            for row, points in enumerate(chosen.chunk(2)):
                axis = grid(PLACES, target.device)
                pixels = torch.stack(torch.meshgrid(axis, -axis, indexing="xy"), -1)  # head axes: y up
                place = bent_place(rig.canonical[points], to_head_axes(target[:, points].float()), posed, pixels)
                place = F.interpolate(place, size=(size, size), mode="bilinear", align_corners=False).movedim(1, 3)
                picture = self.picture[row].float()[None].expand(len(target), -1, -1, -1)
                maps.append(F.grid_sample(picture, place, padding_mode="zeros", align_corners=False))
            return torch.cat(maps, 1)


def bent_place(canonical: Tensor, seen: Tensor, posed: Posed, pixels: Tensor, weight: Tensor | None = None) -> Tensor:
    """Where in a row's picture each pixel lies, [B 2 h w], -1 to 1. canonical [n 3] cm, seen [B n 3], pixels [h w 2]
    in head axes; weight [n], in sum 1: how much each keypoint says of where the centre is, by default all the same."""
    weight = canonical.new_full((len(canonical),), 1 / len(canonical)) if weight is None else weight
    turn, scale = posed.rotation, posed.scale[:, None, None, None]
    middle = (weight[:, None] * canonical).sum(0)
    centre = (weight[:, None] * seen[..., :2]).sum(1)
    away = (pixels[None] - centre[:, None, None]) / scale
    inverse = torch.linalg.inv(turn[:, :2, :2] + 1e-4 * torch.eye(2, device=turn.device))
    front = canonical[:, 2] + ARC * canonical[:, 0] ** 2  # depth of the row's foremost point, by each keypoint
    local = torch.einsum("bij,bhwj->bhwi", inverse, away)
    for _ in range(ROUNDS):
        depth = (weight * front).sum() - ARC * (local[..., 0] + middle[0]).clamp(-WIDTH, WIDTH) ** 2 - middle[2]
        shifted = away - depth[..., None] * turn[:, None, None, :2, 2]
        local = torch.einsum("bij,bhwj->bhwi", inverse, shifted)
    x, y = (local[..., 0] + middle[0]) / WIDTH, local[..., 1] / HEIGHT
    return torch.stack([x, -y], 1)
