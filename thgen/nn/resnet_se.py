"""ResNetSE-34 over mel windows, with self-attentive pooling ("V2" of Heo et al. 2020).

PC-AVS and PD-FGC use it as audio encoder.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from thgen.nn.resnext import projection


class Squeeze(nn.Module):
    """Squeeze and excitation (Hu et al. 2018): scales each channel by a function of the mean of all channels.

    reduction: channels per hidden channel. bias: of the linear layers; IR-SE has none.
    """

    def __init__(self, channels: int, reduction: int = 8, bias: bool = True):
        super().__init__()
        hidden = max(1, channels // reduction)
        self.fc = nn.Sequential(
            nn.Linear(channels, hidden, bias), nn.ReLU(), nn.Linear(hidden, channels, bias), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.fc(x.mean((2, 3)))[..., None, None]


class SEBlock(nn.Module):
    """Residual block. The order is convolution, ReLU, batch norm: the released weights were trained with it."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.se = Squeeze(outputs)
        self.downsample = projection(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(F.relu(self.conv1(x)))
        y = self.se(self.bn2(self.conv2(y)))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNetSE(nn.Module):
    """Mel window [B 1 mels frames] in [0, 1] -> feature [B features].

    channels, depths: channels and number of blocks of each stage. All stages but the first halve both axes.
    attention: hidden channels of the pooling.
    """

    def __init__(self, channels: tuple[int, ...], depths: tuple[int, ...], mels: int, features: int, attention: int):
        super().__init__()
        self.conv1 = nn.Conv2d(1, channels[0], 3, 1, 1)
        self.bn1 = nn.BatchNorm2d(channels[0])
        inputs, self.stages = channels[0], len(channels)
        for number, (outputs, depth) in enumerate(zip(channels, depths, strict=True)):
            strides = [1 if number == 0 else 2] + [1] * (depth - 1)
            blocks = [SEBlock(a, outputs, s) for a, s in zip([inputs] + [outputs] * (depth - 1), strides, strict=True)]
            self.add_module(f"layer{number + 1}", nn.Sequential(*blocks))
            inputs = outputs
        size = inputs * (mels // 2 ** (self.stages - 1))
        self.attention = nn.Sequential(
            nn.Conv1d(size, attention, 1), nn.ReLU(), nn.BatchNorm1d(attention), nn.Conv1d(attention, size, 1),
            nn.Softmax(dim=2),
        )  # fmt: skip
        self.fc = nn.Linear(size, features)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn1(F.relu(self.conv1(x)))
        for number in range(self.stages):
            x = self.get_submodule(f"layer{number + 1}")(x)
        steps = x.flatten(1, 2)  # channels x frequency, time
        feature: Tensor = self.fc((steps * self.attention(steps)).sum(2))
        return feature
