"""Networks of Wav2Lip (Prajwal et al. 2020): the audio encoder of its generator, and its expert of lip sync.

Windows of a voice: `thgen.audio.wav2lip_mel`, [B 1 80 16] in [-4, 4]. Tensor names are those of the released code.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

FRAMES = 5  # frames of a video in a window of the expert
SIDE = 96  # px: side of a face, of which the expert sees the lower half

Stride = int | tuple[int, int]


class Block(nn.Module):
    """Convolution, batch norm, ReLU; `residual` adds the input before the ReLU."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: Stride = 1, padding: int = 1, residual: bool = False
    ):  # fmt: skip
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.Conv2d(inputs, outputs, kernel, stride, padding), nn.BatchNorm2d(outputs)
        )  # fmt: skip
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv_block(x)
        return F.relu(y + x if self.residual else y)


def _stage(inputs: int, outputs: int, stride: Stride, residuals: int, kernel: int = 3) -> list[nn.Module]:
    """A block with the stride, and residual blocks after it."""
    later: list[nn.Module] = [Block(outputs, outputs, 3, residual=True) for _ in range(residuals)]
    return [Block(inputs, outputs, kernel, stride), *later]


def audio_layers(base: int, last: int) -> nn.Sequential:
    """Window [B 1 80 16] -> [B 16 base 1 1]. last: residual blocks of the stage with 8 base channels."""
    a, b, c, d, e = (base * 2**k for k in range(5))
    return nn.Sequential(
        *_stage(1, a, 1, 2), *_stage(a, b, (3, 1), 2), *_stage(b, c, 3, 2), *_stage(c, d, (3, 2), last),
        Block(d, e, 3, padding=0), Block(e, e, 1, padding=0),
    )  # fmt: skip


class AudioEncoder(nn.Module):
    """Windows [B 1 80 16] of a voice -> codes [B 16 base], none of them negative (the last layer is a ReLU)."""

    def __init__(self, base: int = 32):
        super().__init__()
        self.config = {"class": "wav2lip_audio", "base": base}
        self.features = 16 * base
        self.audio_encoder = audio_layers(base, 1)

    def forward(self, x: Tensor) -> Tensor:
        codes: Tensor = self.audio_encoder(x).flatten(1)
        return codes


class SyncExpert(nn.Module):
    """Features of a window of a video and of its voice, close together where both belong together.

    A video's window: the lower halves of FRAMES faces, BGR in [0, 1], as channels, [B 15 48 96]. A voice's window:
    [B 1 80 16].
    """

    def __init__(self, base: int = 32):
        super().__init__()
        self.config = {"class": "wav2lip_sync", "base": base}
        self.features = 16 * base
        a, b, c, d, e = (base * 2**k for k in range(5))
        self.face_encoder = nn.Sequential(
            Block(3 * FRAMES, a, 7, padding=3), *_stage(a, b, (1, 2), 2, kernel=5), *_stage(b, c, 2, 3),
            *_stage(c, d, 2, 2), *_stage(d, e, 2, 2), Block(e, e, 3, 2), Block(e, e, 3, padding=0),
            Block(e, e, 1, padding=0),
        )  # fmt: skip
        self.audio_encoder = audio_layers(base, 2)

    def video(self, windows: Tensor) -> Tensor:
        """[B 15 48 96] -> f_v [B 16 base], of length 1."""
        return F.normalize(self.face_encoder(windows).flatten(1), dim=1)

    def audio(self, windows: Tensor) -> Tensor:
        """[B 1 80 16] -> f_a [B 16 base], of length 1."""
        return F.normalize(self.audio_encoder(windows).flatten(1), dim=1)

    def forward(self, video: Tensor, audio: Tensor) -> tuple[Tensor, Tensor]:
        """`video` and `audio` of windows of each."""
        return self.video(video), self.audio(audio)
