"""FC-TFG with the networks of the paper (preset "paper")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from thgen.analyser.network import to_input
from thgen.face.crop import resized
from thgen.methods.base import Decoded, Factors, Identity
from thgen.methods.fc_tfg.declaration import FC_TFG_PAPER
from thgen.methods.fc_tfg.method import CODES, FcTfgBase
from thgen.methods.fc_tfg.networks import LatentFusion
from thgen.nn.psp import InversionEncoder
from thgen.nn.stylegan2 import StyleGAN2
from thgen.nn.wav2lip import AudioEncoder
from thgen.weights.hub import Networks

if TYPE_CHECKING:
    from thgen.face.finder import FaceCrop


class PaperFcTfg(FcTfgBase):
    """StyleGAN2 paints the codes: the whole crop, with the background."""

    declaration = FC_TFG_PAPER

    def __init__(
        self, generator: StyleGAN2, encoder: InversionEncoder, voice: AudioEncoder, fusion: LatentFusion,
        device: torch.device,
    ) -> None:  # fmt: skip
        super().__init__(voice, fusion, device)
        self.generator, self.encoder = generator, encoder

    @classmethod
    def load(cls, networks: Networks) -> Self:
        """The method with the declared weights, whose order is that of the constructor. Raises WeightsError."""
        _, *own = (networks.get(name) for name in cls.declaration.weights)
        return cls(*own, networks.device)  # type: ignore[arg-type,call-arg]

    @torch.inference_mode()
    def encode_photos(self, crops: Sequence[FaceCrop]) -> Identity:
        """The one photo."""
        image = to_input(torch.from_numpy(np.ascontiguousarray(crops[0].image[None]))).to(self.device)
        source = self._inverted(crops[:1])
        state = {"source": source, "canonical": self.fusion.canonical_codes(source)}
        return Identity(image, self._own(source), state)

    def _inverted(self, crops: Sequence[FaceCrop]) -> Tensor:
        """z = E_inv(x) of crops, [B L N]."""
        images = resized(np.stack([crop.image for crop in crops]), self.encoder.side)
        codes: Tensor = self.generator.average + self.encoder(to_input(torch.from_numpy(images)).to(self.device))
        return codes

    @torch.inference_mode()
    def decode(self, identity: Identity, window: Factors, sliders: Factors | None = None) -> Decoded:
        """Frames [T 3 S S] for CODES of T frames. All of their pixels are generated. There are no sliders and no
        flow."""
        codes = window[CODES].to(self.device).float().unflatten(1, (len(self.fusion.at), -1))
        source = identity.state["source"].expand(len(codes), -1, -1)
        made = self.generator.paint(self.fusion.placed(source, codes))
        size = identity.image.shape[-1]
        if made.shape[-1] != size:
            made = F.interpolate(made, size=(size, size), mode="bicubic", align_corners=False, antialias=True)
        return Decoded(made.clamp(-1, 1), made.new_ones(len(made), 1, size, size))
