"""Discriminator of StyleGAN2 (Karras et al. 2020), of a picture, or of a few frames as channels of one picture."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thgen.nn.stylegan2 import ActivatedLinear, BiasActivation, EqualLinear, blur

GROUP = 4  # rows over which the deviation is taken, at most (StyleGAN2)
EPSILON = 1e-8  # added to a variance before the root


class EqualConv(nn.Module):
    """k x k convolution with equalised learning rate and without a bias. shrink: blur, then halve the size."""

    def __init__(self, inputs: int, outputs: int, kernel: int, shrink: bool = False):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.scale, self.kernel, self.shrink = 1 / math.sqrt(inputs * kernel**2), kernel, shrink

    def forward(self, x: Tensor) -> Tensor:
        """[B I H W] -> [B O H W], or [B O H/2 W/2]."""
        weight = self.weight * self.scale
        if not self.shrink:
            return F.conv2d(x, weight, padding=self.kernel // 2)
        reach = self.kernel // 2 + 1
        return F.conv2d(blur(x, (reach, reach), 1.0), weight, stride=2)


class DownBlock(nn.Module):
    """Two 3x3 convolutions, of which the second halves the size, beside a 1x1 shortcut that does, too."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv1, self.act1 = EqualConv(inputs, inputs, 3), BiasActivation(inputs)
        self.conv2, self.act2 = EqualConv(inputs, outputs, 3, shrink=True), BiasActivation(outputs)
        self.skip = EqualConv(inputs, outputs, 1, shrink=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.act2(self.conv2(self.act1(self.conv1(x))))
        return (y + self.skip(x)) / math.sqrt(2)


def with_deviation(x: Tensor) -> Tensor:
    """x [B C H W] with one more channel: the mean standard deviation within groups of rows, so that a generator that
    always makes the same picture is found out."""
    size = next(size for size in range(min(GROUP, len(x)), 0, -1) if len(x) % size == 0)
    groups = x.view(size, -1, *x.shape[1:])
    spread = (groups.var(0, unbiased=False) + EPSILON).sqrt().mean((1, 2, 3))
    return torch.cat([x, spread.repeat(size)[:, None, None, None].expand(-1, 1, *x.shape[2:])], 1)


class StyleDiscriminator(nn.Module):
    """Pictures [B 3F S S] in [-1, 1] -> logits [B 1] that they are real.

    channels: as of StyleGAN2, the first at `start`; S = start * 2^(len(channels) - 1). frames F: of a window that is
    judged as one; 1 = single pictures (FC-TFG, table 3: "video" and "image" discriminator).
    """

    def __init__(
        self, channels: tuple[int, ...] = (512, 512, 512, 512, 512, 256, 128), start: int = 4, frames: int = 1
    ):  # fmt: skip
        super().__init__()
        self.frames = frames
        self.enter, self.act = EqualConv(3 * frames, channels[-1], 1), BiasActivation(channels[-1])
        self.blocks = nn.Sequential(*(DownBlock(a, b) for a, b in pairwise(reversed(channels))))
        self.last, self.last_act = EqualConv(channels[0] + 1, channels[0], 3), BiasActivation(channels[0])
        self.judge = nn.Sequential(
            nn.Flatten(), ActivatedLinear(channels[0] * start**2, channels[0]), EqualLinear(channels[0], 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B 3F S S] -> [B 1]."""
        x = self.blocks(self.act(self.enter(x)))
        logits: Tensor = self.judge(self.last_act(self.last(with_deviation(x))))
        return logits

    def stacked(self, windows: Tensor) -> Tensor:
        """Windows [B T 3 S S] as `forward` takes them: [B 3T S S], or, for single pictures, [BT 3 S S]."""
        return windows.flatten(0, 1) if self.frames == 1 else windows.flatten(1, 2)
