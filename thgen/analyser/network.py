"""The face analyser: one small network that reads a face crop into keypoints, pose, gaze, lids and coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thgen.schema import COEFFICIENTS, SEGMENTS

INPUT_SIZE = 128
LOOK_SCALE, LOOK_LIFT = 1.6, 0.06  # its framing, see face.crop.ANALYSER
POSE_SCALE, GAZE_SCALE, OPENNESS_SCALE = 20.0, 10.0, 50.0  # degrees, degrees, %: what one unit of a head stands for


@dataclass(frozen=True)
class Analysis:
    """What a crop shows, one row per crop; units and signs as in thgen.schema.

    keypoints [B K 3] in coordinates of the crop, pose [B 3] degrees, gaze [B 2 2] degrees (left, right eye; relative to
    the head), openness [B 2] % (left, right), coefficients [B 57], face [B] logit of "this is a face, framed right",
    rough [B K 3] keypoints before the closer looks.
    """

    keypoints: Tensor
    pose: Tensor
    gaze: Tensor
    openness: Tensor
    coefficients: Tensor
    face: Tensor
    rough: Tensor

    @staticmethod
    def cat(rows: Sequence[Analysis]) -> Analysis:
        """Analyses one after another, as one batch."""
        names = Analysis.__dataclass_fields__
        return Analysis(**{name: torch.cat([getattr(row, name) for row in rows]) for name in names})

    def to(self, device: torch.device) -> Analysis:
        return Analysis(**{name: getattr(self, name).to(device) for name in self.__dataclass_fields__})

    def detach(self) -> Analysis:
        return Analysis(**{name: getattr(self, name).detach() for name in self.__dataclass_fields__})

    def float(self) -> Analysis:
        return Analysis(**{name: getattr(self, name).float() for name in self.__dataclass_fields__})


class ResidualDown(nn.Module):
    """Stride-2 residual block: two 3x3 convolutions with group norm beside an averaged 1x1 shortcut."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, 2, 1), nn.GroupNorm(8, outputs), nn.SiLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1), nn.GroupNorm(8, outputs),
        )  # fmt: skip
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(inputs, outputs, 1))
        self.act = nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        """[B C H W] -> [B C' H/2 W/2]."""
        return self.act(self.body(x) + self.shortcut(x))


class LocalLook(nn.Module):
    """A closer look at one feature: a patch of the crop -> places of its points within the patch, and a code.

    points: how many; size: rows and columns of the patch.
    """

    def __init__(self, points: int, size: tuple[int, int], channels: tuple[int, ...] = (24, 48, 96), code: int = 96):
        super().__init__()
        self.size, self.points = size, points
        layers: list[nn.Module] = [nn.Conv2d(3, channels[0], 3, 1, 1), nn.SiLU()]
        for a, b in pairwise(channels):
            layers += [nn.Conv2d(a, b, 3, 2, 1), nn.GroupNorm(8, b), nn.SiLU()]
        layers += [nn.Conv2d(channels[-1], channels[-1], 3, 2, 1), nn.GroupNorm(8, channels[-1]), nn.SiLU()]
        self.trunk = nn.Sequential(*layers)
        area = -(-size[0] // 8) * -(-size[1] // 8)
        self.code = nn.Sequential(nn.Flatten(), nn.Linear(channels[-1] * area, code), nn.SiLU())
        self.to_points = nn.Linear(code, points * 2)

    def forward(self, x: Tensor, centre: Tensor, half: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
        """x [B 3 128 128]; the patch's centre [B 2], half-width [B] and turn [B] (radians, clockwise) in its
        coordinates. Returns points [B n 2] in the coordinates of x, and the code [B D]."""
        rows, columns = self.size
        cos, sin = half * angle.cos(), half * angle.sin()
        tall = rows / columns
        matrix = torch.stack(
            [torch.stack([cos, -sin * tall, centre[:, 0]], 1), torch.stack([sin, cos * tall, centre[:, 1]], 1)], 1
        )
        grid = F.affine_grid(matrix, [len(x), 3, rows, columns], align_corners=False)
        patch = F.grid_sample(x, grid.to(x.dtype), padding_mode="border", align_corners=False)
        code = self.code(self.trunk(patch))
        local = self.to_points(code).float().view(-1, self.points, 2)
        turn = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
        return local @ turn.mT + centre[:, None], code


class Segmenter(nn.Module):
    """Feature maps of the analyser, finest first -> classes of schema.SEGMENTS; coarse maps tell fine ones what they
    see (a feature pyramid, Lin et al. 2017). inputs: channels of the maps; width: of the pyramid."""

    def __init__(self, inputs: tuple[int, ...], width: int = 32):
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in inputs)
        self.smooth = nn.ModuleList(
            nn.Sequential(nn.GroupNorm(8, width), nn.SiLU(), nn.Conv2d(width, width, 3, 1, 1)) for _ in inputs
        )
        self.out = nn.Sequential(nn.GroupNorm(8, width), nn.SiLU(), nn.Conv2d(width, len(SEGMENTS), 3, 1, 1))

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Logits [B P H W] at the size of the finest map."""
        x = torch.zeros_like(self.lateral[-1](maps[-1]))
        for map_, lateral, smooth in reversed(list(zip(maps, self.lateral, self.smooth, strict=True))):
            x = F.interpolate(x, size=map_.shape[-2:], mode="bilinear", align_corners=False) + lateral(map_)
            x = x + smooth(x)
        return self.out(x)


class Analyser(nn.Module):
    """[B 3 128 128] in [-1, 1] -> Analysis: a look at the whole, then closer looks at eyes and mouth.

    keypoints: K; eye_points: keypoint numbers that the left and the right eye's close look places; mouth_points
    likewise; channels: widths after each halving, from 64x64 to 4x4; segments: width of the segmentation's pyramid.
    """

    def __init__(
        self, keypoints: int, eye_points: list[list[int]], mouth_points: list[int],
        channels: tuple[int, ...] = (32, 56, 96, 160, 256), hidden: int = 512, segments: int = 32,
    ):  # fmt: skip
        super().__init__()
        self.count, self.eye_points, self.mouth_points = keypoints, eye_points, mouth_points
        self.config = {
            "class": "analyser", "keypoints": keypoints, "eye_points": eye_points, "mouth_points": mouth_points,
            "channels": list(channels), "hidden": hidden, "segments": segments,
        }  # fmt: skip
        self.stem = nn.Sequential(nn.Conv2d(3, channels[0], 5, 2, 2), nn.SiLU())
        self.blocks = nn.ModuleList(ResidualDown(a, b) for a, b in pairwise(channels))
        side = INPUT_SIZE // 2 ** len(channels)
        self.neck = nn.Sequential(nn.Flatten(), nn.Linear(channels[-1] * side * side, hidden), nn.SiLU())
        self.to_keypoints = nn.Linear(hidden, keypoints * 3)
        self.eyes = nn.ModuleList(LocalLook(len(points), (32, 48)) for points in eye_points)
        self.mouth = LocalLook(len(mouth_points), (40, 56))
        self.to_face = nn.Linear(hidden, 1)
        self.segmenter = Segmenter(channels, segments)
        self.to_factors = nn.Sequential(
            nn.Linear(hidden + 3 * 96, 320), nn.SiLU(), nn.Linear(320, 3 + 4 + 2 + len(COEFFICIENTS))
        )

    def features(self, x: Tensor) -> list[Tensor]:
        """Feature maps from 64x64 down to 4x4; also what the perceptual loss compares."""
        maps = [self.stem(x)]
        for block in self.blocks:
            maps.append(block(maps[-1]))
        return maps

    def segment(self, x: Tensor) -> Tensor:
        """Crops [B 3 128 128], framed as thgen crops a photo or closer -> logits [B P 64 64] of schema.SEGMENTS."""
        logits: Tensor = self.segmenter(self.features(x))
        return logits.float()

    def _closer(self, x: Tensor, rough: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Keypoints [B K 3] with eyes and mouth placed by their own looks, and the looks' codes."""
        guide = rough.detach()
        landmarks = guide[:, :68, :2]
        extent = (landmarks.amax(1) - landmarks.amin(1)).amax(1)
        across = landmarks[:, 42:48].mean(1) - landmarks[:, 36:42].mean(1)
        angle = torch.atan2(across[:, 1], across[:, 0])
        out, codes = rough.clone(), []
        looks = (
            (self.eyes[0], self.eye_points[0], slice(42, 48), 0.19),
            (self.eyes[1], self.eye_points[1], slice(36, 42), 0.19),
            (self.mouth, self.mouth_points, slice(48, 68), 0.33),
        )
        for look, points, around, reach in looks:
            placed, code = look(x, landmarks[:, around].mean(1), reach * extent, angle)
            out[:, points, :2] = placed.to(out.dtype)
            codes.append(code)
        return out, codes

    def forward(self, x: Tensor) -> Analysis:
        code = self.neck(self.features(x)[-1])
        rough = self.to_keypoints(code).float().view(-1, self.count, 3)
        keypoints, codes = self._closer(x, rough)
        factors = self.to_factors(torch.cat([code, *codes], 1))
        pose, gaze, openness, coefficients = factors.split((3, 4, 2, len(COEFFICIENTS)), 1)
        return Analysis(
            keypoints, pose * POSE_SCALE, gaze.view(-1, 2, 2) * GAZE_SCALE, openness * OPENNESS_SCALE + 100,
            coefficients, self.to_face(code)[:, 0], rough,
        )  # fmt: skip


def to_input(images: Tensor) -> Tensor:
    """uint8 RGB [B H W 3] -> [B 3 H W] in [-1, 1]."""
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1


def framing(keypoints: Tensor) -> Tensor:
    """The analyser's own square (x, y, half-side) around the landmarks of keypoints [B K 3], [B 3]."""
    xy = keypoints[:, :68, :2]
    low, high = xy.amin(1), xy.amax(1)
    half = (high - low).amax(1) * LOOK_SCALE / 2
    centre = (low + high) / 2
    return torch.stack([centre[:, 0], centre[:, 1] - 2 * LOOK_LIFT * half, half], 1)


def look(analyser: Analyser, image: Tensor, square: Tensor) -> tuple[Analysis, Tensor]:
    """Analyse squares [B 3] (x, y, half-side) of pictures [B 3 S S]: what is seen there, with keypoints in coordinates
    of the square, and the keypoints [B K 3] in coordinates of the picture."""
    x, y, half = square.unbind(1)
    zero = torch.zeros_like(x)
    matrix = torch.stack([torch.stack([half, zero, x], 1), torch.stack([zero, half, y], 1)], 1)
    fine = 2 * INPUT_SIZE  # sampled finely, then averaged: no aliasing
    places = F.affine_grid(matrix, [len(image), 3, fine, fine], align_corners=False)
    view = F.avg_pool2d(F.grid_sample(image, places, padding_mode="border", align_corners=False), 2)
    analysis = analyser(view)
    keypoints = analysis.keypoints * half[:, None, None]
    keypoints = torch.cat([keypoints[..., :2] + square[:, None, :2], keypoints[..., 2:]], -1)
    return analysis, keypoints
