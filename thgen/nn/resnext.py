"""ResNeXt (Xie et al. 2017). The tensor names are those of torchvision, so that its checkpoints load."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def projection(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    """Shortcut of a residual block: a 1x1 convolution with batch norm. None (identity) if the shape does not change."""
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class Bottleneck(nn.Module):
    """Residual block: 1x1, grouped 3x3 with the stride, 1x1; the shortcut is an identity or a 1x1 projection."""

    def __init__(self, inputs: int, width: int, outputs: int, groups: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = projection(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """[B C H W] -> [B C' H/stride W/stride]."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + (x if self.downsample is None else self.downsample(x)))


class ResNeXt(nn.Module):
    """[B 3 H W] -> feature map [B C H/32 W/32] for four stages, C = 32 base.

    depths: blocks per stage. groups, group_width: number and width of the groups of the 3x3 convolutions in the first
    stage; the width doubles with every stage. base: channels of the stem.
    """

    def __init__(self, depths: tuple[int, ...], groups: int, group_width: int, base: int):
        super().__init__()
        self.conv1 = nn.Conv2d(3, base, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(base)
        channels, width = base, groups * group_width
        for number, depth in enumerate(depths):
            outputs = 4 * base * 2**number
            blocks = []
            for i in range(depth):
                stride = 2 if i == 0 and number > 0 else 1
                blocks.append(Bottleneck(channels, width, outputs, groups, stride))
                channels = outputs
            self.add_module(f"layer{number + 1}", nn.Sequential(*blocks))
            width *= 2
        self.channels, self.stages = channels, len(depths)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for number in range(self.stages):
            x = self.get_submodule(f"layer{number + 1}")(x)
        return x
