"""Frames of one performer, rendered together on a torch device: `render.render`, batched."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from thgen.synth.head.model import Performer, State
from thgen.synth.render import raster_torch as raster
from thgen.synth.render.renderer import (
    SHADOW_BIAS,
    SHADOW_MAP,
    SUPERSAMPLE,
    Camera,
    Frame,
    background,
    expose,
    light_view,
    soften,
)


def render_batch(
    performer: Performer, states: list[State], camera: Camera, size: int, device: torch.device
) -> list[Frame]:
    """The frames that `render` makes of the states, up to rounding: one pixel in a few thousand may differ."""
    buffer = size * SUPERSAMPLE
    heads = [performer.shape(state) for state in states]
    world = np.stack([performer.pose(state, head) for state, head in zip(states, heads, strict=True)])
    points = np.stack([camera.project(w) for w in world])
    points[..., :2] *= buffer

    def there(array: np.ndarray, kind: torch.dtype = torch.float32) -> Tensor:
        return torch.as_tensor(np.ascontiguousarray(array), device=device).to(kind)

    triangles = there(performer.triangles, torch.int64)
    depth, face, weight = raster.rasterize(there(points), triangles, there(performer.two_sided, torch.bool), buffer)
    look = performer.look
    image = there(background(performer, buffer))[None].repeat(len(states), 1, 1, 1)
    raster.shade(
        image, face, weight, triangles, there(performer.triangle_uv), there(performer.textured, torch.bool),
        raster.vertex_normals(there(world), triangles), there(performer.colour), there(performer.gloss),
        there(look.texture), there(look.light.lights), there(look.light.tints), there(look.light.ambient),
        there(_lit(performer, world, face, weight, triangles)),
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


def _lit(performer: Performer, world: np.ndarray, face: Tensor, weight: Tensor, triangles: Tensor) -> np.ndarray:
    """How much of the first light arrives, [B S S]."""
    light = performer.look.light
    if not light.cast:
        return np.ones(tuple(face.shape), np.float32)
    seen = torch.as_tensor(np.stack([light_view(performer, w) for w in world]), device=face.device)
    two_sided = torch.as_tensor(performer.two_sided, device=face.device)
    depth, _, _ = raster.rasterize(seen, triangles, two_sided, SHADOW_MAP)
    arrives = raster.light_arrives(face, weight, triangles, seen, depth, SHADOW_BIAS)
    return np.stack([soften(light, a) for a in arrives.cpu().numpy()])
