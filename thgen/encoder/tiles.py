"""Where the face encoder looks: five upright tiles around eyes, mouth, brows and the whole face.

Landmarks place the tiles. All are aligned with the line between the eyes, and their sizes depend on points that
expressions hardly move, so that a tile neither shrinks nor turns when the face does something.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Tile:
    """rows, columns: px. half: half-width in sizes of the face, see `frames_of`. across: width in crop half-widths of a
    face in the usual framing, which decides how much the crop is shrunk before it is sampled."""

    rows: int
    columns: int
    half: float
    across: float

    @property
    def tall(self) -> float:
        """Height per width."""
        return self.rows / self.columns


# A size of a face is about 7 cm and 0.47 crop half-widths (crop.CROP). Eyes, mouth and brows get 10 to 14 px per cm,
# more than a crop of 256 px has; the whole face gets 4.
TILES: dict[str, Tile] = {
    "face": Tile(96, 96, 1.65, 1.55),
    "left": Tile(48, 64, 0.40, 0.38),
    "right": Tile(48, 64, 0.40, 0.38),
    "mouth": Tile(80, 96, 0.64, 0.60),
    "brows": Tile(48, 96, 0.92, 0.86),
}
NAMES = tuple(TILES)
MOUTH, NOSE = range(48, 68), range(31, 36)  # landmarks: lips, base of the nose
EYE_CORNERS = ((42, 45), (36, 39))  # landmarks of the left and of the right eye. Lids do not move them
CORNERS = (36, 45)  # landmarks: outer corners of the subject's right and left eye
# Of the distance of the outer corners, and of that from the eyes to the base of the nose, in the size of a face. On the
# mean face both terms are equal, and a turned or nodding head changes only one of them.
ACROSS, DOWN = 0.79, 1.5
# Sizes of a face below the eyes: centres of the tiles of the face and of the brows, and the middle of a closed mouth.
# The tile of the brows does not follow them: a network would read them from its place instead of the picture. That of
# the mouth follows half way, since a wide open mouth would leave it.
FACE_DOWN, BROWS_DOWN, MOUTH_DOWN = 0.35, -0.19, 0.98


def frames_of(points: Tensor) -> Tensor:
    """Landmarks [B 68+ 2+] in crop coordinates -> frames of the tiles [B 5 4]: centre x and y, half-width, and turn in
    radians, clockwise."""
    points = points[:, :68, :2].float()
    left, right = (points[:, list(corners)].mean(1) for corners in EYE_CORNERS)
    eyes = (left + right) / 2
    line = points[:, CORNERS[1]] - points[:, CORNERS[0]]
    turn = torch.atan2(line[:, 1], line[:, 0].abs().clamp_min(1e-3))
    size = (DOWN * (points[:, list(NOSE)].mean(1) - eyes).norm(dim=1) + ACROSS * line.norm(dim=1)) / 2
    below = torch.stack([-turn.sin(), turn.cos()], 1) * size[:, None]
    mouth = (points[:, list(MOUTH)].mean(1) + eyes + MOUTH_DOWN * below) / 2
    centres = (eyes + FACE_DOWN * below, left, right, mouth, eyes + BROWS_DOWN * below)
    cut = [torch.cat([c, (t.half * size)[:, None], turn[:, None]], 1)
           for c, t in zip(centres, TILES.values(), strict=True)]  # fmt: skip
    return torch.stack(cut, 1)


def rotations(frame: Tensor) -> Tensor:
    """Frames of one tile [B 4] -> matrices [B 2 2] from tile axes, in half-widths, to crop axes."""
    half, turn = frame[:, 2], frame[:, 3]
    cos, sin = half * turn.cos(), half * turn.sin()
    return torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)


def to_crop(points: Tensor, frame: Tensor) -> Tensor:
    """Points [B n 2] of a tile, in its half-widths along both axes, -> crop coordinates. frame [B 4]."""
    return points @ rotations(frame).mT + frame[:, None, :2]


def to_tile(points: Tensor, frame: Tensor) -> Tensor:
    """Inverse of `to_crop`: points [B n 2] in crop coordinates -> half-widths of the tile with `frame` [B 4]."""
    return (points - frame[:, None, :2]) @ rotations(frame) / frame[:, 2, None, None] ** 2


def grid(name: str, frame: Tensor, rows: int, columns: int) -> Tensor:
    """Places in the crop [B rows columns 2] of the pixels of a tile that is sampled with rows x columns px."""
    matrix = rotations(frame) * frame.new_tensor([1.0, TILES[name].tall])
    matrix = torch.cat([matrix, frame[:, :2, None]], 2)
    return F.affine_grid(matrix, [len(frame), 1, rows, columns], align_corners=False)


def cut(images: Tensor, frames: Tensor) -> dict[str, Tensor]:
    """Crops [B 3 S S] and frames of tiles [B 5 4] -> tiles [B 3 rows columns] by name. Differentiable."""
    side = images.shape[-1]
    shrunk = {1: images}
    out = {}
    for number, (name, tile) in enumerate(TILES.items()):
        # against aliasing: the crop is shrunk until a pixel of it is about as large as one of the tile
        step = max(1, round(side * tile.across / 2 / tile.columns))
        if step not in shrunk:
            shrunk[step] = F.interpolate(images, size=(side // step, side // step), mode="area")
        places = grid(name, frames[:, number], tile.rows, tile.columns).to(images.dtype)
        out[name] = F.grid_sample(shrunk[step], places, padding_mode="border", align_corners=False)
    return out


def labels_in(name: str, labels: Tensor, frame: Tensor, step: int) -> Tensor:
    """Labels [B F F] of pixels of the crop -> labels int64 [B rows/step columns/step] of a tile; -1 beside the crop."""
    tile = TILES[name]
    places = grid(name, frame, tile.rows // step, tile.columns // step)
    shown = F.grid_sample(labels[:, None].float() + 1, places, mode="nearest", align_corners=False)
    return shown[:, 0].long() - 1


@dataclass(frozen=True)
class Shake:
    """How far training misplaces tiles, at most: shift in half-widths, zoom as natural logarithm, turn in degrees; of
    the whole face (all tiles together) and of each tile. shut: largest share of the mouth's distance from the eyes by
    which its tile is too high, as where an opening is read too small."""

    shift: tuple[float, float] = (0.05, 0.08)
    zoom: tuple[float, float] = (0.1, 0.06)
    turn: tuple[float, float] = (8.0, 3.0)
    shut: float = 0.08


def shaken(rng: np.random.Generator, frames: Tensor, shake: Shake) -> Tensor:
    """Frames [B 5 4], misplaced at random."""
    count = len(frames)

    def draw(tiles: int, values: int) -> Tensor:
        return torch.from_numpy(rng.uniform(-1, 1, (count, tiles, values)).astype(np.float32)).to(frames)

    half = frames[..., 2:3]
    place, wide, turn = frames[..., :2], half, frames[..., 3:]
    for far, zoom, angle, tiles in zip(shake.shift, shake.zoom, shake.turn, (1, len(TILES)), strict=True):
        face = half[:, :1] if tiles == 1 else half
        place = place + far * face * draw(tiles, 2)
        wide = wide * (zoom * draw(tiles, 1)).exp()
        turn = turn + np.deg2rad(angle) * draw(tiles, 1)
    mouth = NAMES.index("mouth")
    eyes = frames[:, [NAMES.index("left"), NAMES.index("right")], :2].mean(1)
    place[:, mouth] += shake.shut * draw(1, 1)[:, 0].clamp_min(0) * (eyes - frames[:, mouth, :2])
    return torch.cat([place, wide, turn], -1)
