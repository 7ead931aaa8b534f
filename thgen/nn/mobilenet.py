"""MobileNetV2 (Sandler et al. 2018). The tensor names are those of torchvision, so that its checkpoints load."""

from __future__ import annotations

from torch import Tensor, nn

# Expansion, channels, number of blocks, stride of the first one (table 2 of the paper).
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
STEM, LAST = 32, 1280  # channels of the first and of the last convolution
LINEAR_START = 0.01  # standard deviation of the last layer's first weights (torchvision)
EIGHT = 8  # channels are multiples of it


def scaled(channels: int, width: float) -> int:
    """Channels times `width`, rounded to a multiple of EIGHT, and not by more than a tenth downwards."""
    rounded = max(EIGHT, int(channels * width + EIGHT / 2) // EIGHT * EIGHT)
    return rounded + EIGHT if rounded < 0.9 * channels * width else rounded


def convolution(inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU6."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False), nn.BatchNorm2d(outputs),
        nn.ReLU6(),
    )  # fmt: skip


class InvertedResidual(nn.Module):
    """1x1 to `expansion` times the channels, 3x3 per channel, 1x1 back; with a shortcut where the shape stays."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int):
        super().__init__()
        hidden = inputs * expansion
        layers: list[nn.Module] = [] if expansion == 1 else [convolution(inputs, hidden, 1)]
        layers += [convolution(hidden, hidden, 3, stride, hidden), nn.Conv2d(hidden, outputs, 1, bias=False),
                   nn.BatchNorm2d(outputs)]  # fmt: skip
        self.conv = nn.Sequential(*layers)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x)
        return x + out if self.shortcut else out


class MobileNetV2(nn.Module):
    """Pictures [B 3 H W] -> [B outputs]. width: factor of all channels; dropout: share before the last layer."""

    def __init__(self, outputs: int, width: float = 1.0, dropout: float = 0.2):
        super().__init__()
        self.config = {"class": "mobilenet_v2", "outputs": outputs, "width": width, "dropout": dropout}
        channels = scaled(STEM, width)
        layers: list[nn.Module] = [convolution(3, channels, 3, 2)]
        for expansion, wide, count, stride in STAGES:
            for number in range(count):
                after = scaled(wide, width)
                layers.append(InvertedResidual(channels, after, stride if number == 0 else 1, expansion))
                channels = after
        last = scaled(LAST, max(1.0, width))
        layers.append(convolution(channels, last, 1))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(last, outputs))
        for module in self.modules():  # torchvision's start: with torch's own one, all pictures give one vector
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
        nn.init.normal_(self.classifier[1].weight, 0, LINEAR_START)  # type: ignore[arg-type]
        nn.init.zeros_(self.classifier[1].bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.classifier(self.features(x).mean((2, 3)))
        return out
