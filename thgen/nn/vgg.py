"""VGG19 up to its last block, for perceptual losses: features that see texture and shape as photos have them.

Simonyan and Zisserman 2015, configuration E; as a loss: Johnson et al. 2016. Tensor names are those of the public
checkpoints of torchvision and timm (`features.0.weight` ... `features.28.bias`).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCKS = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 1))  # channels, convolutions; nothing after conv5_1 is needed
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class VGG19(nn.Module):
    """blocks: (channels, convolutions) between poolings. Pictures [B 3 H W] in [-1, 1], H and W at least 16."""

    mean: Tensor
    std: Tensor

    def __init__(self, blocks: tuple[tuple[int, int], ...] = BLOCKS):
        super().__init__()
        layers: list[nn.Module] = []
        self.taps: list[int] = []  # the first ReLU of every block: relu1_1 ... relu5_1
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
        """Maps after relu1_1, relu2_1, ... , each half the size of the one before."""
        x = ((image + 1) / 2 - self.mean) / self.std
        maps = []
        for number, layer in enumerate(self.features):
            x = F.relu(x) if isinstance(layer, nn.ReLU) else layer(x)
            if number in self.taps:
                maps.append(x)
        return maps
