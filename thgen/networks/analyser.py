"""The face analyser: one small network that reads a face crop into keypoints, pose, gaze, lids and coefficients."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from thgen.schema import COEFFICIENTS

INPUT_SIZE = 128
POSE_SCALE, GAZE_SCALE, OPENNESS_SCALE = 20.0, 10.0, 50.0  # degrees, degrees, %: what one unit of a head stands for


@dataclass(frozen=True)
class Analysis:
    """What a crop shows, one row per crop; units and signs as in thgen.schema.

    keypoints [B K 3] in coordinates of the crop, pose [B 3] degrees, gaze [B 2 2] degrees (left, right eye; relative to
    the head), openness [B 2] % (left, right), coefficients [B 57], face [B] logit of "this is a face, framed right".
    """

    keypoints: Tensor
    pose: Tensor
    gaze: Tensor
    openness: Tensor
    coefficients: Tensor
    face: Tensor

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


class Analyser(nn.Module):
    """[B 3 128 128] in [-1, 1] -> Analysis. keypoints: K; channels: widths after each halving, from 64x64 to 4x4."""

    def __init__(self, keypoints: int, channels: tuple[int, ...] = (32, 56, 96, 160, 256), hidden: int = 512):
        super().__init__()
        self.count = keypoints
        self.config = {"class": "analyser", "keypoints": keypoints, "channels": list(channels), "hidden": hidden}
        self.stem = nn.Sequential(nn.Conv2d(3, channels[0], 5, 2, 2), nn.SiLU())
        self.blocks = nn.ModuleList(ResidualDown(a, b) for a, b in zip(channels[:-1], channels[1:], strict=True))
        side = INPUT_SIZE // 2 ** len(channels)
        self.neck = nn.Sequential(nn.Flatten(), nn.Linear(channels[-1] * side * side, hidden), nn.SiLU())
        self.to_keypoints = nn.Linear(hidden, keypoints * 3)
        self.to_factors = nn.Sequential(
            nn.Linear(hidden, 256), nn.SiLU(), nn.Linear(256, 3 + 4 + 2 + len(COEFFICIENTS) + 1)
        )

    def features(self, x: Tensor) -> list[Tensor]:
        """Feature maps from 64x64 down to 4x4; also what the perceptual loss compares."""
        maps = [self.stem(x)]
        for block in self.blocks:
            maps.append(block(maps[-1]))
        return maps

    def forward(self, x: Tensor) -> Analysis:
        code = self.neck(self.features(x)[-1])
        keypoints = self.to_keypoints(code).view(-1, self.count, 3)
        pose, gaze, openness, coefficients, face = self.to_factors(code).split((3, 4, 2, len(COEFFICIENTS), 1), 1)
        return Analysis(
            keypoints, pose * POSE_SCALE, gaze.view(-1, 2, 2) * GAZE_SCALE, openness * OPENNESS_SCALE + 100,
            coefficients, face[:, 0],
        )  # fmt: skip


def to_input(images: Tensor) -> Tensor:
    """uint8 RGB [B H W 3] -> [B 3 H W] in [-1, 1]."""
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1
