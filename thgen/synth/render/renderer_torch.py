"""Renderer for torch devices: `renderer.render` for several frames of one performer at once."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from thgen.synth.head.performer import Performer, State
from thgen.synth.render import raster_torch as raster
from thgen.synth.render.renderer import (
    SHADOW_BIAS,
    SHADOW_MAP,
    SUPERSAMPLE,
    Camera,
    Frame,
    background,
    behind_lids,
    expose,
    soft_shadow,
    view_from_light,
)


def render_batch(
    performer: Performer, states: list[State], camera: Camera, size: int, device: torch.device
) -> list[Frame]:
    """Frames of the states, as `renderer.render` up to rounding: one pixel in a few thousand may differ."""
    buffer = size * SUPERSAMPLE
    heads = [performer.shape(state) for state in states]
    world = np.stack([performer.pose(state, head) for state, head in zip(states, heads, strict=True)])
    points = np.stack([camera.project(w) for w in world])
    points[..., :2] *= buffer

    def put(array: np.ndarray, kind: torch.dtype = torch.float32) -> Tensor:
        return torch.as_tensor(np.ascontiguousarray(array), device=device).to(kind)

    triangles = put(performer.triangles, torch.int64)
    depth, face, weight = raster.rasterize(
        put(behind_lids(performer, points)), triangles, put(performer.two_sided, torch.bool), buffer
    )
    look = performer.look
    image = put(background(performer, buffer))[None].repeat(len(states), 1, 1, 1)
    raster.shade(
        image, face, weight, triangles, put(performer.triangle_uv), put(performer.textured, torch.bool),
        raster.vertex_normals(put(world), triangles), put(performer.colour), put(performer.gloss),
        put(look.texture), put(look.light.lights), put(look.light.tints), put(look.light.ambient),
        put(_first_light(performer, world, face, weight, triangles)),
    )  # fmt: skip
    linear, faces = image.cpu().numpy(), face.to(torch.int32).cpu().numpy()
    depths, weights = depth.cpu().numpy(), weight.cpu().numpy()
    return [
        Frame(
            expose(performer, linear[t], faces[t], depths[t], size), points[t], depths[t], faces[t], weights[t],
            performer.openness(heads[t]), state,
        )
        for t, state in enumerate(states)
    ]  # fmt: skip


def _first_light(
    performer: Performer, world: np.ndarray, face: Tensor, weight: Tensor, triangles: Tensor
) -> np.ndarray:
    """Share of the first light that arrives, [B S S]."""
    light = performer.look.light
    if not light.cast:
        return np.ones(tuple(face.shape), np.float32)
    in_light = torch.as_tensor(np.stack([view_from_light(performer, w) for w in world]), device=face.device)
    two_sided = torch.as_tensor(performer.two_sided, device=face.device)
    depth, _, _ = raster.rasterize(in_light, triangles, two_sided, SHADOW_MAP)
    lit = raster.lit_mask(face, weight, triangles, in_light, depth, SHADOW_BIAS)
    return np.stack([soft_shadow(light, mask) for mask in lit.cpu().numpy()])
