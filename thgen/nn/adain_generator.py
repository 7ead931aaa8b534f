"""AdaIN generator of the latent-pose family (Burkov et al. 2020), conditioned by one vector.

AdaIN: Huang and Belongie 2017. Tensor names are those of the released generator "vector_pose ... noBottleneck".
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thgen.nn.spectral import SpectralConv2d, SpectralLinear

EPSILON = 1e-4  # of instance norm, and of the spectral norm of convolutions (parent)
WIDE = 0.75 * 2  # the output reaches beyond [-1, 1], so that black and white need no infinite input (parent)


class Constant(nn.Module):
    """Learned first map [1 C s s]."""

    def __init__(self, channels: int, side: int):
        super().__init__()
        self.constant = nn.Parameter(torch.ones(1, channels, side, side))


class AdaptiveNorm(nn.Module):
    """Instance norm, then scale and shift from outside."""

    def __init__(self, channels: int):
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        """x [B C H W], shift and scale [B C] -> [B C H W]."""
        normal = F.instance_norm(x, eps=EPSILON)
        return normal * scale[:, :, None, None] + shift[:, :, None, None]


class AdaptiveBlock(nn.Module):
    """Residual block: norm, ReLU, (x2), 3x3, norm, ReLU, 3x3. The shortcut is an identity, or (x2) and 1x1.

    The numbers of the layers are the parent's, where paddings and activations count.
    """

    def __init__(self, inputs: int, outputs: int, up: bool):
        super().__init__()
        self.up = up
        first, second = (4, 8) if up else (3, 7)
        conv = partial(SpectralConv2d, size=3, padding=1, bias=False, epsilon=EPSILON)
        self.block = nn.ModuleDict({
            "0": AdaptiveNorm(inputs), str(first): conv(inputs, outputs),
            str(first + 1): AdaptiveNorm(outputs), str(second): conv(outputs, outputs),
        })  # fmt: skip
        self.skip = None
        if up or inputs != outputs:
            self.skip = nn.ModuleDict({str(int(up)): SpectralConv2d(inputs, outputs, 1, epsilon=EPSILON)})

    def forward(self, x: Tensor, affine: list[tuple[Tensor, Tensor]]) -> Tensor:
        """x [B C H W], shift and scale of both norms -> [B C' 2H 2W], or [B C' H W] without up."""
        norm0, conv0, norm1, conv1 = self.block.values()
        y = F.relu(norm0(x, *affine[0]))
        if self.up:
            x, y = (F.interpolate(z, scale_factor=2.0, mode="nearest") for z in (x, y))
        y = conv1(F.relu(norm1(conv0(y), *affine[1])))
        if self.skip is None:
            return x + y
        (shortcut,) = self.skip.values()
        out: Tensor = shortcut(x) + y
        return out


class AdaINGenerator(nn.Module):
    """Latent [B latent] -> picture [B 3 size size], slightly beyond [-1, 1].

    channels: of the constant and after each doubling of the side, so size = start * 2 ** (len(channels) - 1). residual:
    blocks before the first doubling. start: side of the constant.
    """

    def __init__(
        self, latent: int, channels: tuple[int, ...] = (512, 512, 512, 512, 256, 128, 64), residual: int = 2,
        start: int = 4,
    ):  # fmt: skip
        super().__init__()
        self.config = {
            "class": "adain_generator", "latent": latent, "channels": list(channels), "residual": residual,
            "start": start,
        }  # fmt: skip
        self.latent, self.size = latent, start * 2 ** (len(channels) - 1)
        self.constant = Constant(channels[0], start)
        blocks = [AdaptiveBlock(channels[0], channels[0], False) for _ in range(residual)]
        blocks += [AdaptiveBlock(a, b, True) for a, b in pairwise(channels)]
        self.decoder_blocks = nn.ModuleDict({str(i): block for i, block in enumerate(blocks)})
        last = len(blocks)
        self.decoder_blocks[str(last)] = AdaptiveNorm(channels[-1])
        self.decoder_blocks[str(last + 2)] = SpectralConv2d(channels[-1], 3, 3, 1, 1, True, EPSILON)
        # in the order in which the picture passes them
        self.widths = [m.channels for m in self.decoder_blocks.modules() if isinstance(m, AdaptiveNorm)]
        hidden = max(latent, 512)
        self.affine_params_projector = nn.ModuleDict({
            "0": SpectralLinear(latent, hidden), "2": SpectralLinear(hidden, 2 * sum(self.widths))
        })  # fmt: skip

    def affine(self, latent: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Shift and scale [B C] of each norm, in the order in which the picture passes them."""
        first, second = self.affine_params_projector.values()
        numbers = second(F.relu(first(latent)))
        parts = numbers.split([width for width in self.widths for _ in range(2)], 1)
        return list(zip(parts[::2], parts[1::2], strict=True))

    def forward(self, latent: Tensor) -> Tensor:
        affine = self.affine(latent)
        x = self.constant.constant.expand(len(latent), -1, -1, -1)
        *blocks, norm, conv = self.decoder_blocks.values()
        for number, block in enumerate(blocks):
            x = block(x, affine[2 * number : 2 * number + 2])
        out: Tensor = WIDE * torch.tanh(conv(F.relu(norm(x, *affine[-1]))))
        return out

    @torch.no_grad()
    def shift(self, start: int, rest: Tensor) -> None:
        """Let the latent's entries from `start` on be counted from `rest` [n]: adding it to them is now part of the
        network. The pictures of latents that are smaller by `rest` are those of before."""
        first = self.affine_params_projector["0"]
        assert isinstance(first, SpectralLinear)
        training = first.training
        first.eval()  # the singular vectors stay as they are
        first.bias.add_(first.weight()[:, start : start + len(rest)] @ rest.to(first.bias))
        first.train(training)
