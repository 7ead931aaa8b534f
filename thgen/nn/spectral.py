"""Convolution and linear layer with spectral normalisation (Miyato et al. 2018).

Tensor names are those of the old `torch.nn.utils.spectral_norm`: weight_orig, weight_u, weight_v. The old function
leaves a tensor with a graph in the module, so such a module cannot be copied; these can.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FIRST_STEPS = 15  # of the power iteration at the start: before any training, the norm is already right


class _Spectral(nn.Module):
    """weight_orig [out ...], divided by its largest singular value. epsilon: smallest length of a singular vector."""

    weight_orig: nn.Parameter
    weight_u: Tensor
    weight_v: Tensor

    def _normalise(self, weight: Tensor, epsilon: float) -> None:
        self.epsilon = epsilon
        self.weight_orig = nn.Parameter(weight)
        self.register_buffer("weight_u", F.normalize(torch.randn(len(weight)), dim=0, eps=epsilon))
        self.register_buffer("weight_v", F.normalize(torch.randn(weight[0].numel()), dim=0, eps=epsilon))
        for _ in range(FIRST_STEPS):
            self._step()

    @torch.no_grad()
    def _step(self) -> None:
        """One step of the power iteration."""
        matrix = self.weight_orig.flatten(1)
        self.weight_v = F.normalize(matrix.T @ self.weight_u, dim=0, eps=self.epsilon)
        self.weight_u = F.normalize(matrix @ self.weight_v, dim=0, eps=self.epsilon)

    def weight(self) -> Tensor:
        """The normalised weight. In training each call improves the singular vectors by one step."""
        with torch.autocast(self.weight_orig.device.type, enabled=False):
            if self.training:
                self._step()
            norm = torch.dot(self.weight_u, self.weight_orig.flatten(1) @ self.weight_v)
            return self.weight_orig / norm


class SpectralLinear(_Spectral):
    """[B inputs] -> [B outputs]."""

    def __init__(self, inputs: int, outputs: int, epsilon: float = 1e-12):
        super().__init__()
        start = nn.Linear(inputs, outputs)
        self.bias = nn.Parameter(start.bias.detach())
        self._normalise(start.weight.detach(), epsilon)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight(), self.bias)


class SpectralConv2d(_Spectral):
    """[B inputs H W] -> [B outputs H' W']."""

    def __init__(
        self, inputs: int, outputs: int, size: int, stride: int = 1, padding: int = 0, bias: bool = True,
        epsilon: float = 1e-12,
    ):  # fmt: skip
        super().__init__()
        start = nn.Conv2d(inputs, outputs, size, bias=bias)
        self.bias = nn.Parameter(start.bias.detach()) if start.bias is not None else None
        self.stride, self.padding = stride, padding
        self._normalise(start.weight.detach(), epsilon)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight(), self.bias, self.stride, self.padding)
