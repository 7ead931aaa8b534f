"""The contract between a method and everything else: a sixth method implements this and needs no UI code."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

UNITS = "units."  # before the name of a factor with units, in methods whose own factors are latents
Factors = dict[str, torch.Tensor]  # factor name -> float32 [T, D], D and units as in schema.FACTORS[name]


@dataclass(frozen=True)
class Identity:
    """A photo, encoded once. `own` are the photo's own factor values, each [1, D]; `state` belongs to the method.

    units: in methods whose factors are latents, the photo's own values of the factors that have units.
    """

    image: torch.Tensor  # [1 3 S S] in [-1, 1], the crop at full output resolution
    own: Factors
    state: Mapping[str, Any]
    units: Factors | None = None


@dataclass(frozen=True)
class Decoded:
    """Frames of the crop, and where they differ from the photo's crop (1 = generated, 0 = photo)."""

    frames: torch.Tensor  # [T 3 S S] in [-1, 1]
    mask: torch.Tensor  # [T 1 S S] in [0, 1]
    flow: torch.Tensor | None = None  # [T 2 h w] in half-widths, frame(p) = photo(p + flow(p)); told to the evaluation

    def images(self) -> np.ndarray:
        """The frames as pictures, uint8 RGB [T S S 3]."""
        levels = ((self.frames.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        return np.ascontiguousarray(levels.permute(0, 2, 3, 1).cpu().numpy())


class Method(ABC):
    """One published method behind the vocabulary of factors."""

    name: str
    factors: tuple[str, ...]
    canonical: bool = False  # factors are latents of the method's own, and zero is the canonical position of each
    weights_name: str  # entry of weights/manifest.json that runs
    networks: tuple[str, ...] = ()  # every such entry, where there are several; named in each result
    sliders: bool = True  # what sliders ask for is added to the motion of drivers
    weights_from: str = "train it: python -m thgen train --help"  # what to do where its weights are absent

    @classmethod
    @abstractmethod
    def load(cls, device: torch.device) -> Method:
        """Build the method with verified weights on `device`. Raises WeightsError."""

    @abstractmethod
    def encode_photo(self, crop: np.ndarray) -> Identity:
        """crop: uint8 RGB [S S 3], framed by face.finder. Raises FaceError."""

    @abstractmethod
    def encode_audio(self, samples: np.ndarray, frames: int) -> Factors:
        """samples: float32 [L], 16 kHz mono in [-1, 1]; returns the factors that a voice drives, each [frames, D]."""

    @abstractmethod
    def encode_clip(self, crops: Iterable[np.ndarray]) -> Factors:
        """crops: uint8 RGB [S S 3] per frame at 25 fps; returns every factor that a clip can drive, smoothed."""

    @abstractmethod
    def decode(self, identity: Identity, factors: Factors) -> Decoded:
        """factors: absolute target values for T frames of one window; in methods with latents also the targets of the
        factors that have units, as "units.<name>"."""
