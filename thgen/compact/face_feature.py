"""The encoder of a compact method: a linear map and an MLP on what the face encoder says of a face."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn


class FaceFeature(nn.Module):
    """What the face encoder says of a frame, [B inputs] -> feature [B features], by a linear map and an MLP.

    The entries are brought to one scale first, because codes of different tiles have different ones. The linear map
    reads unseen people better than the MLP alone, since keypoints are linear in the codes. hidden, layers: width and
    depth of the MLP.
    """

    def __init__(self, inputs: int, hidden: int, layers: int, features: int) -> None:
        super().__init__()
        sizes = [inputs] + [hidden] * layers
        body = [m for a, b in pairwise(sizes) for m in (nn.Linear(a, b), nn.SiLU())]
        self.norm, self.linear = nn.BatchNorm1d(inputs, affine=False), nn.Linear(inputs, features)
        self.body = nn.Sequential(*body, nn.Linear(hidden, features))

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        out: Tensor = self.linear(x) + self.body(x)
        return out
