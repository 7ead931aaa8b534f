"""PD-FGC with the networks as released (preset "paper")."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from thgen.compact.generator import Generator, in_batches
from thgen.methods.base import Decoded, Factors, Identity
from thgen.methods.pd_fgc.align import SIDE, Aligner
from thgen.methods.pd_fgc.latents import RELEASED, Gains
from thgen.methods.pd_fgc.method import PdFgcBase
from thgen.methods.pd_fgc.networks import Appearance, AudioLip, Motion
from thgen.nn.stylegan2 import StyleGenerator

EDGE = 0.12  # half-widths of the aligned frame over which it fades into the photo


class PaperPdFgc(PdFgcBase):
    """The networks as released: pictures of 224 px in the aligned frame, put back into the photo's crop."""

    name = "pd_fgc.paper"
    sliders = False  # its latents have no units, and its generator shows nothing besides
    weights_from = "convert the authors' files: python -m thgen weights convert pd_fgc FOLDER"
    weights_name = "pd_fgc_paper_generator"
    networks = ("analyser", "rig", "pd_fgc_paper_appearance", "pd_fgc_paper_motion", "pd_fgc_paper_audio", weights_name)

    def __init__(
        self, guide: Generator, appearance: Appearance, faces: Motion, voice: AudioLip, generator: StyleGenerator,
        device: torch.device, gains: Gains = RELEASED,
    ) -> None:  # fmt: skip
        super().__init__(guide, appearance, faces, voice, gains, device)
        self.generator = generator

    @torch.inference_mode()
    def encode_photo(self, crop: np.ndarray) -> Identity:
        """crop uint8 RGB [S S 3], framed by face.finder."""
        image = self.guide.image(crop[None])
        points = self._landmarks(image, crop.shape[0])
        aligned, matrix = Aligner(points).align(crop, points[0])
        vector, start = self.appearance(self.guide.image(aligned[None]))
        own = self._codes(self.guide.image(aligned[None]))
        return Identity(image, own, {"appearance": vector, "start": start, "back": _inverse(matrix, crop.shape[0])})

    def _frames(self, crops: Iterable[np.ndarray]) -> Iterator[Tensor]:
        """Aligned frames in batches [B 3 224 224]. Rotation and scale are those of its first batch
        (deviation 13)."""
        aligner: Aligner | None = None
        for part in in_batches(crops):
            points = self._landmarks(self.guide.image(np.stack(part)), part[0].shape[0])
            aligner = aligner or Aligner(points)
            yield self.guide.image(np.stack([aligner.align(c, p)[0] for c, p in zip(part, points, strict=True)]))

    def _landmarks(self, image: Tensor, size: int) -> np.ndarray:
        """Of crops [B 3 S S], in pixels from the middle of the first one, [B 68 2]."""
        points = self.guide.look_twice(image)[1][:, :68, :2]
        return ((points + 1) / 2 * size - 0.5).detach().double().cpu().numpy()

    @torch.inference_mode()
    def decode(self, identity: Identity, factors: Factors) -> Decoded:
        """Frames [T 3 S S] and mask for latents [T D] of every factor."""
        codes = {name: values.to(self.device).float() for name, values in factors.items()}
        latent = self._latent(identity.state["appearance"], codes)
        made = torch.tanh(self.generator(latent, identity.state["start"].expand(len(latent), -1, -1, -1)))
        where = identity.state["back"].to(made).expand(len(made), -1, -1)
        photo = identity.image.expand(len(made), -1, -1, -1)
        places = torch.nn.functional.affine_grid(where, list(photo.shape), align_corners=False)
        put = torch.nn.functional.grid_sample(made, places, padding_mode="border", align_corners=False)
        edge = (1 - places.abs().amax(3)) / EDGE  # how far inside the aligned frame
        mask = edge.clamp(0, 1)[:, None]
        return Decoded(torch.lerp(photo, put, mask), mask)


def _inverse(matrix: np.ndarray, size: int) -> Tensor:
    """Matrix [2 3] from pixels of a crop of `size` to pixels of the aligned frame -> the same between coordinates from
    -1 to 1, for affine_grid, [1 2 3]."""
    to_pixels = np.array([[size / 2, 0, size / 2 - 0.5], [0, size / 2, size / 2 - 0.5], [0, 0, 1]])
    to_unit = np.array([[2 / SIDE, 0, 1 / SIDE - 1], [0, 2 / SIDE, 1 / SIDE - 1]])
    whole = np.concatenate([matrix, [[0, 0, 1]]]) @ to_pixels
    return torch.from_numpy((to_unit @ whole).astype(np.float32))[None]
