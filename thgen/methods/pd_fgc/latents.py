"""The latents of PD-FGC: sizes, order, gains, and the smoothing of tracks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

BLINK, GAZE = (0, 1, 4, 5), (2, 3)  # entries of the eye's latent


@dataclass(frozen=True)
class Latents:
    """Sizes of the parts of G's input, in the order in which they are concatenated."""

    appearance: int = 2048
    lip: int = 500
    expression: int = 30
    eye: int = 6
    pose: int = 6

    @property
    def size(self) -> int:
        return self.appearance + self.lip + self.expression + self.eye + self.pose

    @staticmethod
    def join(appearance: Tensor, lip: Tensor, expression: Tensor, eye: Tensor, pose: Tensor) -> Tensor:
        """[appearance | lip | expression | eye | pose], [B size]."""
        return torch.cat([appearance, lip, expression, eye, pose], 1)


def eye_of(blink: Tensor, gaze: Tensor) -> Tensor:
    """blink [B 4] and gaze [B 2] -> the eye's latent [B 6]."""
    eye = blink.new_zeros(len(blink), len(BLINK) + len(GAZE))
    eye[:, list(BLINK)], eye[:, list(GAZE)] = blink, gaze
    return eye


@dataclass(frozen=True)
class Gains:
    """Factors by which latents are multiplied. lip: of a clip; voice: of lips that come from a voice."""

    lip: float = 1.0
    voice: float = 1.0
    expression: float = 1.0
    gaze: float = 1.0
    blink: float = 1.0
    pose: float = 1.0


RELEASED = Gains(lip=1.5, voice=1.5, expression=1.2, gaze=1.2, blink=1.2)  # for the authors' weights
COMPACT = Gains(lip=1.0, voice=1.15, expression=1.2, gaze=1.3, blink=1.1)


def smooth_lips(lips: Tensor) -> Tensor:
    """[T D], filtered by a Gaussian of three taps, sigma 1, with zero padding, the closed mouth (code)."""
    taps = torch.tensor([-0.5, 0.0, -0.5], dtype=torch.float64).exp()
    before, here, after = (taps / taps.sum()).to(lips).unbind()
    padded = torch.nn.functional.pad(lips, (0, 0, 1, 1))
    return before * padded[:-2] + here * padded[1:-1] + after * padded[2:]


def smooth_pose(pose: Tensor) -> Tensor:
    """[T 6], averaged over three frames, at the ends over two (code)."""
    padded = torch.nn.functional.pad(pose, (0, 0, 1, 1))
    count = torch.full((len(pose), 1), 3.0).to(pose)
    count[0] -= 1
    count[-1] -= 1
    return (padded[:-2] + padded[1:-1] + padded[2:]) / count
