"""Generator of StyleGAN2 (Karras et al. 2020) with any start size. Tensor names: the common PyTorch port.

Modulation scales the inputs of a convolution, demodulation scales its outputs. The result equals that of scaled
weights, as in the paper, but no image needs its own copy of the weights.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TAPS = (1.0, 3.0, 3.0, 1.0)  # of the low-pass filter along one axis
EPSILON = 1e-8  # added to a sum of squares before the root
MAPPING_RATE = 0.01  # learning rate of the mapping network, parts of that of the other layers (StyleGAN2)
AVERAGE_STEP = 0.005  # weight of a training step in the average latent (StyleGAN2)


def blur(x: Tensor, pad: tuple[int, int], gain: float) -> Tensor:
    """Low-pass filter of [B C H W] with TAPS along both axes.

    pad: zeros before and after, along both axes. gain: sum of the filter's weights in two dimensions.
    """
    taps = torch.tensor(TAPS, dtype=x.dtype, device=x.device)
    taps = taps / taps.sum() * math.sqrt(gain)
    channels = x.shape[1]
    x = F.conv2d(F.pad(x, (*pad, 0, 0)), taps.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)
    return F.conv2d(F.pad(x, (0, 0, *pad)), taps.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)


class EqualLinear(nn.Module):
    """Linear layer with equalised learning rate: the stored weight is N(0, 1), and `forward` scales it.

    rate: factor of the layer's learning rate. The stored weight is divided by it; weight and bias are used times it.
    """

    def __init__(self, inputs: int, outputs: int, bias: float = 0.0, rate: float = 1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.scale, self.rate = rate / math.sqrt(inputs), rate

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias * self.rate)


class ActivatedLinear(EqualLinear):
    """EqualLinear, then a leaky ReLU times the square root of 2."""

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(super().forward(x), 0.2) * math.sqrt(2)


class Kernel(nn.Module):
    """Holds the filter that checkpoints contain. Nothing reads it: `blur` has the same filter in its code."""

    def __init__(self, gain: float):
        super().__init__()
        taps = torch.tensor(TAPS)
        self.register_buffer("kernel", taps[:, None] * taps / taps.sum() ** 2 * gain)


class ModulatedConv(nn.Module):
    """k x k convolution; an affine function of the latent scales its input channels. up: double the size."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, latent: int, demodulate: bool = True, up: bool = False
    ):  # fmt: skip
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, outputs, inputs, kernel, kernel))
        self.modulation = EqualLinear(latent, inputs, bias=1.0)
        self.scale = 1 / math.sqrt(inputs * kernel**2)
        self.demodulate, self.up, self.kernel = demodulate, up, kernel
        if up:
            self.blur = Kernel(4.0)

    def forward(self, x: Tensor, latent: Tensor) -> Tensor:
        """x [B I H W], latent [B D] -> [B O H' W']."""
        style = self.modulation(latent) * self.scale
        weight = self.weight[0]
        x = x * style[..., None, None]
        if self.up:
            x = blur(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2), (1, 1), 4.0)
        else:
            x = F.conv2d(x, weight, padding=self.kernel // 2)
        if self.demodulate:
            energy = style.square() @ weight.square().sum((2, 3)).T
            x = x * torch.rsqrt(energy + EPSILON)[..., None, None]
        return x


class Noise(nn.Module):
    """Adds a noise map, times one learned strength."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, noise: Tensor | None) -> Tensor:
        return x if noise is None else x + self.weight * noise


class BiasActivation(nn.Module):
    """Leaky ReLU of x + bias, times the square root of 2."""

    def __init__(self, channels: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x + self.bias, 0.2) * math.sqrt(2)


class StyledConv(nn.Module):
    """Modulated convolution, noise, activation."""

    def __init__(self, inputs: int, outputs: int, latent: int, up: bool = False):
        super().__init__()
        self.conv = ModulatedConv(inputs, outputs, 3, latent, up=up)
        self.noise, self.activate = Noise(), BiasActivation(outputs)

    def forward(self, x: Tensor, latent: Tensor, noise: Tensor | None) -> Tensor:
        out: Tensor = self.activate(self.noise(self.conv(x, latent), noise))
        return out


class ToRGB(nn.Module):
    """1x1 convolution to RGB without demodulation, added to the upsampled image of the block before."""

    def __init__(self, inputs: int, latent: int, up: bool):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        self.conv = ModulatedConv(inputs, 3, 1, latent, demodulate=False)
        if up:
            self.upsample = Kernel(4.0)

    def forward(self, x: Tensor, latent: Tensor, before: Tensor | None = None) -> Tensor:
        out: Tensor = self.conv(x, latent) + self.bias
        return out if before is None else out + upsample(before)


def upsample(picture: Tensor) -> Tensor:
    """Image at twice the size, [B 3 H W] -> [B 3 2H 2W]: zeros between the pixels, then the filter with gain 4."""
    b, c, h, w = picture.shape
    spread = picture.new_zeros(b, c, 2 * h, 2 * w)
    spread[:, :, ::2, ::2] = picture
    return blur(spread, (2, 1), 4.0)


class NoiseMaps(nn.Module):
    """One fixed noise map per layer (buffers noise_0, noise_1 and so on), so that a video does not flicker."""

    def __init__(self, start: int, blocks: int):
        super().__init__()
        self.count = 2 * blocks + 1
        for layer in range(self.count):
            size = start * 2 ** ((layer + 1) // 2)
            self.register_buffer(f"noise_{layer}", torch.randn(1, 1, size, size))

    def maps(self) -> list[Tensor]:
        """The maps in the order of the layers, [1 1 s s] each."""
        return [self.get_buffer(f"noise_{layer}") for layer in range(self.count)]


class StyleGenerator(nn.Module):
    """Latent [B latent] and start map [B C s s] -> image [B 3 S S], S = start * 2^(len(channels) - 1).

    channels: number of channels at each resolution, the first at `start`. There is no mapping network and no learned
    constant (PD-FGC uses neither): see StyleGAN2.

    latent, indices: entries of the latent and number of style indices; size: S in px.
    Each layer reads the latent at its style index: 0 and 1 are the first convolution and its RGB layer, 2 b + 1,
    2 b + 2 and 2 b + 3 the two convolutions and the RGB layer of block b. An RGB layer shares its index with the next
    block.
    """

    config: dict[str, object]

    def __init__(
        self, latent: int = 2590, channels: tuple[int, ...] = (512, 512, 512, 512, 256, 128), start: int = 7
    ):  # fmt: skip
        super().__init__()
        self.config = {"class": "style_generator", "latent": latent, "channels": list(channels), "start": start}
        self.conv1 = StyledConv(channels[0], channels[0], latent)
        self.to_rgb1 = ToRGB(channels[0], latent, up=False)
        convs, rgbs = [], []
        for a, b in pairwise(channels):
            convs += [StyledConv(a, b, latent, up=True), StyledConv(b, b, latent)]
            rgbs.append(ToRGB(b, latent, up=True))
        self.convs, self.to_rgbs = nn.ModuleList(convs), nn.ModuleList(rgbs)
        self.noises = NoiseMaps(start, len(channels) - 1)
        self.latent, self.start, self.indices = latent, start, 2 * len(channels)
        self.size = start * 2 ** (len(channels) - 1)

    def forward(self, latent: Tensor, start: Tensor, noise: bool = True, fresh: bool = False) -> Tensor:
        """latent [B latent], used at every layer, or [B indices latent]; start [B C s s].

        noise: add the fixed noise maps. fresh: draw new ones for this call instead, of each row its own.
        """
        maps: list[Tensor | None] = list(self.noises.maps()) if noise else [None] * self.noises.count
        if fresh:
            maps = [m if m is None else torch.randn_like(m.expand(len(start), -1, -1, -1)) for m in maps]
        at = [latent] * self.indices if latent.ndim == 2 else latent.unbind(1)
        x = self.conv1(start, at[0], maps[0])
        picture = self.to_rgb1(x, at[1])
        for number, to_rgb in enumerate(self.to_rgbs):
            x = self.convs[2 * number](x, at[2 * number + 1], maps[2 * number + 1])
            x = self.convs[2 * number + 1](x, at[2 * number + 2], maps[2 * number + 2])
            picture = to_rgb(x, at[2 * number + 3], picture)
        return picture


class PixelNorm(nn.Module):
    """Scales each row [B D] to a root mean square of 1."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(1, keepdim=True) + EPSILON)


class ConstantStart(nn.Module):
    """The learned map [1 C s s] from which StyleGAN2 starts."""

    def __init__(self, channels: int, size: int):
        super().__init__()
        self.input = nn.Parameter(torch.randn(1, channels, size, size))


class StyleGAN2(StyleGenerator):
    """The whole generator: noise z -> latent w (`style`, the mapping network) -> image, from a learned constant.

    layers: of the mapping network, whose learning rate is MAPPING_RATE times that of the rest
    average: [latent] mean of w over the training, from which inversion encoders count (`follow`)
    """

    average: Tensor

    def __init__(
        self, latent: int = 512, channels: tuple[int, ...] = (512, 512, 512, 512, 512, 256, 128), start: int = 4,
        layers: int = 8,
    ):  # fmt: skip
        super().__init__(latent, channels, start)
        self.config = {
            "class": "stylegan2", "latent": latent, "channels": list(channels), "start": start, "layers": layers,
        }  # fmt: skip
        mapping = [ActivatedLinear(latent, latent, rate=MAPPING_RATE) for _ in range(layers)]
        self.style = nn.Sequential(PixelNorm(), *mapping)
        self.input = ConstantStart(channels[0], start)
        self.register_buffer("average", torch.zeros(latent))

    def paint(self, latents: Tensor, fresh: bool = False) -> Tensor:
        """w [B latent], or one per style index [B indices latent] -> image [B 3 S S]. fresh: see `forward`."""
        return self(latents, self.input.input.expand(len(latents), -1, -1, -1), fresh=fresh)

    def mixed(self, first: Tensor, second: Tensor, crossing: int) -> Tensor:
        """Style mixing: w of `first` up to index `crossing`, then that of `second`; z [B latent] -> [B indices latent].

        `crossing` = indices takes `first` alone.
        """
        one, two = (self.style(z)[:, None].expand(-1, self.indices, -1) for z in (first, second))
        return torch.cat([one[:, :crossing], two[:, crossing:]], 1)

    @torch.no_grad()
    def follow(self, latents: Tensor) -> None:
        """Move `average` towards the mean of w [B latent] of a training step."""
        self.average.lerp_(latents.float().mean(0), AVERAGE_STEP)
