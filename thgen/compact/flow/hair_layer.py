"""Rigid motion of hair, hats and glasses with the head.

No keypoint lies on them. The segmentation of the photo tells where they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from thgen.compact.keypoint_rig import NECK, KeypointRig
from thgen.nn.geometry import fit_similarity, to_head_axes
from thgen.nn.sampling import grid, smoothstep, warp

CENTRE, RADII = (0.0, 2.0, -2.0), (8.0, 12.0, 9.0)  # cm, head axes: ellipsoid that gives the depth of the hair
GRID = 64  # px: side of the maps; the motion of an ellipsoid is smooth
ROUNDS = 3  # fixed-point iterations that invert the motion


@dataclass(frozen=True)
class HairLayer:
    """flow [B 2 GRID GRID]: backward flow of the head as a rigid body, everywhere, in half-widths.
    weight [B 1 GRID GRID]: how sure it is that this flow brings hair or something worn to a place, 0 to 1."""

    flow: Tensor
    weight: Tensor


def hair_layer(rig: KeypointRig, source: Tensor, target: Tensor, hair: Tensor) -> HairLayer:
    """source, target: keypoints [B K 3] of photo and target. hair [B 1 H W]: probability of hair or something worn."""
    with torch.autocast(source.device.type, enabled=False):  # geometry needs the precision of float32
        flow = rigid_flow(rig, source, target)
        return HairLayer(flow, warp(hair.float(), flow))


def rigid_flow(rig: KeypointRig, source: Tensor, target: Tensor) -> Tensor:
    """Keypoints of photo and target [B K 3] -> backward flow [B 2 GRID GRID] in half-widths.

    The photo is projected onto an ellipsoid, and onto a plane around the ellipsoid. Both move with the head.
    """
    posed = rig.unpose(source)
    scale, turn, shift = fit_similarity(to_head_axes(source.float()), to_head_axes(target.float()), rig.rigid)
    size = posed.scale[:, None, None]
    middle = torch.einsum("bij,j->bi", posed.rotation, source.new_tensor(CENTRE).float())
    middle = (posed.scale[:, None] * middle + posed.shift)[:, None, None]
    axis = grid(GRID, source.device)
    here = torch.stack(torch.meshgrid(axis, -axis, indexing="xy"), -1)[None]  # head axes: y up
    place = here.expand(len(source), -1, -1, -1)
    for _ in range(ROUNDS):
        away = (place - middle[..., :2]) / size[..., None]
        inside = (1 - (away[..., 0] / RADII[0]) ** 2 - (away[..., 1] / RADII[1]) ** 2).clamp_min(0)
        z = middle[..., 2] + size * RADII[2] * inside.sqrt()
        point = torch.cat([place, z[..., None]], -1)
        there = scale[:, None, None, None] * torch.einsum("bij,bhwj->bhwi", turn, point) + shift[:, None, None]
        place = place + here - there[..., :2]
    height = torch.einsum("bj,bhwj->bhw", posed.rotation[:, :, 1], point - posed.shift[:, None, None]) / size
    flow = (place - here) * place.new_tensor([1.0, -1.0])
    return smoothstep(height, *NECK)[:, None] * flow.permute(0, 3, 1, 2)  # long hair rests on the shoulders
