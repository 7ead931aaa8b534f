"""Input of the motion encoder of PD-FGC's bundled weights, which were trained before there was a face encoder. Delete
this file with them: encoders of compact presets get `encoder.inputs.encoder_input`.

One picture of 128 px holds the face at low resolution beside enlarged eyes, mouth and brows, so that a small network
gets lids, irises and lips as large as the head:

    +---------+-----+
    | face    | eye |   the subject's left eye above, the right eye below
    |         | eye |
    +---------+-----+
    | mouth   |brows|
    +---------+-----+

Landmarks place the tiles, which are upright along the line between the eyes, as in other encoders' aligned faces.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from thgen.compact.flow.network import BASE
from thgen.face.crop import FACE

SIDE = 128  # px
# Rows and columns of each tile, and its half-width in sizes of the face, see `frames_of`.
TILES: dict[str, tuple[slice, slice, float]] = {
    "face": (slice(0, 80), slice(0, 80), 0.0),  # not placed by landmarks: the position of the head is motion, too
    "left": (slice(0, 40), slice(80, 128), 0.42),
    "right": (slice(40, 80), slice(80, 128), 0.42),
    "mouth": (slice(80, 128), slice(0, 76), 0.62),
    "brows": (slice(80, 128), slice(76, 128), 0.95),
}
LEFT, RIGHT, MOUTH, BROWS = range(42, 48), range(36, 42), range(48, 68), range(17, 27)  # landmarks
CORNERS = (36, 45)  # landmarks: outer corners of the subject's right and left eye
WIDTH_WEIGHT = 0.8  # of the distance of the outer corners in the size of a face; that from eyes to mouth weighs 1


def encoder_view(images: Tensor, keypoints: Tensor) -> Tensor:
    """Crops [B 3 S S] and their keypoints [B K 2+], the 68 landmarks first -> input of an encoder [B 3 SIDE SIDE].

    images in [-1, 1], keypoints in crop coordinates. Differentiable.
    """
    exact = images.shape[-2:] == (BASE, BASE)
    small = images if exact else F.interpolate(images, size=(BASE, BASE), mode="area")
    return mosaic(small, frames_of(keypoints[:, :68]))


def frames_of(points: Tensor) -> Tensor:
    """Landmarks [B 68 2+] in crop coordinates -> frames of the tiles [B 5 4]: centre x and y, half-width, and turn in
    radians, clockwise."""
    points = points[..., :2].float()

    def middle(numbers: range) -> Tensor:
        return points[:, list(numbers)].mean(1)

    left, right, mouth = middle(LEFT), middle(RIGHT), middle(MOUTH)
    eyes = (left + right) / 2
    line = points[:, CORNERS[1]] - points[:, CORNERS[0]]
    turn = torch.atan2(line[:, 1], line[:, 0].abs().clamp_min(1e-3))
    size = ((mouth - eyes).norm(dim=1) + WIDTH_WEIGHT * line.norm(dim=1)) / 2
    centres = (left, right, mouth, (eyes + middle(BROWS)) / 2)
    halves = [half for _, _, half in TILES.values()][1:]
    cut = [torch.cat([c, (h * size)[:, None], turn[:, None]], 1) for c, h in zip(centres, halves, strict=True)]
    face = points.new_tensor([*FACE, 0.0]).expand(len(points), 4)
    return torch.stack([face, *cut], 1)


def mosaic(images: Tensor, frames: Tensor) -> Tensor:
    """Crops [B 3 S S] and frames of tiles [B 5 4] -> the mosaic [B 3 SIDE SIDE]. Differentiable."""
    half_size = F.avg_pool2d(images, 2)  # the tile of the face shrinks the crop, the other tiles do not
    out = images.new_empty(len(images), images.shape[1], SIDE, SIDE)
    for number, (name, (down, across, _)) in enumerate(TILES.items()):
        high, wide = down.stop - down.start, across.stop - across.start
        x, y, half, turn = frames[:, number].unbind(1)
        cos, sin = half * turn.cos(), half * turn.sin()
        tall = high / wide
        matrix = torch.stack([torch.stack([cos, -sin * tall, x], 1), torch.stack([sin, cos * tall, y], 1)], 1)
        source = half_size if name == "face" else images
        grid = F.affine_grid(matrix, [len(images), 1, high, wide], align_corners=False).to(images.dtype)
        out[:, :, down, across] = F.grid_sample(source, grid, padding_mode="border", align_corners=False)
    return out
