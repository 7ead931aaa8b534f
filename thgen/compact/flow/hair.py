"""Hair and what is worn move as one with the head: no keypoint lies on them, the segmentation says where they are."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from thgen.compact.keypoint_rig import NECK, KeypointRig
from thgen.nn.geometry import fit_similarity, to_head_axes
from thgen.nn.sampling import grid, smoothstep, warp

# cm: the ellipsoid that stands for the head where its depth is asked
CENTRE, RADII = (0.0, 2.0, -2.0), (8.0, 12.0, 9.0)
GRID = 64  # side of the map; the motion of an ellipsoid is smooth
ROUNDS = 3  # of the search for the place of the photo that comes to lie here


@dataclass(frozen=True)
class Mass:
    """What moves as one with the head: its flow [B 2 GRID GRID] everywhere, and weight [B 1 GRID GRID], which is 1
    where that flow brings it."""

    flow: Tensor
    weight: Tensor


def mass(rig: KeypointRig, source: Tensor, target: Tensor, hair: Tensor) -> Mass:
    """Keypoints of photo and target [B K 3]; hair [B 1 H W]: how sure it is that the photo shows hair or a hat."""
    with torch.autocast(source.device.type, enabled=False):  # geometry wants all of float32
        flow = rigid_flow(rig, source, target)
        return Mass(flow, warp(hair.float(), flow))


def rigid_flow(rig: KeypointRig, source: Tensor, target: Tensor) -> Tensor:
    """Keypoints of photo and target [B K 3] -> backward flow [B 2 GRID GRID] in half-widths, as if the whole photo were
    painted on an ellipsoid, and on a plane around it, that turns with the head."""
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
    return smoothstep(height, *NECK)[:, None] * flow.permute(0, 3, 1, 2)  # long hair lies still on the shoulders
