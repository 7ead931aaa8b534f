"""The rasteriser of `raster.py` in batched torch, for GPUs. Conventions and results are the same.

Triangles of similar size are tested together against the pixels of their bounding boxes. An atomic minimum over
(depth, triangle) finds the nearest triangle of a pixel, so that the result does not depend on the order of threads.
"""

from __future__ import annotations

import torch
from torch import Tensor

CANDIDATES = 1 << 24  # pixels of bounding boxes that are tested at once; it limits the memory
EMPTY = 1e9  # depth of empty pixels
HIGHLIGHT = 0.7  # cosine below which the highlight is 0, as in raster.shade


def rasterize(points: Tensor, triangles: Tensor, two_sided: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Z-buffers of projected triangles; see raster.rasterize.

    points [B N 3] float32: x, y in pixels, depth > 0. triangles [F 3] int64. two_sided [F] bool.
    Returns depth [B S S] (1e9 if empty), triangle index [B S S] (-1 if empty), barycentric weights [B S S 3].
    """
    corners = points[:, triangles]  # [B F 3 3]
    area = _cross(corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0])
    low = (corners[..., :2].amin(2) - 0.5).floor().clamp_min(0).long()
    high = (corners[..., :2].amax(2) - 0.5).ceil().clamp_max(size - 1).long()
    drawn = ((area < -1e-9) | (two_sided & (area > 1e-9))) & (high >= low).all(-1)
    frame, face = drawn.nonzero(as_tuple=True)
    corners, low, high = corners[frame, face], low[frame, face], high[frame, face]
    extent = (high - low).amax(1) + 1
    keys = torch.full((len(points) * size * size,), torch.iinfo(torch.int64).max, device=points.device)
    side, below = 2, 0
    while below < size and len(extent):
        chosen = ((extent > below) & (extent <= side)).nonzero()[:, 0]
        for part in chosen.split(max(1, CANDIDATES // (side * side))):
            _test(keys, frame[part], face[part], corners[part], low[part], high[part], side, size)
        side, below = 2 * side, side
    won = keys < torch.iinfo(torch.int64).max
    winner = torch.where(won, keys & 0xFFFFFFFF, -1).view(len(points), size, size)
    bits = torch.where(won, keys >> 32, 0).to(torch.int32)
    depth = torch.where(won, bits.view(torch.float32), EMPTY).view(winner.shape)
    return depth, winner, _weights(points, triangles, winner)


def _cross(a: Tensor, b: Tensor) -> Tensor:
    """Cross product [...] of vectors [... >= 2] in the plane."""
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _barycentric(corners: Tensor, at: Tensor) -> Tensor:
    """Barycentric weights [... 3] of points [... 2] in triangles [... 3 >= 2]."""
    a, b, c = (corners[..., k, :2] for k in range(3))
    area = _cross(b - a, c - a)
    first, second = _cross(b - at, c - at) / area, _cross(c - at, a - at) / area
    return torch.stack([first, second, 1 - first - second], -1)


def _test(
    keys: Tensor, frame: Tensor, face: Tensor, corners: Tensor, low: Tensor, high: Tensor, side: int, size: int
) -> None:
    """Update `keys` [B*S*S] with triangles whose bounding boxes have at most side x side pixels."""
    step = torch.arange(side, device=keys.device)
    pixel = low[:, None, None] + torch.stack(torch.meshgrid(step, step, indexing="xy"), -1)  # [T side side 2]
    weight = _barycentric(corners[:, None, None], pixel + 0.5)
    depth = (weight * corners[:, None, None, :, 2]).sum(-1)
    inside = (weight >= 0).all(-1) & (pixel <= high[:, None, None]).all(-1)
    key = (depth.view(torch.int32).long() << 32) | face[:, None, None]
    place = (frame[:, None, None] * size + pixel[..., 1]) * size + pixel[..., 0]
    keys.scatter_reduce_(0, place[inside], key[inside], "amin")


def _weights(points: Tensor, triangles: Tensor, face: Tensor) -> Tensor:
    """Barycentric weights [B S S 3] at pixel centres; 0 if empty."""
    frame, y, x = (face >= 0).nonzero(as_tuple=True)
    corners = points[frame[:, None], triangles[face[frame, y, x]]]
    out = points.new_zeros(*face.shape, 3)
    out[frame, y, x] = _barycentric(corners, torch.stack([x, y], -1) + 0.5)
    return out


def vertex_normals(vertices: Tensor, triangles: Tensor) -> Tensor:
    """Area-weighted unit normals [B N 3] of vertices [B N 3]."""
    a, b, c = (vertices[:, triangles[:, k]] for k in range(3))
    normal = torch.linalg.cross(b - a, c - a)
    total = torch.zeros_like(vertices)
    for k in range(3):
        total.index_add_(1, triangles[:, k], normal)
    return total / (total.norm(dim=-1, keepdim=True) + 1e-9)


def lit_mask(face: Tensor, weight: Tensor, triangles: Tensor, in_light: Tensor, depth: Tensor, bias: float) -> Tensor:
    """1 for pixels that the light reaches, else 0, [B S S]; see raster.lit_mask. in_light [B N 3], depth [B M M]."""
    frame, y, x = (face >= 0).nonzero(as_tuple=True)
    corners = in_light[frame[:, None], triangles[face[frame, y, x]]]
    place = (corners * weight[frame, y, x, :, None]).sum(1)
    column, row = place[:, 0].floor().long(), place[:, 1].floor().long()
    size = depth.shape[-1]
    within = (column >= 0) & (column < size) & (row >= 0) & (row < size)
    nearest = depth[frame, row.clamp(0, size - 1), column.clamp(0, size - 1)]
    out = torch.ones(face.shape, device=face.device)
    out[frame, y, x] = (~(within & (place[:, 2] > nearest + bias))).float()
    return out


def shade(
    image: Tensor, face: Tensor, weight: Tensor, triangles: Tensor, triangle_uv: Tensor, textured: Tensor,
    normals: Tensor, colour: Tensor, gloss: Tensor, texture: Tensor, lights: Tensor, tints: Tensor, ambient: Tensor,
    lit: Tensor,
) -> None:  # fmt: skip
    """Shade the visible surface: raster.shade, batched. image [B S S 3], normals [B N 3], lit [B S S]."""
    frame, y, x = (face >= 0).nonzero(as_tuple=True)
    number, w = face[frame, y, x], weight[frame, y, x]
    corner = triangles[number]

    def mix(values: Tensor) -> Tensor:
        return (values * w[..., None]).sum(1)

    normal = mix(normals[frame[:, None], corner])
    normal = normal / (normal.norm(dim=1, keepdim=True) + 1e-6)
    on_texture = textured[number]
    normal = torch.where(((normal[:, 2] < 0) & ~on_texture)[:, None], -normal, normal)
    albedo = torch.where(on_texture[:, None], _bilinear(texture, mix(triangle_uv[number])), torch.ones_like(normal))
    shine = (gloss[corner] * w).sum(1)
    nx, ny, nz = normal.unbind(1)
    around = torch.stack([torch.ones_like(nx), nx, ny, nz, nx * nx, ny * ny, nz * nz, nx * ny, nx * nz, ny * nz], 1)
    light, spark = (around @ ambient).clamp_min(0), torch.zeros_like(normal)
    half = lights + lights.new_tensor([0.0, 0.0, 1.0])
    half = half / (half.norm(dim=1, keepdim=True) + 1e-6)
    for m in range(len(lights)):
        arrives = lit[frame, y, x] if m == 0 else torch.ones_like(shine)
        lambert = ((normal @ lights[m] + 0.15) / 1.15).clamp_min(0)
        cosine = normal @ half[m]
        sharp = torch.where(cosine > HIGHLIGHT, cosine.clamp_min(0) ** 24, 0)
        light = light + (arrives * lambert)[:, None] * tints[m]
        spark = spark + (arrives * sharp)[:, None] * tints[m]
    image[frame, y, x] = albedo * mix(colour[corner]) * light + shine[:, None] * spark


def _bilinear(texture: Tensor, uv: Tensor) -> Tensor:
    """Values [P 3] of a texture [R R 3] at uv [P 2], v down."""
    size = texture.new_tensor([texture.shape[1], texture.shape[0]])
    place = torch.minimum((uv * size - 0.5).clamp_min(0), size - 1.001)
    corner = place.long()
    fx, fy = (place - corner).unbind(1)
    x, y = corner.unbind(1)
    top = texture[y, x] * (1 - fx)[:, None] + texture[y, x + 1] * fx[:, None]
    bottom = texture[y + 1, x] * (1 - fx)[:, None] + texture[y + 1, x + 1] * fx[:, None]
    return top * (1 - fy)[:, None] + bottom * fy[:, None]
