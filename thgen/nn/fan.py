"""Motion encoder: a face alignment network (FAN, Bulat and Tzimiropoulos 2017) with one hourglass.

The tensor names are those of PC-AVS and PD-FGC.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

DEPTH = 4  # levels of the hourglass, each at half the resolution of the one before


class ConvBlock(nn.Module):
    """Residual block: 3 convolutions (1/2, 1/4, 1/4 of the outputs), each after batch norm and ReLU, concatenated."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs // 2, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs // 2)
        self.conv2 = nn.Conv2d(outputs // 2, outputs // 4, 3, 1, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs // 4)
        self.conv3 = nn.Conv2d(outputs // 4, outputs // 4, 3, 1, 1, bias=False)
        self.downsample: nn.Module | None = None
        if inputs != outputs:
            self.downsample = nn.Sequential(
                nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, outputs, 1, bias=False)
            )

    def forward(self, x: Tensor) -> Tensor:
        first = self.conv1(F.relu(self.bn1(x)))
        second = self.conv2(F.relu(self.bn2(first)))
        third = self.conv3(F.relu(self.bn3(second)))
        return torch.cat([first, second, third], 1) + (x if self.downsample is None else self.downsample(x))


class HourGlass(nn.Module):
    """Hourglass: [B C H W] -> the same shape, by way of `depth` levels of half the resolution each."""

    def __init__(self, channels: int, dropout: float = 0.5, depth: int = DEPTH):
        super().__init__()
        self.depth = depth
        for level in range(depth, 0, -1):
            self.add_module(f"b1_{level}", ConvBlock(channels, channels))
            self.add_module(f"b2_{level}", ConvBlock(channels, channels))
        self.add_module("b2_plus_1", ConvBlock(channels, channels))
        for level in range(1, depth + 1):
            self.add_module(f"b3_{level}", ConvBlock(channels, channels))
        self.dropout = nn.Dropout(dropout)

    def _level(self, level: int, x: Tensor) -> Tensor:
        skip = self.dropout(self.get_submodule(f"b1_{level}")(x))
        low = self.get_submodule(f"b2_{level}")(F.max_pool2d(x, 2))
        low = self._level(level - 1, low) if level > 1 else self.get_submodule("b2_plus_1")(low)
        low = self.get_submodule(f"b3_{level}")(low)
        return skip + F.interpolate(low, size=skip.shape[-2:], mode="bilinear", align_corners=False)

    def forward(self, x: Tensor) -> Tensor:
        return self._level(self.depth, x)


class FanEncoder(nn.Module):
    """Image [B 3 side side] -> feature [B features], by way of `maps` feature maps.

    In the papers there are 68 maps, without supervision, and 1 channel after them.
    width: channels of the hourglass; the stem has a quarter of them.
    squeeze: channels of the convolution between the maps and the linear layer.
    """

    def __init__(self, width: int, side: int, features: int, maps: int, dropout: float, squeeze: int = 1):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width // 4, 7, 2, 3)
        self.bn1 = nn.BatchNorm2d(width // 4)
        self.conv2 = ConvBlock(width // 4, width // 2)
        self.conv3 = ConvBlock(width // 2, width // 2)
        self.conv4 = ConvBlock(width // 2, width)
        self.m0 = HourGlass(width, dropout)
        self.top_m_0 = ConvBlock(width, width)
        self.conv_last0 = nn.Conv2d(width, width, 1)
        self.bn_end0 = nn.BatchNorm2d(width)
        self.l0 = nn.Conv2d(width, maps, 1)
        self.bn5 = nn.BatchNorm2d(maps)
        self.conv6 = nn.Conv2d(maps, squeeze, 3, 2, 1)
        self.fc = nn.Linear(squeeze * (side // 8) ** 2, features)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.conv4(self.conv3(F.max_pool2d(self.conv2(x), 2)))
        x = self.top_m_0(self.m0(x))
        x = self.l0(F.relu(self.bn_end0(self.conv_last0(x))))
        x = self.conv6(F.relu(self.bn5(x)))
        feature: Tensor = self.fc(F.relu(x.flatten(1)))
        return feature
