"""LIA for videos on a CPU: the codes and pictures of `LIA` in half of the time, in float32.

`LIA` serves the training. A `Painter` copies the weights once, computes one row at a time in channels-last, and

    blurs     with one depthwise 4x4 convolution; the shortcut's only at the pixels that remain
    convolves with Winograd's products where there are many channels (`winograd`)
    modulates the smaller of the two, the weight or its input; gains and demodulation go into weights and sums
    warps     with a weighted sum of four rows of a table [px, channels], in which the mask is one more factor
    doubles   pictures and raw flows by bilinear interpolation, which equals the filter of `stylegan2.upsample`

Measured at 256 px in processor seconds of one thread of a loaded EPYC with AVX-512, best of 10: encoder 0.53 -> 0.29,
decoder 0.63 -> 0.32. A frame needs both (60 GFLOP). Where flows are short, pictures differ by less than 6e-5. The flows
of random weights read anywhere, which enlarges errors of rounding: there, at 256 px, single values differ by up to 2e-2
(mean 1e-4). At 128 px `LIA` itself then differs from float64 by 1.3e-3, a painter by 4e-3, with Winograd or without.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thgen.nn.lia import LIA, START, Appearance, Decoder, DownBlock, EqualConv, FlatRGB, ToFlow, grid
from thgen.nn.stylegan2 import EPSILON, TAPS, BiasActivation, StyledConv
from thgen.nn.winograd import Winograd, pays

GAIN = math.sqrt(2)  # of the activation
SLOPE = 0.2  # of the leaky ReLU below zero


def _last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _filter(channels: int, gain: float, like: Tensor) -> Tensor:
    """The blur as a depthwise weight [channels 1 4 4]."""
    taps = torch.tensor(TAPS, device=like.device) / sum(TAPS)
    return _last((gain * taps[:, None] * taps).expand(channels, 1, 4, 4))


def doubled(picture: Tensor) -> Tensor:
    """`stylegan2.upsample`, [1 3 h w] -> [1 3 2h 2w]: with its taps it is bilinear, with zeros outside."""
    wide = F.interpolate(F.pad(picture, (1, 1, 1, 1)), scale_factor=2, mode="bilinear", align_corners=False)
    return wide[..., 2:-2, 2:-2]


def _folded(layers: nn.Module, gain: float = 1.0) -> Tensor:
    """Weight of the convolution of a `conv_layer`, as used, times `gain`."""
    conv = next(layer for layer in layers.modules() if isinstance(layer, EqualConv))
    return conv.weight.detach() * (conv.scale * gain)


def _bias(layers: nn.Module, gain: float = 1.0) -> Tensor:
    """Bias of the activation of a `conv_layer`, [1 C 1 1], times `gain`."""
    return gain * next(layer for layer in layers.modules() if isinstance(layer, BiasActivation)).bias.detach()


def _convolution(weight: Tensor, side: int) -> Callable[[Tensor], Tensor]:
    """3x3 convolution of maps of side x side px, whose zeros lie outside."""
    if pays(weight.shape[1], side):
        return Winograd(weight)
    kept = _last(weight)
    return lambda x: F.conv2d(x, kept, padding=1)


class _Down:
    """A DownBlock of maps of `side` px, prepared. The root of 2 of its sum cancels the gain of its second layer."""

    def __init__(self, block: DownBlock, side: int):
        first = _folded(block.conv1, GAIN)
        self.first, self.bias = _convolution(first, side), _bias(block.conv1, GAIN)
        self.blur = _filter(len(first), 1.0, first)
        self.second, self.bias2 = _last(_folded(block.conv2)), _bias(block.conv2).flatten()
        self.shortcut = _last(_folded(block.skip, 1 / GAIN))

    def __call__(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        y = F.leaky_relu_(self.first(x).add_(self.bias), SLOPE)
        y = F.conv2d(y, self.blur, padding=2, groups=channels)
        y = F.leaky_relu_(F.conv2d(y, self.second, self.bias2, stride=2), SLOPE)
        few = F.conv2d(x, self.blur, padding=1, stride=2, groups=channels)
        return y.add_(F.conv2d(few, self.shortcut))


class _Styled:
    """A StyledConv whose output has `side` px, prepared. Sizes: I inputs, O outputs."""

    def __init__(self, layer: StyledConv, side: int):
        conv = layer.conv
        weight = conv.weight[0].detach()
        self.modulation, self.scale, self.up = conv.modulation, conv.scale, conv.up
        self.squares = weight.square().sum((2, 3)).T.contiguous()  # [I O]
        self.bias = layer.activate.bias.detach() * GAIN  # [1 O 1 1]
        at = side // 2 if conv.up else side
        self.scales_input = weight.numel() > weight.shape[1] * at**2 or (not conv.up and pays(weight.shape[1], side))
        self.weight = weight.transpose(0, 1).contiguous() if conv.up else weight
        self.weight = _last(self.weight)
        self.fixed = _convolution(weight, side) if self.scales_input and not conv.up else None
        self.blur = _filter(len(weight), 4.0, weight)  # after an up-convolution

    def __call__(self, x: Tensor, code: Tensor) -> Tensor:
        """x [1 I s s], code [1 D] -> [1 O S S] after the activation."""
        style = self.modulation(code) * self.scale
        norm = (torch.rsqrt(style.square() @ self.squares + EPSILON) * GAIN)[0]
        y = self._with_input(x, style[0], norm) if self.scales_input else self._with_weight(x, style[0], norm)
        return F.leaky_relu_(y, SLOPE)

    def _with_input(self, x: Tensor, style: Tensor, norm: Tensor) -> Tensor:
        x = x * style[:, None, None]
        if self.fixed is not None:
            y = self.fixed(x)
        else:
            y = F.conv_transpose2d(x, self.weight, stride=2)
            y = F.conv2d(y, self.blur, padding=1, groups=y.shape[1])
        return torch.addcmul(self.bias, y, norm[:, None, None])

    def _with_weight(self, x: Tensor, style: Tensor, norm: Tensor) -> Tensor:
        bias = self.bias.flatten()
        if not self.up:
            weight = _last(self.weight * (norm[:, None] * style)[..., None, None])
            return F.conv2d(x, weight, bias, padding=1)
        weight = _last(self.weight * (style[:, None] * norm)[..., None, None])
        y = F.conv_transpose2d(x, weight, stride=2)
        return F.conv2d(y, self.blur, bias, padding=1, groups=y.shape[1])


class _Warp:
    """A ToFlow and its FlatRGB at `side` px, prepared."""

    def __init__(self, flow: ToFlow, rgb: FlatRGB, side: int):
        self.flow, self.side = flow, side
        self.grid = grid(side, flow.bias).reshape(-1, 2)
        self.colour, self.bias = _folded(rgb.conv, GAIN), _bias(rgb.conv, GAIN).flatten()
        self.added = rgb.bias.detach()

    def raw(self, x: Tensor, code: Tensor, before: Tensor | None) -> Tensor:
        """`ToFlow.raw` of one row, with a scaled weight."""
        conv = self.flow.conv
        style = conv.modulation(code) * conv.scale
        out = F.conv2d(x, conv.weight[0] * style[0, :, None, None]) + self.flow.bias
        return out if before is None else out + doubled(before)

    def corners(self, flow: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """flow [px 2] after tanh, mask [px 1] -> the four pixels around each position, [px 4], and their weights times
        the mask, of which those outside the picture are 0: `grid_sample` with zero padding, align_corners=False."""
        side = self.side
        places = ((self.grid + flow + 1) * side - 1) / 2
        low = places.floor()
        part = places - low
        low = low.int()
        steps = torch.stack([low, low + 1], -1)  # [px, axis, before and after]
        inside = (steps >= 0) & (steps < side)
        share = torch.stack([1 - part, part], -1) * inside
        steps = steps.clamp(0, side - 1)
        index = steps[:, 1, :, None] * side + steps[:, 0, None, :]
        weight = share[:, 1, :, None] * (share[:, 0] * mask)[:, None, :]
        return index.flatten(1), weight.flatten(1)

    def __call__(
        self, x: Tensor, code: Tensor, table: Tensor, raw: Tensor | None, picture: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """x [1 C s s], table [px C] of the photo's feature -> blended features, raw head, picture."""
        raw = self.raw(x, code, raw)
        head = raw[0].permute(1, 2, 0).reshape(-1, 3)
        mask = torch.sigmoid(head[:, 2:])
        index, weight = self.corners(torch.tanh(head[:, :2]), mask)
        shown = F.embedding_bag(index, table, mode="sum", per_sample_weights=weight)
        rows = x[0].permute(1, 2, 0).reshape(shown.shape)
        blended = torch.addcmul(shown, rows, 1 - mask)
        colour = F.leaky_relu_(F.conv2d(self._map(shown), self.colour, self.bias), SLOPE).add_(self.added)
        return self._map(blended), raw, colour if picture is None else colour.add_(doubled(picture))

    def _map(self, rows: Tensor) -> Tensor:
        """[px C] -> [1 C s s], channels-last."""
        return rows.view(1, self.side, self.side, -1).permute(0, 3, 1, 2)  # [None] instead makes convolutions copy


class Painter:
    """Codes and pictures of an encoder and a decoder whose weights no longer change. It may be called from several
    threads. `Painter.of` is that of a LIA."""

    def __init__(self, encoder: Appearance, decoder: Decoder) -> None:
        self.sides = [2 * START << k for k in range(len(decoder.to_flows))]
        enter, *blocks, last = list(encoder.convs)
        self.enter, self.bias = _last(_folded(enter, GAIN)), _bias(enter, GAIN).flatten()
        self.blocks = [_Down(block, self.sides[-1] >> k) for k, block in enumerate(blocks)]  # type: ignore[arg-type]
        weight = _folded(last)  # [code C 4 4]: it covers the whole map, so it is a product
        self.last = weight.permute(0, 2, 3, 1).flatten(1).contiguous()
        self.start = _last(decoder.input.input.detach())
        self.conv1 = _Styled(decoder.conv1, START)
        self.convs = [_Styled(conv, self.sides[k // 2]) for k, conv in enumerate(decoder.convs)]  # type: ignore[arg-type]
        heads = zip(decoder.to_flows, decoder.to_rgbs, self.sides, strict=True)
        self.warps = [_Warp(flow, rgb, side) for flow, rgb, side in heads]  # type: ignore[arg-type]

    @classmethod
    def of(cls, net: LIA) -> Self:
        return cls(net.enc.net_app, net.dec)

    @torch.inference_mode()
    def encode(self, picture: Tensor) -> tuple[Tensor, list[Tensor]]:
        """As `LIA.encode`, of one picture [1 3 S S] -> code [1 code], skip features."""
        x = F.leaky_relu_(F.conv2d(_last(picture), self.enter, self.bias), SLOPE)
        maps = [x]
        for block in self.blocks:
            x = block(x)
            maps.append(x)
        return F.linear(x[0].permute(1, 2, 0).reshape(1, -1), self.last), maps[-2::-1]

    @torch.inference_mode()
    def paint(self, code: Tensor, features: list[Tensor]) -> Tensor:
        """As `Decoder.forward`, of one row: edited code [1 code], features [1 C s s] -> picture [1 3 S S]."""
        x = self.conv1(self.start, code)
        raw = picture = None
        for number, head in enumerate(self.warps):
            x = self.convs[2 * number + 1](self.convs[2 * number](x, code), code)
            table = _last(features[number])[0].permute(1, 2, 0).reshape(-1, features[number].shape[1])
            x, raw, picture = head(x, code, table, raw, picture)
        assert picture is not None
        return picture
