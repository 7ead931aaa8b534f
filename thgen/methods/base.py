"""The contract between a method and everything else: a new method implements it and needs no UI code.

The `Declaration` describes a method (factors, controls, photos, clips, weights). A `Method` computes, in this order:

    photos --encode_photos--> Identity
    voice  --encode_audio---> Factors;   clip --encode_clip--> Factors      at 25 fps and at `clip_fps`
    target Factors of the whole video (thgen.controls), plus the offsets of `steer`
           --finish--> Factors           steps that need neighbouring frames
           --decode--> frames            window by window
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
import torch.nn.functional as F

from thgen.declare import Declaration
from thgen.io.process import Tick, no_tick

if TYPE_CHECKING:
    from thgen.face.finder import FaceCrop
    from thgen.weights.hub import Networks

Factors = dict[str, torch.Tensor]  # factor name -> float32 [T, D], D and units as the method declares them


@dataclass(frozen=True)
class Identity:
    """A person, encoded once from one photo or several.

    image:    [1 3 S S] in [-1, 1], the crop of the first photo at full output resolution
    own:      the photo's own values of the method's factors, each [1 D]
    state:    belongs to the method
    measured: for methods with latents: the analyser's measurement of the photo, each [1 D] in the units of
              schema.FACTORS. Common sliders and idle motion start from it. None = the method has no common sliders and
              no idle motion, or its own factors have these units
    """

    image: torch.Tensor
    own: Factors
    state: Mapping[str, Any]
    measured: Factors | None = None


def at_size(pictures: torch.Tensor, size: int) -> torch.Tensor:
    """Pictures or masks [n C s s] -> [n C size size], bicubic; those of that size stay as they are."""
    if pictures.shape[-1] == size:
        return pictures
    return F.interpolate(pictures, size=(size, size), mode="bicubic", align_corners=False, antialias=True)


@dataclass(frozen=True)
class Decoded:
    """Frames of the crop, and the mask of the generated pixels (1 = generated, 0 = as in the photo)."""

    frames: torch.Tensor  # [T 3 S S] in [-1, 1]
    mask: torch.Tensor  # [T 1 S S] in [0, 1]
    flow: torch.Tensor | None = None  # [T 2 h w] in half-widths, frame(p) = photo(p + flow(p)); for the evaluation

    @classmethod
    def generated(cls, frames: torch.Tensor, size: int) -> Self:
        """Frames [T 3 s s] of which every pixel is generated, at the size S of the crop."""
        frames = at_size(frames, size).clamp(-1, 1)
        return cls(frames, frames.new_ones(len(frames), 1, size, size))

    def images(self) -> np.ndarray:
        """The frames as pictures, uint8 RGB [T S S 3]."""
        levels = ((self.frames.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        return np.ascontiguousarray(levels.permute(0, 2, 3, 1).cpu().numpy())


@dataclass(frozen=True)
class Row:
    """A row of a view's sheet: its label, and its pictures, uint8 RGB [S S 3] each. None leaves a place empty."""

    label: str
    pictures: Sequence[np.ndarray | None]


class Method(ABC):
    """One published method behind the vocabulary of factors. It may be called from several threads."""

    declaration: ClassVar[Declaration]

    @classmethod
    @abstractmethod
    def load(cls, networks: Networks) -> Self:
        """Build the method on the device of `networks`. Raises WeightsError."""

    @abstractmethod
    def encode_photos(self, crops: Sequence[FaceCrop]) -> Identity:
        """One to `max_photos` faces of one person, found, cropped and analysed. The first is animated. Raises
        FaceError."""

    @abstractmethod
    def encode_audio(self, samples: np.ndarray, frames: int) -> Factors:
        """samples: float32 [L], 16 kHz mono in [-1, 1]; returns the factors that a voice drives, each [frames D] at
        25 fps."""

    @abstractmethod
    def encode_clip(self, crops: Iterable[FaceCrop]) -> Factors:
        """One face per frame at `clip_fps`, crops of `clip_size` px, analysed; returns every factor that a clip can
        drive, each [frames D], smoothed.

        In factors with the units of schema.FACTORS, what belongs to the driving person is removed: 0 is a closed mouth,
        a neutral face and a look straight ahead, 100 % an open eye. A clip of one frame is a still picture.
        """

    def latents(self, crops: Iterable[FaceCrop]) -> Factors:
        """What the method knows of each frame, by name, each [frames D]; crops as for `encode_clip`. For the
        evaluation, which asks what leaks: linear probes read known truth and the identity from each.

        The default are the factors of a clip. A method adds codes that are no factors (appearance, a canonical face)
        under names of their own, and gives codes before smoothing, if it has them.
        """
        return self.encode_clip(crops)

    def steer(self, identity: Identity, values: Mapping[str, Any]) -> Factors:
        """Values of the method's own controls by key (missing = neutral) -> offsets [1 D] of its factors.

        Factors without an offset may be left out. The default is for methods without own controls: no offsets.
        """
        return {}

    def finish(self, identity: Identity, track: Factors) -> Factors:
        """Target factors of the whole video, each [frames D] -> the same after steps that need neighbouring frames (a
        temporal convolution). The default changes nothing."""
        return track

    @abstractmethod
    def decode(self, identity: Identity, window: Factors, sliders: Factors | None = None) -> Decoded:
        """Target factors of T frames, each [T D] -> the frames.

        sliders: `identity.measured` after common sliders and idle motion, each [T D]; None without `measured`.
        """

    def view(self, name: str, photos: Sequence[FaceCrop], clip: Sequence[FaceCrop], tick: Tick = no_tick) -> list[Row]:
        """The sheet of a declared view, of faces in photos and in frames of a clip; all rows are of one length.

        tick: to be called before each picture; an exception of it ends the work.

        The default is for methods without views. Raises FaceError.
        """
        raise NotImplementedError(f"{type(self).__name__} declares the view {name!r}, but does not make it")
