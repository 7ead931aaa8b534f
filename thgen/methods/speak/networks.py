"""Networks of SPEAK (figures 2 and 3). What the paper cites is in `thgen.nn`.

Letters: D entries of a code, L style indices of a generator, N entries of a latent.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thgen.methods.speak.declaration import CODE
from thgen.nn.resnext import ResNeXt
from thgen.nn.stylegan2 import ConstantStart, StyleGenerator
from thgen.nn.wav2vec import Wav2Vec2
from thgen.schema import EMOTIONS

CHANNELS = (512, 512, 512, 512, 512, 256, 128)  # of StyleGAN2 at 4 to 256 px
RATE = 30  # frames per second at which the voice is encoded (section 4.1)


def mlp(sizes: list[int]) -> nn.Sequential:
    """Linear layers of these sizes with leaky ReLU 0.2 between them: [B sizes[0]] -> [B sizes[-1]]."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers[:-1])


# ---- 3.1 IRFD
class Encoder(ResNeXt):
    """E_i or E_p: ResNet-50 (section 4.2), pictures [B 3 H W] in [-1, 1] -> codes [B D]. Names: torchvision's."""

    def __init__(self, features: int = CODE, depths: tuple[int, ...] = (3, 4, 6, 3), base: int = 64):
        super().__init__(tuple(depths), 1, base, base)
        self.config: dict[str, object] = {
            "class": "speak_encoder", "features": features, "depths": list(depths), "base": base,
        }  # fmt: skip
        self.features = features
        self.fc = nn.Linear(self.channels, features)

    def with_map(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """The codes, and the last map [B C H/32 W/32] for four depths."""
        found = super().forward(pictures)
        return self.fc(found.mean((2, 3))), found

    def forward(self, pictures: Tensor) -> Tensor:
        return self.with_map(pictures)[0]


class EmotionEncoder(Encoder):
    """E_e, with the mean code of each emotion of `schema.EMOTIONS`, which the export fills (deviation 21).

    centres: [8 D]. seen: [8], 1 for an emotion that the training data have.
    """

    centres: Tensor
    seen: Tensor

    def __init__(self, features: int = CODE, depths: tuple[int, ...] = (3, 4, 6, 3), base: int = 64):
        super().__init__(features, depths, base)
        self.config |= {"class": "speak_emotion"}
        self.register_buffer("centres", torch.zeros(len(EMOTIONS), features))
        self.register_buffer("seen", torch.zeros(len(EMOTIONS)))


class Reconstructor(nn.Module):
    """G_d: the three codes of a picture -> the picture, by StyleGAN2 from a learned constant.

    fusion: "concatenate", or "add" as eq. 5 prints it (deviation 3). codes: D. latent N, channels: of StyleGAN2.
    """

    def __init__(
        self, codes: int = CODE, latent: int = 512, channels: tuple[int, ...] = CHANNELS, start: int = 4,
        fusion: str = "concatenate",
    ):  # fmt: skip
        super().__init__()
        if fusion not in ("concatenate", "add"):
            raise ValueError(f"fusion must be concatenate or add, not {fusion!r}")
        self.config = {
            "class": "speak_reconstructor", "codes": codes, "latent": latent, "channels": list(channels),
            "start": start, "fusion": fusion,
        }  # fmt: skip
        self.added = fusion == "add"
        self.mlp = mlp([codes if self.added else 3 * codes, latent, latent])
        self.input = ConstantStart(channels[0], start)
        self.painter = StyleGenerator(latent, tuple(channels), start)
        self.size = self.painter.size

    def forward(self, codes: Tensor) -> Tensor:
        """Codes of identity, emotion and pose [B 3 D] -> pictures [B 3 S S]."""
        latent = self.mlp(codes.sum(1) if self.added else codes.flatten(1))
        picture: Tensor = self.painter(latent, self.input.input.expand(len(codes), -1, -1, -1))
        return picture


# ---- 3.2.1 Audio encoder
class Voice(nn.Module):
    """E_a: wav2vec 2.0 at RATE, a linear layer and a temporal convolution (deviation 9) -> "global audio vectors".

    features: D. dilations: of the residual convolutions of kernel 3. The others: sizes of `Wav2Vec2`.
    """

    def __init__(
        self, features: int = CODE, dilations: tuple[int, ...] = (1, 2, 4), channels: tuple[int, ...] = (512,) * 7,
        hidden: int = 768, layers: int = 12, heads: int = 12, inner: int = 3072, positions: int = 128,
        groups: int = 16,
    ):  # fmt: skip
        super().__init__()
        self.config = {
            "class": "speak_voice", "features": features, "dilations": list(dilations), "channels": list(channels),
            "hidden": hidden, "layers": layers, "heads": heads, "inner": inner, "positions": positions,
            "groups": groups,
        }  # fmt: skip
        self.features = features
        self.wav2vec = Wav2Vec2(tuple(channels), hidden, layers, heads, inner, positions, groups)
        self.linear = nn.Linear(hidden, features)
        self.tcn = nn.ModuleList(
            nn.Conv1d(features, features, 3, padding=d, dilation=d, padding_mode="replicate") for d in dilations
        )

    def forward(self, sounds: Tensor, frames: int) -> Tensor:
        """sounds [B L] of `nn.wav2vec.normalised` -> f_a [B frames D]. frames: RATE per second."""
        x = self.linear(self.wav2vec(sounds, frames)).mT
        for conv in self.tcn:
            x = x + F.leaky_relu(conv(x), 0.2)
        out: Tensor = x.mT
        return out

    def at(self, sounds: Tensor, frames: int, fps: int) -> Tensor:
        """f_a of `frames` frames of a video with `fps` [B frames D]: made at RATE and interpolated (deviation 10)."""
        return retimed(self(sounds, -(-frames * RATE // fps)), RATE, fps, frames)


def retimed(track: Tensor, before: int, after: int, frames: int) -> Tensor:
    """A track [B T D] with `before` frames per second -> [B frames D] with `after`, by linear interpolation between the
    middles of frames. Beyond its ends the track stays as it is there."""
    middles = (torch.arange(frames, device=track.device) + 0.5) * before / after - 0.5
    middles = middles.clamp(0, track.shape[1] - 1)
    low = middles.floor().long()
    high = (low + 1).clamp_max(track.shape[1] - 1)
    share = (middles - low)[None, :, None].to(track.dtype)
    return torch.lerp(track[:, low], track[:, high], share)


# ---- 3.2.2 Editing module
class EditingBlock(nn.Module):
    """FC, noise, AdaIN: a vector is normalised over its entries, then scaled and shifted by the facial codes."""

    def __init__(self, inputs: int, width: int, facial: int):
        super().__init__()
        self.fc, self.adain = nn.Linear(inputs, width), nn.Linear(facial, 2 * width)
        self.strength = nn.Parameter(torch.zeros(1))  # of the noise, as in StyleGAN

    def forward(self, x: Tensor, facial: Tensor, noise: Tensor) -> Tensor:
        """x [B inputs], facial [B 3 D], noise [B width] or [1 width] -> [B width]."""
        x = F.leaky_relu(self.fc(x), 0.2) + self.strength * noise
        scale, shift = self.adain(facial).chunk(2, 1)
        return F.layer_norm(x, x.shape[1:]) * (1 + scale) + shift


class EditingModule(nn.Module):
    """Voice and emotion -> F = f_S, a latent for each style index of G_g (figure 3).

    voice, codes: entries of f_a and of the facial codes. width N. indices L: of G_g; one block for each (deviation 11).
    """

    noise: Tensor

    def __init__(self, voice: int = CODE, codes: int = CODE, width: int = 512, indices: int = 14):
        super().__init__()
        self.config = {
            "class": "speak_editing", "voice": voice, "codes": codes, "width": width, "indices": indices,
        }  # fmt: skip
        inputs = [voice + codes, *[width] * (indices - 1)]
        self.blocks = nn.ModuleList(EditingBlock(size, width, 3 * codes) for size in inputs)
        self.register_buffer("noise", torch.randn(indices, 1, width))  # of a video, so that it does not flicker

    def forward(self, voice: Tensor, emotion: Tensor, facial: Tensor, fresh: bool = False) -> Tensor:
        """f_a [B A], f_E [B D], f_R = identity, pose and emotion [B 3 D] -> F [B L N]. fresh: draw the noise anew."""
        x, found = torch.cat([voice, emotion], 1), []
        for block, fixed in zip(self.blocks, self.noise, strict=True):
            x = block(x, facial, torch.randn_like(fixed.expand(len(x), -1)) if fresh else fixed)
            found.append(x)
        return torch.stack(found, 1)


# ---- 3.2.3 Talking head generator
class TalkingGenerator(nn.Module):
    """G_g of eq. 9: StyleGAN2 whose latent at index l is F_l + mlp_l(f_I, f_P).

    codes: D. latent N, channels: of StyleGAN2. hidden: width of the mlps. begin: "photo", from a projection of the last
    map of E_i of the photo, `photo` channels; or "constant", learned (deviation 12).
    """

    def __init__(
        self, codes: int = CODE, latent: int = 512, channels: tuple[int, ...] = CHANNELS, start: int = 4,
        hidden: int = 512, photo: int = 2048, begin: str = "photo",
    ):  # fmt: skip
        super().__init__()
        if begin not in ("photo", "constant"):
            raise ValueError(f"begin must be photo or constant, not {begin!r}")
        self.config = {
            "class": "speak_generator", "codes": codes, "latent": latent, "channels": list(channels), "start": start,
            "hidden": hidden, "photo": photo, "begin": begin,
        }  # fmt: skip
        self.painter = StyleGenerator(latent, tuple(channels), start)
        self.size, self.indices, self.start = self.painter.size, self.painter.indices, start
        self.mlps = nn.ModuleList(mlp([2 * codes, hidden, latent]) for _ in range(self.indices))
        self.of_photo = begin == "photo"
        if self.of_photo:
            self.projection = nn.Conv2d(photo, channels[0], 1)
        else:
            self.input = ConstantStart(channels[0], start)

    def begin(self, photo_map: Tensor) -> Tensor:
        """Last map of E_i [B C h w] -> the map from which the picture starts [B C' s s]."""
        if not self.of_photo:
            return self.input.input.expand(len(photo_map), -1, -1, -1)
        projected: Tensor = self.projection(F.adaptive_avg_pool2d(photo_map, self.start))
        return projected

    def forward(self, edited: Tensor, identity: Tensor, pose: Tensor, begin: Tensor) -> Tensor:
        """F [B L N], f_I and f_P [B D], `begin` [B C' s s] -> I_g [B 3 S S]."""
        who = torch.cat([identity, pose], 1)
        latents = edited + torch.stack([net(who) for net in self.mlps], 1)
        picture: Tensor = self.painter(latents, begin)
        return picture
