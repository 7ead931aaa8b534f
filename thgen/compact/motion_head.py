"""Latents -> state of a face. In compact presets this MLP and the flow generator replace a paper's image generator.

A movement is the difference between the states of driver and photo (compact.generator), so equal latents reproduce the
photo. One MLP takes all latents together. Disentanglement of the factors is the task of the method, not of this head.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import torch
from torch import Tensor, nn

from thgen.nn.rows import Rows
from thgen.schema import COEFFICIENTS

# Units per output of 1, so that outputs are near 1: degrees, degrees, half-widths (and log of scale), weights.
GAZE, TURN, PLACE = 10.0, 15.0, 0.1
SHAPE = 0.3


@dataclass(frozen=True)
class FaceState(Rows):
    """coefficients [B 57]; gaze [B 2 2] and turn [B 3] in degrees (left, right eye; yaw, pitch, roll); place [B 3]: x
    right, y down in half-widths of the crop, log of the scale."""

    coefficients: Tensor
    gaze: Tensor
    turn: Tensor
    place: Tensor


class MotionHead(nn.Module):
    """MLP from latents to a face state. latent: total size of all latents; hidden, layers: width and depth.

    lids_by_opening: see `generator.movement`. Only heads that were trained before 26 November 2026 have False; delete
    it, and `from_config`, with PD-FGC's weights of that time.
    """

    def __init__(self, latent: int, hidden: int = 256, layers: int = 3, lids_by_opening: bool = True):
        super().__init__()
        self.lids_by_opening = lids_by_opening
        self.config = {
            "class": "motion_head", "latent": latent, "hidden": hidden, "layers": layers,
            "lids_by_opening": lids_by_opening,
        }  # fmt: skip
        sizes = [latent] + [hidden] * layers
        self.body = nn.Sequential(*(m for a, b in pairwise(sizes) for m in (nn.Linear(a, b), nn.SiLU())))
        self.out = nn.Linear(hidden, len(COEFFICIENTS) + 4 + 3 + 3)
        with torch.no_grad():  # training starts from a face near rest
            self.out.weight.mul_(0.1)
            self.out.bias.zero_()

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The head of a weights file. Old files do not say how lids close."""
        return cls(**{"lids_by_opening": False, **config})

    def forward(self, latent: Tensor) -> FaceState:
        """Latents [B latent] -> state."""
        shape, gaze, turn, place = self.out(self.body(latent)).float().split((len(COEFFICIENTS), 4, 3, 3), 1)
        return FaceState(SHAPE * shape, GAZE * gaze.unflatten(1, (2, 2)), TURN * turn, PLACE * place)
