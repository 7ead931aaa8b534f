"""An analyser without weights. It gives the same answer for every picture."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from thgen.analyser.network import Analysis


class Constant(nn.Module):
    """[B 3 128 128] -> the same Analysis for every row: a spread of keypoints, straight ahead, eyes open, a face."""

    def __init__(self, keypoints: int) -> None:
        super().__init__()
        points = torch.rand(keypoints, 3, generator=torch.Generator().manual_seed(0)) * 1.2 - 0.6
        self.register_buffer("points", points)

    def forward(self, x: Tensor) -> Analysis:
        n = len(x)
        points: Tensor = self.get_buffer("points")
        points = points.expand(n, -1, -1)
        return Analysis(
            keypoints=points, pose=torch.zeros(n, 3), gaze=torch.zeros(n, 2, 2), openness=torch.full((n, 2), 100.0),
            coefficients=torch.zeros(n, 57), face=torch.full((n,), 3.0), rough=points,
        )  # fmt: skip
