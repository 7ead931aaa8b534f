"""Discriminators. Patches, not whole pictures: what is judged is texture, identity comes from the photo anyway."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class PatchDiscriminator(nn.Module):
    """Picture [B 3 H W] in [-1, 1] -> score per patch [B 1 H/8 W/8] and the feature maps before it.

    channels: widths after each stride-2 convolution (Isola et al. 2017), spectrally normalised (Miyato et al. 2018).
    """

    def __init__(self, channels: tuple[int, ...] = (32, 64, 96)):
        super().__init__()
        layers = [spectral_norm(nn.Conv2d(a, b, 4, 2, 1)) for a, b in pairwise((3, *channels))]
        self.layers = nn.ModuleList(layers)
        self.act = nn.LeakyReLU(0.2)
        self.score = spectral_norm(nn.Conv2d(channels[-1], 1, 3, 1, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        maps = []
        for layer in self.layers:
            x = self.act(layer(x))
            maps.append(x)
        return self.score(x), maps
