"""VGG19 up to conv5_1, for perceptual losses.

Network: Simonyan and Zisserman 2015, configuration E. Use as a loss: Johnson et al. 2016. The tensor names are those of
the public checkpoints of torchvision and timm (`features.0.weight` to `features.28.bias`).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCKS = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 1))  # channels and convolutions per block, up to conv5_1
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class VGG19(nn.Module):
    """blocks: (channels, convolutions) of each block; a pooling stands between two blocks."""

    mean: Tensor
    std: Tensor

    def __init__(self, blocks: tuple[tuple[int, int], ...] = BLOCKS):
        super().__init__()
        self.config = {"class": "vgg19", "blocks": [list(block) for block in blocks]}
        layers: list[nn.Module] = []
        self.taps: list[int] = []  # index of the first ReLU of every block: relu1_1 to relu5_1
        before = 3
        for number, (channels, count) in enumerate(blocks):
            if number:
                layers.append(nn.MaxPool2d(2))
            self.taps.append(len(layers) + 1)
            for _ in range(count):
                layers += [nn.Conv2d(before, channels, 3, 1, 1), nn.ReLU()]
                before = channels
        self.features = nn.Sequential(*layers)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD)[:, None, None], persistent=False)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Image [B 3 H W] in [-1, 1], H, W >= 16 -> maps after relu1_1 to relu5_1, each half the size of the last."""
        x = ((image + 1) / 2 - self.mean) / self.std
        maps = []
        for number, layer in enumerate(self.features):
            x = F.relu(x) if isinstance(layer, nn.ReLU) else layer(x)
            if number in self.taps:
                maps.append(x)
        return maps
