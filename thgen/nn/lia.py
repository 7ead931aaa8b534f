"""LIA (Wang, Yang, Bremond, Dantcheva; ICLR 2022): a photo is warped along learned directions of a latent space.

    encoder       picture -> source code w [B 512] and skip features of 8, 16, ..., S px
    motion MLP    w -> magnitudes alpha [B 20], five linear layers without activation
    dictionary    20 orthonormal directions; movement = sum over k of alpha_k * direction k
    decoder       w + movement -> at each scale a flow and a mask, which warp and blend the photo's skip features

Tensor names, filters, gains and the sampling of the flow are those of the released code, so released weights load.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thgen.nn.stylegan2 import (
    BiasActivation,
    ConstantStart,
    EqualLinear,
    Kernel,
    ModulatedConv,
    StyledConv,
    blur,
    upsample,
)

CODE = 512  # entries of the source code and of a direction
MOTION = 20  # directions of the released dictionary
LAYERS = 5  # of the motion MLP
START = 4  # side of the smallest map, px
SHIFT = 1e-8  # added to the dictionary's parameter before the QR factorisation (released code)


def channels_at(side: int, base: int = CODE) -> int:
    """Channels of the maps of `side` px: `base` up to 32 px, then half as many at each doubling."""
    return min(base, base * 32 // side)


def sides(size: int) -> tuple[int, ...]:
    """4, 8, ..., size."""
    return tuple(START * 2**k for k in range(int(math.log2(size // START)) + 1))


class EqualConv(nn.Module):
    """k x k convolution with equalised learning rate, without bias: the stored weight is N(0, 1)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.scale, self.stride, self.padding = 1 / math.sqrt(inputs * kernel**2), stride, padding

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, stride=self.stride, padding=self.padding)


class Blur(Kernel):
    """Low-pass filter before a convolution that halves the size. pad: zeros at each edge, px."""

    def __init__(self, pad: int):
        super().__init__(1.0)
        self.pad = pad

    def forward(self, x: Tensor) -> Tensor:
        return blur(x, (self.pad, self.pad), 1.0)


def conv_layer(inputs: int, outputs: int, kernel: int, shrink: bool = False, active: bool = True) -> nn.Sequential:
    """Convolution, then bias and leaky ReLU times the square root of 2. shrink: blur, and halve the size. active=False:
    neither bias nor activation."""
    layers: list[nn.Module] = [Blur(kernel // 2 + 1)] if shrink else []
    layers.append(EqualConv(inputs, outputs, kernel, 2 if shrink else 1, 0 if shrink else kernel // 2))
    return nn.Sequential(*layers, *([BiasActivation(outputs)] if active else []))


class DownBlock(nn.Module):
    """Two 3x3 convolutions, of which the second halves the size, plus a linear 1x1 shortcut, over the root of 2."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv1 = conv_layer(inputs, inputs, 3)
        self.conv2 = conv_layer(inputs, outputs, 3, shrink=True)
        self.skip = conv_layer(inputs, outputs, 1, shrink=True, active=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = (self.conv2(self.conv1(x)) + self.skip(x)) / math.sqrt(2)
        return out


class Appearance(nn.Module):
    """Pictures [B 3 S S] in [-1, 1] -> source code w_a [B code], skip features of 8, 16, ..., S px (coarsest first)."""

    def __init__(self, size: int, code: int):
        super().__init__()
        widths = [channels_at(side, code) for side in reversed(sides(size))]
        blocks = [DownBlock(a, b) for a, b in pairwise(widths)]
        self.convs = nn.ModuleList([conv_layer(3, widths[0], 1), *blocks, EqualConv(widths[-1], code, START)])

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        maps = []
        for conv in self.convs:
            x = conv(x)
            maps.append(x)
        return x.flatten(1), maps[-3::-1]  # without those of 1 and 4 px


def motion_mlp(code: int, motion: int) -> nn.Sequential:
    """Code [B code] -> magnitudes [B motion]: linear layers, without any activation between them."""
    return nn.Sequential(*(EqualLinear(code, code) for _ in range(LAYERS - 1)), EqualLinear(code, motion))


class Encoder(nn.Module):
    """`net_app`: pictures -> code and skip features; `fc`: code -> magnitudes."""

    def __init__(self, size: int, code: int, motion: int):
        super().__init__()
        self.net_app, self.fc = Appearance(size, code), motion_mlp(code, motion)


class Dictionary(nn.Module):
    """Orthonormal directions: Q of the QR factorisation of a learned matrix [code motion], computed at every call.

    The signs of its columns depend on the LAPACK routine. Therefore the matrix is stored, never Q.
    """

    def __init__(self, code: int, motion: int):
        super().__init__()
        if motion > code:
            raise ValueError(f"{motion} directions cannot be orthogonal in {code} dimensions")
        self.weight = nn.Parameter(torch.randn(code, motion))

    def basis(self) -> Tensor:
        """Q [code motion], whose columns are the directions. It has a gradient."""
        q, _ = torch.linalg.qr(self.weight.float() + SHIFT)
        return q

    def forward(self, magnitudes: Tensor) -> Tensor:
        """alpha [B motion] -> movement, sum_k alpha_k Q_k, [B code]."""
        return magnitudes.float() @ self.basis().T


class ToFlow(nn.Module):
    """Warps and blends the photo's skip feature with a flow and a mask from the features."""

    def __init__(self, inputs: int, code: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        self.conv = ModulatedConv(inputs, 3, 1, code, demodulate=False)
        self.upsample = Kernel(4.0)

    def raw(self, x: Tensor, code: Tensor, before: Tensor | None) -> Tensor:
        """Flow and mask before their activations, [B 3 s s]. before: those of half the size."""
        out: Tensor = self.conv(x, code) + self.bias
        return out if before is None else out + upsample(before)

    def forward(self, x: Tensor, code: Tensor, feature: Tensor, before: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """x and feature [B C s s] -> warped feature times mask, blended features, raw head."""
        raw = self.raw(x, code, before)
        warped = warp(feature, raw[:, :2])
        mask = torch.sigmoid(raw[:, 2:])
        shown = warped * mask
        return shown, shown + (1 - mask) * x, raw


def grid(side: int, like: Tensor) -> Tensor:
    """Positions [1 s s 2], from -1 at the centre of the first pixel to 1 at that of the last."""
    steps = torch.linspace(-1, 1, side, dtype=like.dtype, device=like.device)
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    return torch.stack([x, y], -1)[None]


def warp(feature: Tensor, flow: Tensor) -> Tensor:
    """feature [B C s s], sampled where tanh(flow) [B 2 s s] plus the pixel's own position points.

    The released code reads the positions with align_corners=False and zeros outside, though the grid is one for True.
    So a flow of zero enlarges the feature by s / (s - 1), and the weights have learned it.
    """
    places = grid(flow.shape[-1], flow) + torch.tanh(flow).permute(0, 2, 3, 1)
    return F.grid_sample(feature, places, mode="bilinear", padding_mode="zeros", align_corners=False)


class FlatRGB(nn.Module):
    """1x1 convolution to RGB without modulation, with bias *and activation* (released code), and one more bias."""

    def __init__(self, inputs: int, up: bool = True):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        self.conv = conv_layer(inputs, 3, 1)
        if up:
            self.upsample = Kernel(4.0)

    def forward(self, x: Tensor, before: Tensor | None = None) -> Tensor:
        """x [B C s s], before [B 3 s/2 s/2] -> [B 3 s s]."""
        out: Tensor = self.conv(x) + self.bias
        return out if before is None else out + upsample(before)


class Decoder(nn.Module):
    """Code [B code] and the photo's skip features -> picture [B 3 S S], near [-1, 1] but not clamped.

    `to_rgb1` and the noise strengths are in released files and are never used.
    """

    def __init__(self, size: int, code: int, motion: int):
        super().__init__()
        widths = [channels_at(side, code) for side in sides(size)]
        self.direction = Dictionary(code, motion)
        self.input = ConstantStart(widths[0], START)
        self.conv1 = StyledConv(widths[0], widths[0], code)
        self.to_rgb1 = FlatRGB(widths[0], up=False)
        convs, rgbs, flows = [], [], []
        for a, b in pairwise(widths):
            convs += [StyledConv(a, b, code, up=True), StyledConv(b, b, code)]
            rgbs.append(FlatRGB(b))
            flows.append(ToFlow(b, code))
        self.convs, self.to_rgbs, self.to_flows = nn.ModuleList(convs), nn.ModuleList(rgbs), nn.ModuleList(flows)

    def forward(self, code: Tensor, features: list[Tensor]) -> Tensor:
        """code [B code], features [B C s s] of 8, 16, ..., S px -> picture [B 3 S S]."""
        x = self.conv1(self.input.input.expand(len(code), -1, -1, -1), code, None)
        picture = raw = None
        for number, (to_flow, to_rgb) in enumerate(zip(self.to_flows, self.to_rgbs, strict=True)):
            x = self.convs[2 * number](x, code, None)
            x = self.convs[2 * number + 1](x, code, None)
            shown, x, raw = to_flow(x, code, features[number], raw)
            picture = to_rgb(shown, picture)
        assert picture is not None
        return picture


class LIA(nn.Module):
    """The released generator. size: side of pictures in px, a power of two; code: entries of the source code and most
    channels of a map; motion: directions."""

    config: dict[str, object]

    def __init__(self, size: int = 256, code: int = CODE, motion: int = MOTION):
        super().__init__()
        self.config = {"class": "lia", "size": size, "code": code, "motion": motion}
        self.enc, self.dec = Encoder(size, code, motion), Decoder(size, code, motion)
        self.size, self.motion = size, motion

    def encode(self, pictures: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Pictures [B 3 S S] in [-1, 1] -> source code [B code] and skip features."""
        code, features = self.enc.net_app(pictures)
        return code, features

    def magnitudes(self, code: Tensor) -> Tensor:
        """alpha [B motion] of source codes [B code]."""
        alpha: Tensor = self.enc.fc(code)
        return alpha

    def decode(self, code: Tensor, features: list[Tensor], magnitudes: Tensor) -> Tensor:
        """w = w_a + movement -> picture [B 3 S S]."""
        picture: Tensor = self.dec(code + self.dec.direction(magnitudes), features)
        return picture

    def forward(self, source: Tensor, driving: Tensor, start: Tensor | None = None) -> Tensor:
        """Pictures [B 3 S S] -> the source, moved as the driving picture.

        start: the driving clip's first frame. Then the motion is relative: w_a + Dir(driving) - Dir(start) +
        Dir(source). None: absolute, w_a + Dir(driving).
        """
        code, features = self.encode(source)
        alpha = self.magnitudes(self.encode(driving)[0])
        if start is not None:
            alpha = alpha - self.magnitudes(self.encode(start)[0]) + self.magnitudes(code)
        return self.decode(code, features, alpha)
