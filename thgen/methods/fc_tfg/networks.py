"""The latent fusion network of FC-TFG (figure 3): E_can, E_m and the temporal fusion. What the paper cites: `thgen.nn`.

Letters: L style indices of the generator, M manipulated ones, N channels of a code, A channels of the voice's code.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from thgen.methods.fc_tfg.equations import joined, transfer

COUNT_FROM = 1  # number of the first style index in the paper's lists (deviation 1)
MANIPULATED = (1, 2, 3, 4, 7, 8, 9, 10)  # style indices that E_can and E_m change (section 4.1.2)
VOICED = (7, 8)  # those of them at which E_m gets the voice (section 4.1.2)
KERNEL = 3  # frames of the temporal convolution (deviation 6)
LINEAR = 4.0  # entries of a code above -LINEAR pass the initial E_can unchanged; codes of StyleGAN2 are about 1 wide


def mlp(sizes: list[int]) -> nn.Sequential:
    """Linear layers of these sizes with leaky ReLU 0.2 between them: [B sizes[0]] -> [B sizes[-1]] (deviation 4)."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers[:-1])


@torch.no_grad()
def start_as_identity(network: nn.Sequential) -> None:
    """Let a 2-layer `mlp` begin as the identity for entries above -LINEAR: the first bias lifts them out of the bend of
    the leaky ReLU, and the last one takes the lift back. hidden >= channels of the code."""
    first, last = network[0], network[-1]
    nn.init.eye_(first.weight)  # type: ignore[arg-type]
    nn.init.eye_(last.weight)  # type: ignore[arg-type]
    first.bias.fill_(LINEAR)  # type: ignore[operator,union-attr]
    last.bias.fill_(-LINEAR)  # type: ignore[operator,union-attr]


@torch.no_grad()
def start_at_zero(layer: nn.Module) -> None:
    """Let a linear layer begin with the output 0. Its inputs still give it a gradient."""
    nn.init.zeros_(layer.weight)  # type: ignore[arg-type]
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]


class TemporalConvolution(nn.Module):
    """One 1-D convolution over the frames, the same at each index; it begins as the identity (section 3.2)."""

    def __init__(self, latent: int):
        super().__init__()
        self.conv = nn.Conv1d(latent, latent, KERNEL, padding=KERNEL // 2, padding_mode="replicate")
        with torch.no_grad():
            self.conv.weight.zero_()
            self.conv.weight[:, :, KERNEL // 2] = torch.eye(latent)
            self.conv.bias.zero_()  # type: ignore[union-attr]

    def forward(self, tracks: Tensor) -> Tensor:
        """[B T N] -> [B T N]."""
        out: Tensor = self.conv(tracks.mT).mT
        return out


class TemporalLSTM(nn.Module):
    """The LSTM of table 3. It begins as the identity, because what it adds begins at 0 (deviation 6)."""

    def __init__(self, latent: int):
        super().__init__()
        self.lstm, self.linear = nn.LSTM(latent, latent, batch_first=True), nn.Linear(latent, latent)
        start_at_zero(self.linear)

    def forward(self, tracks: Tensor) -> Tensor:
        """[B T N] -> [B T N]."""
        out: Tensor = tracks + self.linear(self.lstm(tracks)[0])
        return out


TEMPORAL: dict[str, Callable[[int], nn.Module]] = {"conv": TemporalConvolution, "lstm": TemporalLSTM}


class LatentFusion(nn.Module):
    """E_can, E_m and the temporal fusion, with weights of its own at each manipulated style index.

    latent N, voice A, hidden: widths. indices L: of the generator. manipulated, voiced: style indices, counted from
    `count_from`. temporal: "conv" or "lstm".
    """

    def __init__(
        self, latent: int = 512, voice: int = 512, indices: int = 14, hidden: int = 512,
        manipulated: tuple[int, ...] = MANIPULATED, voiced: tuple[int, ...] = VOICED, count_from: int = COUNT_FROM,
        temporal: str = "conv",
    ):  # fmt: skip
        super().__init__()
        self.config = {
            "class": "fc_tfg_fusion", "latent": latent, "voice": voice, "indices": indices, "hidden": hidden,
            "manipulated": list(manipulated), "voiced": list(voiced), "count_from": count_from, "temporal": temporal,
        }  # fmt: skip
        self.at = [index - count_from for index in manipulated]  # from 0, as a generator reads them
        if not set(voiced) <= set(manipulated) or not set(self.at) <= set(range(indices)):
            raise ValueError(f"style indices {manipulated} with a voice at {voiced} do not fit {indices} of them")
        if temporal not in TEMPORAL:
            raise ValueError(f"temporal must be one of {', '.join(TEMPORAL)}, not {temporal!r}")
        self.voiced = [index in voiced for index in manipulated]
        self.canonical = nn.ModuleList(mlp([latent, hidden, latent]) for _ in manipulated)
        inputs = [latent + voice * gets for gets in self.voiced]
        self.motion = nn.ModuleList(mlp([size, hidden, hidden, latent]) for size in inputs)
        self.temporal = TEMPORAL[temporal](latent)
        for network in self.canonical:
            start_as_identity(network)  # type: ignore[arg-type]
        for network in self.motion:
            start_at_zero(network[-1])  # type: ignore[index]

    def canonical_codes(self, source: Tensor) -> Tensor:
        """z_sc of eq. 1: z_s [B L N] -> E_can(z_s) at the manipulated indices [B M N]."""
        return torch.stack([net(source[:, at]) for net, at in zip(self.canonical, self.at, strict=True)], 1)

    def motion_code(self, number: int, frame: Tensor, voice: Tensor) -> Tensor:
        """Eq. 2 at manipulated index `number` (from 0): frame z_d [B N], voice z_a [B A] -> z_cd [B N].

        Without a voice z_a is 0. An index that is not voiced ignores it.
        """
        code: Tensor = self.motion[number](joined(voice if self.voiced[number] else None, frame))
        return code

    def motion_codes(self, driving: Tensor, voice: Tensor) -> Tensor:
        """z_cd of eq. 2: z_d [B L N] and z_a [B A] -> [B M N]."""
        return torch.stack([self.motion_code(n, driving[:, at], voice) for n, at in enumerate(self.at)], 1)

    def fused(self, canonical: Tensor, motion: Tensor) -> Tensor:
        """z_sd of consecutive frames: z_sc [B M N] and z_cd [B T M N] -> eq. 1, then the temporal fusion, [B T M N]."""
        rows, frames, places, _ = motion.shape
        codes = transfer(canonical[:, None], motion)
        tracks = codes.transpose(1, 2).flatten(0, 1)  # [BM T N]: the same weights at each index
        return self.temporal(tracks).unflatten(0, (rows, places)).transpose(1, 2).reshape(rows, frames, places, -1)

    def placed(self, source: Tensor, codes: Tensor) -> Tensor:
        """z_s [B L N] with the manipulated indices replaced by codes [B M N]: what the generator reads."""
        out = source.clone()
        out[:, self.at] = codes.to(out)
        return out
