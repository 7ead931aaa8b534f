"""The generator of StyleGAN2 for videos on a CPU: the picture of `StyleGenerator.forward` in a third of the time.

`StyleGenerator` serves the training: batches, gradients, weights that change. A `Painter` copies the weights once and
paints one row after the other, so that each layer scales the smaller of the two, its weight or its input:

    per generator   sums of squares of the weights (for demodulation), noise times its strength, filters of the blur
    per row         style and demodulation of each layer; weight * both, or input * style and output * demodulation
    per layer       one convolution in channels-last, one addition of bias and noise, the activation in place

The factor sqrt(2) of the activation goes into the demodulation, because a leaky ReLU keeps positive factors. The blur
after an up-convolution is one depthwise 4x4 convolution; that of the picture is bilinear interpolation.

Measured at 256 px on two threads of a loaded EPYC with AVX-512 (90 GFLOP a picture): forward 0.93 s, float32 0.55 s,
bfloat16 from COARSE_FROM on 0.27 s (processor time of each thread: 0.86, 0.51, 0.25 s). Its two cores compute at most
220 GFLOP a second in float32 and 430 in bfloat16, so float32 cannot need less than 0.41 s. In bfloat16 the picture
differs by 0.44 levels of 255 (root mean square), 99.9 % of its values by less than 1.6, and none by more than 2.5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from thgen.nn.stylegan2 import EPSILON, TAPS, EqualLinear, StyledConv, StyleGenerator, ToRGB

GAIN = math.sqrt(2)  # of the activation
# Side of a map, px, from which on bfloat16 is used. Below it there is 4 % of the work, and its errors would be the
# largest, because all later layers repeat them: all layers in bfloat16 differ by 0.6 levels instead of 0.4.
COARSE_FROM = 32
BFLOAT16 = ("avx512_bf16", "amx_bf16")  # instructions of a CPU without which bfloat16 is not faster than float32


def fast_type() -> torch.dtype:
    """bfloat16 on a CPU with instructions for it, else float32."""
    known = torch.cpu.get_capabilities()
    return torch.bfloat16 if any(known.get(name) for name in BFLOAT16) else torch.float32


def _last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class _Layer:
    """A StyledConv, prepared. Sizes: I inputs, O outputs, S side of its output in px."""

    modulation: EqualLinear
    scale: float
    weight: Tensor  # [O I 3 3], or [I O 3 3] of an up-convolution
    squares: Tensor  # [I O] sums of squares of the weight
    added: Tensor  # [1 O S S] bias and noise times GAIN, or [1 1 S S] the noise alone, where `bias` is not None
    bias: Tensor | None  # [O] times GAIN
    filter: Tensor | None  # [O 1 4 4] blur of an up-convolution
    kind: torch.dtype

    @classmethod
    def of(cls, layer: StyledConv, noise: Tensor, kind: torch.dtype) -> _Layer:
        """noise [1 1 S S]. The input is scaled where it has fewer entries than the weight, else the weight is."""
        conv = layer.conv
        weight = conv.weight[0].detach()
        side = noise.shape[-1] // (2 if conv.up else 1)
        scales_input = weight.numel() > weight.shape[1] * side**2
        shaped = weight.transpose(0, 1) if conv.up else weight
        bias = layer.activate.bias.detach() * GAIN  # [1 O 1 1]
        noise = noise * layer.noise.weight.detach() * GAIN
        taps = torch.tensor(TAPS, device=weight.device) / sum(TAPS) * 2  # a gain of 4 in two dimensions
        blur = (taps[:, None] * taps).expand(len(weight), 1, 4, 4)
        return cls(
            conv.modulation, conv.scale, _last(shaped.to(kind) if scales_input else shaped.float()),
            weight.square().sum((2, 3)).T.contiguous(),
            _last((noise + bias if scales_input else noise).to(kind)),
            None if scales_input else bias.flatten().to(kind), _last(blur.to(kind)) if conv.up else None, kind,
        )  # fmt: skip

    def __call__(self, x: Tensor, latent: Tensor) -> Tensor:
        """x [1 I s s], latent [1 D] -> [1 O S S] after the activation."""
        style = self.modulation(latent) * self.scale
        norm = torch.rsqrt(style.square() @ self.squares + EPSILON)[0] * GAIN
        style, x, weight = style[0], x.to(self.kind), self.weight
        if self.bias is None:
            x = x * style[:, None, None].to(self.kind)
        else:
            rows, columns = (style, norm) if self.filter is not None else (norm, style)
            weight = (weight * (rows[:, None] * columns)[..., None, None]).to(self.kind)
        if self.filter is None:
            y = F.conv2d(x, weight, self.bias, padding=1)
        else:
            y = F.conv_transpose2d(x, weight, stride=2)
            y = F.conv2d(y, self.filter, self.bias, padding=1, groups=y.shape[1])
        if self.bias is None:
            y = torch.addcmul(self.added, y, norm[:, None, None].to(self.kind))
        else:
            y += self.added
        return F.leaky_relu_(y, 0.2)


def _doubled(picture: Tensor) -> Tensor:
    """`stylegan2.upsample` [1 3 h w] -> [1 3 2h 2w]: with these TAPS it is bilinear, with zeros outside."""
    wide = F.interpolate(F.pad(picture, (1, 1, 1, 1)), scale_factor=2, mode="bilinear", align_corners=False)
    return wide[..., 2:-2, 2:-2]


def _coloured(layer: ToRGB, x: Tensor, latent: Tensor, before: Tensor | None) -> Tensor:
    """`ToRGB.forward` of one row, with a scaled weight. The sum is float32."""
    style = layer.conv.modulation(latent) * layer.conv.scale
    weight = layer.conv.weight[0] * style[0, :, None, None]
    out = F.conv2d(x, _last(weight.to(x.dtype))).float() + layer.bias
    return out if before is None else out + _doubled(before)


class Painter:
    """Pictures of a generator whose weights no longer change, without gradients. It may be called from several threads.

    kind: of the layers from COARSE_FROM px on; None = `fast_type`. In float32 the pictures are those of the generator.
    """

    def __init__(self, generator: StyleGenerator, kind: torch.dtype | None = None) -> None:
        self.generator, kind = generator, kind or fast_type()
        convs = [generator.conv1, *generator.convs]
        maps = generator.noises.maps()
        self.layers = [
            _Layer.of(conv, noise, kind if noise.shape[-1] >= COARSE_FROM else torch.float32)  # type: ignore[arg-type]
            for conv, noise in zip(convs, maps, strict=True)
        ]

    @torch.inference_mode()
    def __call__(self, latents: Tensor, start: Tensor) -> Tensor:
        """As `StyleGenerator.forward`: latents [B indices latent], start [B C s s] or [1 C s s] -> [B 3 S S]."""
        starts = start.expand(len(latents), -1, -1, -1)
        return torch.cat([self._row(w[None], s[None]) for w, s in zip(latents, starts, strict=True)])

    def _row(self, latents: Tensor, start: Tensor) -> Tensor:
        at = latents.unbind(1)
        x = self.layers[0](_last(start), at[0])
        picture = _coloured(self.generator.to_rgb1, x, at[1], None)
        for number, to_rgb in enumerate(self.generator.to_rgbs):
            x = self.layers[2 * number + 1](x, at[2 * number + 1])
            x = self.layers[2 * number + 2](x, at[2 * number + 2])
            picture = _coloured(to_rgb, x, at[2 * number + 3], picture)  # type: ignore[arg-type]
        return picture
