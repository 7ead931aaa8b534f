"""Two rows of teeth as learned images, placed by the keypoints of the teeth.

Most photos show no teeth, so there is nothing to warp when the mouth opens.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thgen.compact.keypoint_rig import KeypointRig, Posed
from thgen.nn.geometry import to_head_axes
from thgen.nn.sampling import grid

TEETH_LAYER = 3  # value in KeypointRig.layer: first the keypoints of the upper row, then as many of the lower row
WIDTH, HEIGHT = 3.4, 1.3  # cm: half the width and half the height of the image of a row
ARC = 0.41  # 1/cm: curvature of the dental arch; at x cm from the middle it lies ARC x^2 further back
MAP_SIZE = 64  # px: side at which image coordinates are computed before they are enlarged; they are smooth
ROUNDS = 2  # fixed-point iterations for the position of a pixel on the arch


class Teeth(nn.Module):
    """Learned images of both rows, [2 channels rows columns]."""

    def __init__(self, channels: int = 4, rows: int = 20, columns: int = 48):
        super().__init__()
        self.channels = channels
        self.picture = nn.Parameter(0.3 * torch.randn(2, channels, rows, columns))

    def forward(self, rig: KeypointRig, target: Tensor, size: int) -> Tensor:
        """Keypoints of the target [B K 3] -> both rows in its pose, [B 2*channels size size]; 0 outside of them."""
        chosen = (rig.layer == TEETH_LAYER).nonzero()[:, 0]
        if len(chosen) < 2:  # a head without teeth
            return target.new_zeros(len(target), 2 * self.channels, size, size)
        with torch.autocast(target.device.type, enabled=False):
            posed = rig.unpose(target)
            maps = []
            for row, points in enumerate(chosen.chunk(2)):
                axis = grid(MAP_SIZE, target.device)
                pixels = torch.stack(torch.meshgrid(axis, -axis, indexing="xy"), -1)  # head axes: y up
                keypoints = to_head_axes(target[:, points].float())
                place = arch_coordinates(rig.canonical[points], keypoints, posed, pixels)
                place = F.interpolate(place, size=(size, size), mode="bilinear", align_corners=False).movedim(1, 3)
                picture = self.picture[row].float()[None].expand(len(target), -1, -1, -1)
                maps.append(F.grid_sample(picture, place, padding_mode="zeros", align_corners=False))
            return torch.cat(maps, 1)


def arch_coordinates(
    canonical: Tensor, keypoints: Tensor, posed: Posed, pixels: Tensor, weight: Tensor | None = None
) -> Tensor:
    """Coordinates of pixels in the image of a row of teeth, [B 2 h w]; the image lies in [-1, 1].

    canonical [n 3] cm: keypoints of the row in the canonical head. keypoints [B n 3]: the same in the target, and
    pixels [h w 2], both in head axes. weight [n], of sum 1: weight of each keypoint; None: equal.
    """
    weight = canonical.new_full((len(canonical),), 1 / len(canonical)) if weight is None else weight
    turn, scale = posed.rotation, posed.scale[:, None, None, None]
    middle = (weight[:, None] * canonical).sum(0)
    centre = (weight[:, None] * keypoints[..., :2]).sum(1)
    away = (pixels[None] - centre[:, None, None]) / scale
    inverse = torch.linalg.inv(turn[:, :2, :2] + 1e-4 * torch.eye(2, device=turn.device))
    front = canonical[:, 2] + ARC * canonical[:, 0] ** 2  # depth of the foremost point, from each keypoint
    local = torch.einsum("bij,bhwj->bhwi", inverse, away)
    for _ in range(ROUNDS):
        depth = (weight * front).sum() - ARC * (local[..., 0] + middle[0]).clamp(-WIDTH, WIDTH) ** 2 - middle[2]
        shifted = away - depth[..., None] * turn[:, None, None, :2, 2]
        local = torch.einsum("bij,bhwj->bhwi", inverse, shifted)
    x, y = (local[..., 0] + middle[0]) / WIDTH, local[..., 1] / HEIGHT
    return torch.stack([x, -y], 1)
