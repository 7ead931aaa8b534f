"""PD-FGC with the authors' released networks (preset "paper")."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from thgen.compact.generator import Generator, in_batches
from thgen.methods.base import Decoded, Factors, Identity
from thgen.methods.pd_fgc.align import SIDE, Aligner
from thgen.methods.pd_fgc.declaration import PD_FGC_PAPER
from thgen.methods.pd_fgc.latents import RELEASED, Gains
from thgen.methods.pd_fgc.method import PdFgcBase
from thgen.methods.pd_fgc.networks import Appearance, AudioLip, Motion
from thgen.nn.stylegan2 import StyleGenerator

if TYPE_CHECKING:
    from thgen.face.finder import FaceCrop

EDGE = 0.12  # width of the blend into the photo at the aligned frame's border, half-widths


class PaperPdFgc(PdFgcBase):
    """The released networks. They generate aligned pictures of 224 px, which are pasted into the photo's crop."""

    declaration = PD_FGC_PAPER

    def __init__(
        self, generator: Generator, appearance: Appearance, faces: Motion, voice: AudioLip,
        style_generator: StyleGenerator, device: torch.device, gains: Gains = RELEASED,
    ) -> None:  # fmt: skip
        super().__init__(generator, appearance, faces, voice, gains, device)
        self.style_generator = style_generator

    @torch.inference_mode()
    def encode_photos(self, crops: Sequence[FaceCrop]) -> Identity:
        """The one photo."""
        crop = crops[0]
        points = _landmarks(crop)
        aligned, matrix = Aligner(points[None]).align(crop.image, points)
        vector, start = self.appearance(self.generator.image(aligned[None]))
        own = self._codes(self.generator.image(aligned[None]))
        state = {"appearance": vector, "start": start, "back": _inverse(matrix, crop.size)}
        return Identity(self.generator.image(crop.image[None]), own, state)

    def _frames(self, crops: Iterable[FaceCrop]) -> Iterator[Tensor]:
        """Aligned frames in batches [B 3 224 224]. Rotation and scale come from the first batch (deviation 13)."""
        aligner: Aligner | None = None
        for part in in_batches(crops):
            points = np.stack([_landmarks(crop) for crop in part])
            aligner = aligner or Aligner(points)
            images = [aligner.align(crop.image, p)[0] for crop, p in zip(part, points, strict=True)]
            yield self.generator.image(np.stack(images))

    @torch.inference_mode()
    def decode(self, identity: Identity, window: Factors, sliders: Factors | None = None) -> Decoded:
        """Frames [T 3 S S] and mask for latents [T D] of every factor. There are no sliders and no flow."""
        codes = {name: values.to(self.device).float() for name, values in window.items()}
        latent = self._latent(identity.state["appearance"], codes)
        made = torch.tanh(self.style_generator(latent, identity.state["start"].expand(len(latent), -1, -1, -1)))
        where = identity.state["back"].to(made).expand(len(made), -1, -1)
        photo = identity.image.expand(len(made), -1, -1, -1)
        places = torch.nn.functional.affine_grid(where, list(photo.shape), align_corners=False)
        put = torch.nn.functional.grid_sample(made, places, padding_mode="border", align_corners=False)
        edge = (1 - places.abs().amax(3)) / EDGE  # how far inside the aligned frame
        mask = edge.clamp(0, 1)[:, None]
        return Decoded(torch.lerp(photo, put, mask), mask)


def _landmarks(crop: FaceCrop) -> np.ndarray:
    """Landmarks float64 [68 2] of a crop, px, relative to the centre of the first pixel (OpenCV's convention)."""
    return (crop.keypoints[:68, :2].astype(np.float64) + 1) / 2 * crop.size - 0.5


def _inverse(matrix: np.ndarray, size: int) -> Tensor:
    """Matrix [2 3] from pixels of a crop of `size` to pixels of the aligned frame -> the same map between normalised
    coordinates, [1 2 3], for affine_grid."""
    to_pixels = np.array([[size / 2, 0, size / 2 - 0.5], [0, size / 2, size / 2 - 0.5], [0, 0, 1]])
    to_unit = np.array([[2 / SIDE, 0, 1 / SIDE - 1], [0, 2 / SIDE, 1 / SIDE - 1]])
    whole = np.concatenate([matrix, [[0, 0, 1]]]) @ to_pixels
    return torch.from_numpy((to_unit @ whole).astype(np.float32))[None]
