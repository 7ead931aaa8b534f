"""Inversion encoders of StyleGAN2: pSp (Richardson et al. 2021), and the W encoder of HyperStyle (Alaluf et al. 2022).

Both have the trunk IR-SE-50. Their outputs are distances from the generator's average latent.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thgen.nn.ir_se import IRSE, UNITS
from thgen.nn.stylegan2 import EqualLinear

COARSE, MIDDLE = 3, 7  # first style indices that the maps at S/8 and at S/4 give; those before come from S/16 (pSp)


class StyleBlock(nn.Sequential):
    """Map [B C s s] -> latent [B latent]: stride-2 convolutions down to one pixel, then a linear layer. s = 2^k."""

    def __init__(self, channels: int, side: int, latent: int):
        layers: list[nn.Module] = []
        for number in range(max(1, side.bit_length() - 1)):
            layers += [nn.Conv2d(channels if number == 0 else latent, latent, 3, 2, 1), nn.LeakyReLU(0.01)]
        super().__init__(*layers, nn.Flatten(), EqualLinear(latent, latent))


class Pyramid(nn.Module):
    """The head of pSp: a style block per index on one of three maps, of which each finer one gets the coarser ones."""

    def __init__(self, side: int, latent: int, indices: int, base: int):
        super().__init__()
        top = 8 * base
        self.lateral1, self.lateral2 = nn.Conv2d(4 * base, top, 1), nn.Conv2d(2 * base, top, 1)
        sides = [side // 16] * COARSE + [side // 8] * (MIDDLE - COARSE) + [side // 4] * (indices - MIDDLE)
        self.styles = nn.ModuleList([StyleBlock(top, s, latent) for s in sides[:indices]])

    def forward(self, maps: list[Tensor]) -> Tensor:
        """The four maps of the trunk -> latents [B indices latent]."""
        _, fine, middle, coarse = maps
        second = _enlarged(coarse, middle) + self.lateral1(middle)
        third = _enlarged(second, fine) + self.lateral2(fine)
        sources = [coarse] * COARSE + [second] * (MIDDLE - COARSE) + [third] * len(self.styles)
        return torch.stack([style(source) for style, source in zip(self.styles, sources, strict=False)], 1)


def _enlarged(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=True)


class Pooled(nn.Module):
    """The head of HyperStyle's W encoder: one latent of the pooled last map, and a learned offset per index."""

    def __init__(self, latent: int, indices: int, base: int):
        super().__init__()
        self.linear = EqualLinear(8 * base, latent)
        self.offsets = nn.Parameter(torch.zeros(indices, latent))

    def forward(self, maps: list[Tensor]) -> Tensor:
        """The four maps of the trunk -> latents [B indices latent]."""
        latent: Tensor = self.linear(maps[-1].mean((2, 3)))
        return latent[:, None] + self.offsets


class InversionEncoder(nn.Module):
    """Pictures [B 3 side side] in [-1, 1] -> distances [B indices latent] from the generator's average latent.

    base: channels of the trunk's first stage. pyramid: pSp's head (209 M parameters at full size); False: the W
    encoder's with an offset per index (31 M).
    """

    def __init__(
        self, side: int = 256, latent: int = 512, indices: int = 14, base: int = 64, units: tuple[int, ...] = UNITS,
        pyramid: bool = True,
    ):  # fmt: skip
        super().__init__()
        self.config = {
            "class": "inversion_encoder", "side": side, "latent": latent, "indices": indices, "base": base,
            "units": list(units), "pyramid": pyramid,
        }  # fmt: skip
        self.side = side
        self.trunk = IRSE(base, tuple(units))
        self.head = Pyramid(side, latent, indices, base) if pyramid else Pooled(latent, indices, base)

    def forward(self, x: Tensor) -> Tensor:
        latents: Tensor = self.head(self.trunk(x))
        return latents
