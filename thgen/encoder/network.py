"""The face encoder: tiles of a face -> one feature for all methods, and keypoints.

Each tile has a small convolutional network of its own, but both eyes share one, which sees the right eye mirrored. A
tile's network ends in a code. The feature is all codes side by side. It is trained with keypoints and segments alone
(`stage`), so that parting a person from an expression stays the work of each method.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thgen.analyser.network import ResidualDown
from thgen.encoder.tiles import NAMES, TILES, cut, frames_of, to_crop
from thgen.nn.rows import Rows

# What the segmentation of a tile tells apart. The face's texture, and with it lips and irises, has no classes.
SHOWN = ("around", "skin", "hair", "worn", "eye", "mouth", "tongue", "teeth")
SEGMENT_STEP = {"face": 4, "left": 2, "right": 2, "mouth": 2}  # px of a tile per pixel of its segments; brows have none
EYES = ("left", "right")


@dataclass(frozen=True)
class Encoded(Rows):
    """What the face encoder reads in a batch of crops.

    feature [B F]: the codes of face, left eye, right eye, mouth and brows. keypoints [B K 3] in coordinates of the
    crop. rough [B K 3]: likewise, from the tile of the whole face alone. frames [B 5 4]: where the tiles lay, see
    `tiles.frames_of`.
    """

    feature: Tensor
    keypoints: Tensor
    rough: Tensor
    frames: Tensor


class TileNet(nn.Module):
    """Tile [B 3 rows columns] -> code [B D], with its feature maps.

    rows, columns: px. channels: widths after each halving. stem: side of the first kernel.
    """

    def __init__(self, rows: int, columns: int, channels: Sequence[int], code: int, stem: int = 3) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, channels[0], stem, 2, stem // 2), nn.SiLU())
        self.blocks = nn.ModuleList(ResidualDown(a, b) for a, b in pairwise(channels))
        for _ in channels:
            rows, columns = -(-rows // 2), -(-columns // 2)
        self.code = nn.Sequential(nn.Flatten(), nn.Linear(channels[-1] * rows * columns, code), nn.SiLU())

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The code, and the feature maps, finest first."""
        maps = [self.stem(x)]
        for block in self.blocks:
            maps.append(block(maps[-1]))
        return self.code(maps[-1]), maps


class TileSegmenter(nn.Module):
    """Feature maps of a tile, finest first -> logits [B SHOWN H W] at the size of the finest."""

    def __init__(self, inputs: Sequence[int], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in inputs)
        self.out = nn.Sequential(
            nn.SiLU(), nn.Conv2d(width, width, 3, 1, 1), nn.SiLU(), nn.Conv2d(width, len(SHOWN), 1)
        )

    def forward(self, maps: list[Tensor]) -> Tensor:
        x = self.lateral[-1](maps[-1])
        for map_, lateral in zip(reversed(maps[:-1]), reversed(self.lateral[:-1]), strict=True):
            x = F.interpolate(x, size=map_.shape[-2:], mode="bilinear", align_corners=False) + lateral(map_)
        logits: Tensor = self.out(x)
        return logits


class FaceEncoder(nn.Module):
    """Crops [B 3 S S] in [-1, 1] and landmarks in them -> Encoded.

    keypoints: K. eye_points: keypoint numbers that the tiles of the left and of the right eye place. mouth_points,
    brow_points: likewise. Their z, and all other keypoints, come from the tile of the whole face.
    face, eye, mouth, brows: widths after each halving. codes: sizes of the codes of face, each eye, mouth and brows.
    segments: width of the segmentation.
    """

    def __init__(
        self, keypoints: int, eye_points: list[list[int]], mouth_points: list[int], brow_points: list[int],
        face: tuple[int, ...] = (24, 48, 96, 160, 224), eye: tuple[int, ...] = (32, 64, 96, 128),
        mouth: tuple[int, ...] = (32, 64, 96, 128), brows: tuple[int, ...] = (24, 48, 64, 96),
        codes: tuple[int, int, int, int] = (192, 96, 128, 64), segments: int = 16,
    ) -> None:  # fmt: skip
        super().__init__()
        self.count = keypoints
        self.points = {"left": eye_points[0], "right": eye_points[1], "mouth": mouth_points, "brows": brow_points}
        self.config = {
            "class": "face_encoder", "keypoints": keypoints, "eye_points": eye_points, "mouth_points": mouth_points,
            "brow_points": brow_points, "face": list(face), "eye": list(eye), "mouth": list(mouth),
            "brows": list(brows), "codes": list(codes), "segments": segments,
        }  # fmt: skip
        widths = dict(zip(("face", "eye", "mouth", "brows"), (face, eye, mouth, brows), strict=True))
        sizes = dict(zip(widths, codes, strict=True))
        self.feature_size = sum(sizes[net_of(name)] for name in NAMES)
        tiles = {net_of(name): tile for name, tile in TILES.items()}
        self.nets = nn.ModuleDict(
            {n: TileNet(tiles[n].rows, tiles[n].columns, widths[n], sizes[n], 5 if n == "face" else 3) for n in widths}
        )
        self.to_face = nn.Linear(sizes["face"], keypoints * 3)
        # The keypoints of both eyes are no mirror images of one another, so each eye has its own readout.
        self.to_points = nn.ModuleDict({n: nn.Linear(sizes[net_of(n)], 2 * len(p)) for n, p in self.points.items()})
        depths = {"face": (1, 4), "eye": (0, 3), "mouth": (0, 3)}  # which of the maps segment: from, before
        self._depths = {name: slice(*d) for name, d in depths.items()}
        self.segmenters = nn.ModuleDict({n: TileSegmenter(widths[n][self._depths[n]], segments) for n in depths})

    def forward(self, images: Tensor, keypoints: Tensor) -> Encoded:
        """images [B 3 S S]; keypoints [B K 2+] in coordinates of the crop, 68 landmarks first; they place the tiles."""
        frames = frames_of(keypoints)
        return self.read(cut(images, frames), frames)

    def read(self, tiles: dict[str, Tensor], frames: Tensor) -> Encoded:
        """Tiles [B 3 rows columns] by name, cut at frames [B 5 4] -> Encoded."""
        return self.read_with_segments(tiles, frames, segmented=False)[0]

    def read_with_segments(
        self, tiles: dict[str, Tensor], frames: Tensor, segmented: bool = True
    ) -> tuple[Encoded, dict[str, Tensor]]:
        """As `read`, and logits [B SHOWN rows/step columns/step] by name of a tile, see SEGMENT_STEP."""
        codes, maps = {}, {}
        for net, x in self._inputs(tiles).items():
            codes[net], maps[net] = self.nets[net](x)
        codes["left"], codes["right"] = codes.pop("eye").chunk(2)
        rough = self._rough(codes["face"], frames[:, 0])
        placed = rough.clone()
        for name, points in self.points.items():
            local = exact(self.to_points[name], codes[name]).view(len(frames), -1, 2)
            if name == "right":
                local = local * local.new_tensor([-1.0, 1.0])
            placed[:, points, :2] = to_crop(local, frames[:, NAMES.index(name)])
        feature = torch.cat([codes[name] for name in NAMES], 1)
        return Encoded(feature, placed, rough, frames), self._segments(maps) if segmented else {}

    def _inputs(self, tiles: dict[str, Tensor]) -> dict[str, Tensor]:
        """Tiles by name of their network. Both eyes are one batch, the right ones mirrored."""
        eyes = torch.cat([tiles["left"], tiles["right"].flip(-1)])
        return {"face": tiles["face"], "eye": eyes, "mouth": tiles["mouth"], "brows": tiles["brows"]}

    def _rough(self, code: Tensor, frame: Tensor) -> Tensor:
        """Keypoints [B K 3] in the crop from the code [B D] of the face's tile."""
        local = exact(self.to_face, code).view(-1, self.count, 3)
        return torch.cat([to_crop(local[..., :2], frame), local[..., 2:] * frame[:, 2, None, None]], -1)

    def _segments(self, maps: dict[str, list[Tensor]]) -> dict[str, Tensor]:
        logits = {net: segmenter(maps[net][self._depths[net]]).float() for net, segmenter in self.segmenters.items()}
        left, right = logits.pop("eye").chunk(2)
        return {**logits, "left": left, "right": right.flip(-1)}


def exact(layer: nn.Module, x: Tensor) -> Tensor:
    """layer(x) in float32 also where autocast is on: bfloat16 would round a keypoint by up to 0.4 % of its tile."""
    with torch.autocast(x.device.type, enabled=False):
        out: Tensor = layer(x.float())
    return out


def net_of(name: str) -> str:
    """Name of the network of a tile."""
    return "eye" if name in EYES else name
