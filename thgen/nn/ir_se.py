"""IR-SE-50: the residual network of ArcFace (Deng et al. 2019) with squeeze and excitation, as pSp has it."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from thgen.nn.resnet_se import Squeeze
from thgen.nn.resnext import projection

UNITS = (3, 4, 14, 3)  # residual units of each stage of IR-SE-50
FACE_SIDE = 112  # px of ArcFace's input


class Unit(nn.Module):
    """Batch norm, 3x3, PReLU, 3x3 with the stride, batch norm, squeeze and excitation, beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(inputs), nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False), nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs),
            Squeeze(outputs, 16, bias=False),
        )  # fmt: skip
        self.stride = stride
        self.shortcut = None if inputs == outputs else projection(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """[B C H W] -> [B C' H/stride W/stride]. A shortcut without weights drops pixels."""
        past = x[..., :: self.stride, :: self.stride] if self.shortcut is None else self.shortcut(x)
        out: Tensor = self.body(x) + past
        return out


class IRSE(nn.Module):
    """Pictures [B 3 S S] in [-1, 1] -> the map after each of four stages, with 1, 2, 4, 8 times `base` channels and
    sides S/2, S/4, S/8, S/16. units: residual units of each stage; the first one of a stage halves the size."""

    def __init__(self, base: int = 64, units: tuple[int, ...] = UNITS):
        super().__init__()
        self.enter = nn.Sequential(nn.Conv2d(3, base, 3, 1, 1, bias=False), nn.BatchNorm2d(base), nn.PReLU(base))
        stages, inputs = [], base
        for number, count in enumerate(units):
            outputs = base * 2**number
            shapes = [(inputs, 2)] + [(outputs, 1)] * (count - 1)
            stages.append(nn.Sequential(*(Unit(before, outputs, stride) for before, stride in shapes)))
            inputs = outputs
        self.stages, self.channels = nn.ModuleList(stages), inputs

    def forward(self, x: Tensor) -> list[Tensor]:
        x, maps = self.enter(x), []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


class ArcFace(nn.Module):
    """Faces [B 3 112 112] in [-1, 1] -> embeddings [B features] of length 1, alike for pictures of one person."""

    def __init__(self, base: int = 64, units: tuple[int, ...] = UNITS, features: int = 512):
        super().__init__()
        self.config = {"class": "arcface", "base": base, "units": list(units), "features": features}
        self.body = IRSE(base, tuple(units))
        side = FACE_SIDE // 2 ** len(units)
        self.head = nn.Sequential(
            nn.BatchNorm2d(self.body.channels), nn.Dropout(), nn.Flatten(),
            nn.Linear(self.body.channels * side**2, features), nn.BatchNorm1d(features),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(self.head(self.body(x)[-1]), dim=1)
