"""AudioToLip: log-mel at 100 Hz -> 21 lip coefficients at 25 fps. `methods.rig.voice` applies it to a sound."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from thgen.schema import LIP_COEFFICIENTS

FOLD = 4  # mel columns per video frame, as audio.log_mel.MEL_PER_FRAME


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each column. Unlike batch or group norm it does not mix different times."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: [B C T] -> [B C T]"""
        return self.norm(x.transpose(1, 2)).transpose(1, 2)


class ResidualBlock(nn.Module):
    """Residual block: norm, dilated convolution over time, GELU, pointwise convolution."""

    def __init__(self, channels: int, dilation: int, dropout: float):
        super().__init__()
        self.norm = ChannelNorm(channels)
        self.wide = nn.Conv1d(channels, channels, 3, padding=dilation, dilation=dilation)
        self.point = nn.Conv1d(channels, channels, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: [B C T] -> [B C T]"""
        return x + self.point(self.dropout(F.gelu(self.wide(self.norm(x)))))


class AudioToLip(nn.Module):
    """Dilated residual convolutions at 100 Hz, a strided convolution to 25 fps, and more residual convolutions.

    mel_bins: rows of the mel; fine, coarse: channels at 100 Hz and at 25 fps; fine_dilations, coarse_dilations: one
    residual block per entry. The default sizes give 1.1 M parameters and a context of 28 frames on either side.
    """

    def __init__(
        self,
        mel_bins: int = 80,
        fine: int = 112,
        coarse: int = 192,
        fine_dilations: tuple[int, ...] = (1, 2, 4),
        coarse_dilations: tuple[int, ...] = (1, 2, 4, 1, 2),
        dropout: float = 0.05,
    ):
        super().__init__()
        self.stem = nn.Conv1d(mel_bins, fine, 5, padding=2)
        self.fine = nn.Sequential(*(ResidualBlock(fine, d, dropout) for d in fine_dilations))
        self.fold = nn.Conv1d(fine, coarse, FOLD, stride=FOLD)
        self.coarse = nn.Sequential(*(ResidualBlock(coarse, d, dropout) for d in coarse_dilations))
        self.norm = ChannelNorm(coarse)
        self.head = nn.Conv1d(coarse, len(LIP_COEFFICIENTS), 1)
        fine_reach = 2 + sum(fine_dilations)
        self.context = sum(coarse_dilations) + -(-fine_reach // FOLD)

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        """mel: [B M 4T] from audio.log_mel.log_mel -> lip coefficients [B T 21], about 0 to 1 (not clamped).

        Each output frame depends on `context` video frames on either side.
        """
        x = self.fold(self.fine(self.stem(mel)))
        return self.head(self.norm(self.coarse(x))).transpose(1, 2)
