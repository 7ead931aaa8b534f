"""Patch discriminator. It judges texture in patches, not whole images: the photo already gives the identity."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


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
