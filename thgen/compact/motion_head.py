"""Latents -> state of a face. In compact presets this MLP and the flow generator replace a paper's image generator.

A movement is the difference between the states of driver and photo (compact.generator), so equal latents reproduce the
photo. One head takes all latents together. Disentanglement of the factors is the task of the method, not of this head.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

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
    """Latents -> face state, by a linear map and an MLP. Unseen people are moved better than by the MLP alone.

    latent: total size of all latents; hidden, layers: width and depth of the MLP.
    """

    def __init__(self, latent: int, hidden: int = 256, layers: int = 3):
        super().__init__()
        self.config = {"class": "motion_head", "latent": latent, "hidden": hidden, "layers": layers}
        sizes = [latent] + [hidden] * layers
        self.body = nn.Sequential(*(m for a, b in pairwise(sizes) for m in (nn.Linear(a, b), nn.SiLU())))
        self.out = nn.Linear(hidden, len(COEFFICIENTS) + 4 + 3 + 3)
        self.linear = nn.Linear(latent, self.out.out_features, bias=False)
        with torch.no_grad():  # training starts from a face near rest
            self.out.weight.mul_(0.1)
            self.linear.weight.mul_(0.1)
            self.out.bias.zero_()

    @torch.no_grad()
    def shift(self, start: int, rest: Tensor) -> None:
        """Move the zero of the latent's entries from `start` on to `rest` [n]: latents that are smaller by `rest` lead
        to the same states as before."""
        entries, first = slice(start, start + len(rest)), self.body[0]
        first.bias += first.weight[:, entries] @ rest  # type: ignore[operator,index]
        self.out.bias += self.linear.weight[:, entries] @ rest  # type: ignore[misc]

    def forward(self, latent: Tensor) -> FaceState:
        """Latents [B latent] -> state."""
        out = self.linear(latent) + self.out(self.body(latent))
        shape, gaze, turn, place = out.float().split((len(COEFFICIENTS), 4, 3, 3), 1)
        return FaceState(SHAPE * shape, GAZE * gaze.unflatten(1, (2, 2)), TURN * turn, PLACE * place)
