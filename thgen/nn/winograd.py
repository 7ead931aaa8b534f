"""3x3 convolutions with fixed weights, by Winograd's F(4x4, 3x3) (Lavin and Gray 2016): a quarter of the products.

The map is cut into tiles of 4x4 pixels. Each tile and a border of 1 px around it, 6x6 values, are transformed to 36
numbers per channel; there the convolution is 36 products of matrices; a last transform gives the 4x4 pixels:

    out = A^T [ sum over inputs of (G w G^T) * (B^T x B) ] A

The transforms cost the more, the fewer channels there are. On one thread of an EPYC with AVX-512 it takes 0.5 times as
long as oneDNN's direct convolution at 256 and 512 channels, and as long at 128. Results differ by 1e-5 of their size.
The transformed weight is four times as large as the weight.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

TILE = 4  # side of a tile of the output, px
REACH = 6  # side of its input
CHANNELS = 256  # inputs from which on it is faster than a direct convolution
SIDE = 16  # px of a map, from which on it is; below, most time goes into reading the transformed weight

INPUT = ((4, 0, -5, 0, 1, 0), (0, -4, -4, 1, 1, 0), (0, 4, -4, -1, 1, 0), (0, -2, -1, 2, 1, 0), (0, 2, -1, -2, 1, 0),
         (0, 4, 0, -5, 0, 1))  # fmt: skip
WEIGHT = ((1 / 4, 0, 0), (-1 / 6, -1 / 6, -1 / 6), (-1 / 6, 1 / 6, -1 / 6), (1 / 24, 1 / 12, 1 / 6),
          (1 / 24, -1 / 12, 1 / 6), (0, 0, 1))  # fmt: skip
OUTPUT = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))


def pays(inputs: int, side: int) -> bool:
    """Whether it is faster than a direct convolution of `inputs` channels of side x side px."""
    return inputs >= CHANNELS and side >= SIDE and side % TILE == 0


def _squared(rows: tuple[tuple[float, ...], ...]) -> Tensor:
    """A transform of both axes at once: [a i] -> [a a, i i]."""
    one = torch.tensor(rows, dtype=torch.float64)
    return torch.kron(one, one).float().contiguous()


class Winograd:
    """Convolution with weight [O I 3 3], stride 1, zeros outside. Inference only."""

    def __init__(self, weight: Tensor):
        outputs, inputs = weight.shape[:2]
        transform = _squared(WEIGHT).double()
        flat = weight.detach().cpu().double().permute(2, 3, 1, 0).reshape(9, -1)
        self.weight = (transform @ flat).view(REACH**2, inputs, outputs).float().to(weight.device).contiguous()
        self.input, self.output = _squared(INPUT).to(weight.device), _squared(OUTPUT).to(weight.device)

    def __call__(self, x: Tensor) -> Tensor:
        """[1 I H W] -> [1 O H W], both channels-last. H and W are multiples of TILE."""
        _, inputs, height, width = x.shape
        rows, columns = height // TILE, width // TILE
        padded = F.pad(x[0].permute(1, 2, 0), (0, 0, 1, 1, 1, 1)).contiguous()
        down, right = padded.stride()[:2]
        tiles = padded.as_strided(
            (REACH, REACH, rows, columns, inputs), (down, right, TILE * down, TILE * right, 1)
        ).reshape(REACH**2, -1)  # fmt: skip
        products = torch.bmm((self.input @ tiles).view(REACH**2, -1, inputs), self.weight)
        out = (self.output @ products.view(REACH**2, -1)).view(TILE, TILE, rows, columns, -1)
        return out.permute(2, 0, 3, 1, 4).reshape(1, height, width, -1).permute(0, 3, 1, 2)
