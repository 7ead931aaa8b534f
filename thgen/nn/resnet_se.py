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


class SEStages(nn.Module):
    """Input [B inputs H W] -> maps [B C H' W']. All stages but the first halve both axes.

    channels, depths: channels and number of blocks of each stage.
    """

    def __init__(self, inputs: int, channels: tuple[int, ...], depths: tuple[int, ...]):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels[0], 3, 1, 1)
        self.bn1 = nn.BatchNorm2d(channels[0])
        before, self.stages = channels[0], len(channels)
        for number, (outputs, depth) in enumerate(zip(channels, depths, strict=True)):
            strides = [1 if number == 0 else 2] + [1] * (depth - 1)
            blocks = [SEBlock(a, outputs, s) for a, s in zip([before] + [outputs] * (depth - 1), strides, strict=True)]
            self.add_module(f"layer{number + 1}", nn.Sequential(*blocks))
            before = outputs
        self.channels = before

    def maps(self, x: Tensor) -> Tensor:
        x = self.bn1(F.relu(self.conv1(x)))
        for number in range(self.stages):
            x = self.get_submodule(f"layer{number + 1}")(x)
        return x


class ResNetSE(SEStages):
    """Mel window [B 1 mels frames] in [0, 1] -> feature [B features].

    channels, depths: see SEStages. attention: hidden channels of the pooling.
    """

    def __init__(self, channels: tuple[int, ...], depths: tuple[int, ...], mels: int, features: int, attention: int):
        super().__init__(1, channels, depths)
        size = self.channels * (mels // 2 ** (self.stages - 1))
        self.attention = nn.Sequential(
            nn.Conv1d(size, attention, 1), nn.ReLU(), nn.BatchNorm1d(attention), nn.Conv1d(attention, size, 1),
            nn.Softmax(dim=2),
        )  # fmt: skip
        self.fc = nn.Linear(size, features)

    def forward(self, x: Tensor) -> Tensor:
        steps = self.maps(x).flatten(1, 2)  # channels x frequency, time
        feature: Tensor = self.fc((steps * self.attention(steps)).sum(2))
        return feature


class PictureResNetSE(SEStages):
    """Pictures [B 3 H W] -> feature [B features]: the same stages on three channels, averaged over the picture, which
    has no axis of time. channels, depths: see SEStages."""

    def __init__(self, channels: tuple[int, ...], depths: tuple[int, ...], features: int):
        super().__init__(3, channels, depths)
        self.fc = nn.Linear(self.channels, features)

    def forward(self, x: Tensor) -> Tensor:
        feature: Tensor = self.fc(self.maps(x).mean((2, 3)))
        return feature
