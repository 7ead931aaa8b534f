"""LIA: one photo, moved by a clip along 20 learned directions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from thgen.face.finder import FaceCrop, pictures_of
from thgen.methods.base import Decoded, Factors, Identity, Method
from thgen.methods.lia.declaration import DIRECTIONS, LIA_RELEASED, MOTION
from thgen.nn.lia import LIA
from thgen.nn.lia_painter import Painter
from thgen.weights.hub import Networks

CODE = "code"  # name of the source code among the latents of the evaluation


class Lia(Method):
    """The photo gives a code and skip features; each frame of a clip gives 20 magnitudes, and nothing else."""

    declaration = LIA_RELEASED

    def __init__(self, net: LIA, device: torch.device) -> None:
        self.net, self.device = net, device
        # The painter is for CPUs. On a GPU the network itself is as fast.
        painter = Painter.of(net) if device.type == "cpu" else None
        self.encode = painter.encode if painter else net.encode
        self.paint = painter.paint if painter else net.dec
        self.directions = net.dec.direction.basis().detach()  # [512 20]

    @classmethod
    def load(cls, networks: Networks) -> Self:
        """The method with the declared weights. Raises WeightsError."""
        return cls(networks.get(cls.declaration.weights[-1]), networks.device)  # type: ignore[arg-type]

    @torch.inference_mode()
    def encode_photos(self, crops: Sequence[FaceCrop]) -> Identity:
        """The first photo's code, skip features and own magnitudes."""
        image = pictures_of(crops[:1], self.device)
        code, features = self.encode(self._picture(crops[0]))
        own = {MOTION: self.net.magnitudes(code).float().cpu()}
        return Identity(image, own, {"code": code, "features": features})

    def encode_audio(self, samples: np.ndarray, frames: int) -> Factors:
        """A voice drives nothing."""
        return {}

    @torch.inference_mode()
    def encode_clip(self, crops: Iterable[FaceCrop]) -> Factors:
        """alpha of each frame, [frames 20]."""
        return {MOTION: self.latents(crops)[MOTION]}

    @torch.inference_mode()
    def latents(self, crops: Iterable[FaceCrop]) -> Factors:
        """alpha [frames 20] and the source code [frames 512] of each frame."""
        codes = torch.cat([self.encode(self._picture(crop))[0] for crop in crops])
        return {MOTION: self.net.magnitudes(codes).float().cpu(), CODE: codes.float().cpu()}

    def steer(self, identity: Identity, values: Mapping[str, Any]) -> Factors:
        """The sliders of the directions are offsets of alpha, [1 20]."""
        steps = [float(values.get(f"lia.d{number}", 0.0)) for number in range(1, DIRECTIONS + 1)]
        return {MOTION: torch.tensor([steps])}

    @torch.inference_mode()
    def decode(self, identity: Identity, window: Factors, sliders: Factors | None = None) -> Decoded:
        """Frames [T 3 S S] for alpha [T 20]."""
        code, features = identity.state["code"], identity.state["features"]
        codes = code + window[MOTION].to(self.device).float() @ self.directions.T
        made = torch.cat([self.paint(row, features) for row in codes.split(1)]).clamp(-1, 1)
        return Decoded.generated(made, identity.image.shape[-1])

    def _picture(self, crop: FaceCrop) -> Tensor:
        """The crop at the size of the network, [1 3 s s]."""
        return pictures_of([crop], self.device, self.net.size)
