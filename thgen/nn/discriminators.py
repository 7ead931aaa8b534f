"""Discriminators of patches. They judge texture, not whole images: the photo already gives the identity."""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from thgen.nn.spectral import SpectralConv2d


class PatchDiscriminator(nn.Module):
    """Scores patches of an image (Isola et al. 2017), with spectral normalisation (Miyato et al. 2018).

    channels: number of channels after each stride-2 convolution.
    """

    def __init__(self, channels: tuple[int, ...] = (32, 64, 96)):
        super().__init__()
        layers = [spectral_norm(nn.Conv2d(a, b, 4, 2, 1)) for a, b in pairwise((3, *channels))]
        self.layers = nn.ModuleList(layers)
        self.act = nn.LeakyReLU(0.2)
        self.score = spectral_norm(nn.Conv2d(channels[-1], 1, 3, 1, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Image [B 3 H W] in [-1, 1] -> score per patch [B 1 H/8 W/8], and the feature map of every convolution."""
        maps = []
        for layer in self.layers:
            x = self.act(layer(x))
            maps.append(x)
        return self.score(x), maps


class ScaleDiscriminator(nn.Module):
    """One scale of MultiScaleDiscriminator: convolutions of 4x4 and stride 2, `channels` wide, then one of stride 1."""

    def __init__(self, channels: tuple[int, ...], inputs: int):
        super().__init__()
        self.model0 = nn.Sequential(nn.Conv2d(inputs, channels[0], 4, 2, 2), nn.LeakyReLU(0.2))
        for number, (before, after) in enumerate(pairwise(channels), 1):
            normed = nn.Sequential(SpectralConv2d(before, after, 4, 2, 2, bias=False), nn.InstanceNorm2d(after))
            self.add_module(f"model{number}", nn.Sequential(normed, nn.LeakyReLU(0.2)))
        self.add_module(f"model{len(channels)}", nn.Sequential(nn.Conv2d(channels[-1], 1, 4, 1, 2)))

    def forward(self, x: Tensor) -> Tensor:
        """Pictures [B inputs H W] -> logit per patch [B 1 h w]."""
        for layer in self.children():
            x = layer(x)
        return x


class MultiScaleDiscriminator(nn.Module):
    """Discriminators of the picture, of its half, its quarter ... (pix2pixHD, Wang et al. 2018).

    Layers and tensor names are those of SPADE (Park et al. 2019). scales: number of discriminators. inputs:
    channels of a picture; 6 for a picture and the one on which it is conditioned.
    """

    def __init__(self, scales: int = 2, channels: tuple[int, ...] = (64, 128, 256, 512), inputs: int = 3):
        super().__init__()
        for number in range(scales):
            self.add_module(f"discriminator_{number}", ScaleDiscriminator(tuple(channels), inputs))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Pictures [B inputs H W] -> logits per patch [B 1 h w] of each scale, the finest first."""
        found = []
        for net in self.children():
            found.append(net(x))
            x = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
        return found
