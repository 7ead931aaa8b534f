"""FC-TFG with the networks of the paper (preset "paper")."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from thgen.errors import FaceError
from thgen.face.finder import FaceCrop, pictures_of
from thgen.methods.base import Decoded, Factors, Identity
from thgen.methods.fc_tfg.declaration import FC_TFG_PAPER
from thgen.methods.fc_tfg.method import CODES, FcTfgBase
from thgen.methods.fc_tfg.networks import LatentFusion
from thgen.nn.psp import InversionEncoder
from thgen.nn.stylegan2 import StyleGAN2
from thgen.nn.stylegan2_painter import Painter
from thgen.nn.wav2lip import AudioEncoder
from thgen.weights.hub import Networks

FARTHEST = 0.9  # `PaperFcTfg.misfit` above which a photo counts as not inverted; 1 = the average face is as near
COMPARED = 64  # px at which pictures are compared: large forms and colours count, not hairs and pores
SMALLEST_DISTANCE = 1e-6  # by which a distance is divided, at least


class PaperFcTfg(FcTfgBase):
    """StyleGAN2 paints the codes: the whole crop, with the background."""

    declaration = FC_TFG_PAPER

    def __init__(
        self, generator: StyleGAN2, encoder: InversionEncoder, voice: AudioEncoder, fusion: LatentFusion,
        device: torch.device, farthest: float = FARTHEST,
    ) -> None:  # fmt: skip
        super().__init__(voice, fusion, device)
        self.generator, self.encoder, self.farthest = generator, encoder, farthest
        self._painter = Painter(generator) if device.type == "cpu" else None

    @classmethod
    def load(cls, networks: Networks) -> Self:
        """The method with the declared weights, whose order is that of the constructor. Raises WeightsError."""
        _, *own = (networks.get(name) for name in cls.declaration.weights)
        return cls(*own, networks.device)  # type: ignore[arg-type,call-arg]

    @torch.inference_mode()
    def encode_photos(self, crops: Sequence[FaceCrop]) -> Identity:
        """The one photo. Raises FaceError if it is not inverted: the generator does not know such a face."""
        image = pictures_of(crops[:1], self.device)
        source = self._inverted(crops[:1])
        if self.misfit(image, source) > self.farthest:
            raise FaceError(
                "The generator cannot make this photo, which is too unlike the people that it was trained with; use a "
                "photo of one person from the front, in even light, or another method."
            )
        state = {"source": source, "canonical": self.fusion.canonical_codes(source)}
        return Identity(image, self._own(source), state)

    def _inverted(self, crops: Sequence[FaceCrop]) -> Tensor:
        """z = E_inv(x) of crops, [B L N]."""
        codes: Tensor = self.generator.average + self.encoder(pictures_of(crops, self.device, self.encoder.side))
        return codes

    def misfit(self, image: Tensor, codes: Tensor) -> float:
        """How far the picture of an inversion is from the photo, in units of the distance of the average face.

        image [1 3 S S], codes z_s [1 L N]. 0 = equal. At 1 the codes hold nothing of the photo: the picture that the
        generator makes without having seen it is as near. The measure has no scale that a training could change.
        """
        own, made = (F.adaptive_avg_pool2d(x.float(), COMPARED) for x in (image, self._painted(codes).clamp(-1, 1)))
        return float((made - own).abs().mean() / (self._average_face - own).abs().mean().clamp_min(SMALLEST_DISTANCE))

    @cached_property
    def _average_face(self) -> Tensor:
        """The picture of the generator's average code, [1 3 COMPARED COMPARED]."""
        average = self.generator.average.expand(1, self.generator.indices, -1)
        return F.adaptive_avg_pool2d(self._painted(average).clamp(-1, 1), COMPARED)

    @torch.inference_mode()
    def decode(self, identity: Identity, window: Factors, sliders: Factors | None = None) -> Decoded:
        """Frames [T 3 S S] for CODES of T frames. All of their pixels are generated. There are no sliders and no
        flow."""
        codes = window[CODES].to(self.device).float().unflatten(1, (len(self.fusion.at), -1))
        source = identity.state["source"].expand(len(codes), -1, -1)
        made = self._painted(self.fusion.placed(source, codes))
        return Decoded.generated(made, identity.image.shape[-1])

    def _painted(self, latents: Tensor) -> Tensor:
        """w per style index [T L N] -> pictures [T 3 S S] of the generator."""
        if self._painter is None:
            return self.generator.paint(latents)
        return self._painter(latents, self.generator.input.input)
