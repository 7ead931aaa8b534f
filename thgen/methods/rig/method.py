"""Rig: thgen's supervised reference, not from a paper. The methods of papers are compared with it.

Its latents are the renderer's coefficients, so every control has a unit. In the order of the path:
  source   the analyser estimates the photo's 3-D keypoints, pose, gaze, lids and coefficients once
  motion   the pose is removed, a linear rig moves the keypoints, a new pose is applied (compact.keypoint_rig)
  flow     the keypoints' displacement is spread in layers; a small network corrects it (compact.flow.network)
  picture  the photo's pixels are warped at full resolution; the network paints regions that the photo does not show

All motion is a change from the photo. The photo's own factors reproduce the photo.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
import torch

from thgen.analyser.network import Analyser
from thgen.compact.flow.network import GuidedFlow
from thgen.compact.generator import Generator
from thgen.compact.slider_motion import own_factors, unit_movement
from thgen.encoder.network import FaceEncoder
from thgen.encoder.reader import read_faces
from thgen.methods.base import Decoded, Factors, Identity, Method
from thgen.methods.rig.audio_network import AudioToLip
from thgen.methods.rig.clip_motion import clip_factors
from thgen.methods.rig.declaration import RIG
from thgen.methods.rig.voice import encode_lips
from thgen.weights.hub import Networks

if TYPE_CHECKING:
    from thgen.face.finder import FaceCrop


class Rig(Method):
    """See the head of the file. Networks: analyser, face_encoder, audio, rig."""

    declaration = RIG

    def __init__(
        self, analyser: Analyser, encoder: FaceEncoder, audio: AudioToLip, flow: GuidedFlow, device: torch.device
    ) -> None:
        self.generator, self.encoder = Generator(analyser, flow, device), encoder
        self.audio, self.device = audio, device

    @classmethod
    def load(cls, networks: Networks) -> Self:
        """Verified weights. Raises WeightsError."""
        analyser, encoder, audio, flow = (networks.get(name) for name in RIG.weights)
        return cls(analyser, encoder, audio, flow, networks.device)  # type: ignore[arg-type]

    # ---- encode
    def encode_photos(self, crops: Sequence[FaceCrop]) -> Identity:
        """The one photo."""
        photo, analysis = self.generator.read(crops[0])
        return Identity(photo.image, own_factors(analysis), {"photo": photo})

    def encode_audio(self, samples: np.ndarray, frames: int) -> Factors:
        """Lips of a voice, [frames 21]; zero (closed) in silence."""
        return {"lip": encode_lips(self.audio, samples, frames, self.device)}

    @torch.inference_mode()
    def encode_clip(self, crops: Iterable[FaceCrop]) -> Factors:
        """Every factor of a clip, each [T D], smoothed without lag. The head's shift (x, y, z) is 0."""
        return clip_factors(self.generator.rig, read_faces(self.encoder, crops, self.device))

    # ---- decode
    @torch.inference_mode()
    def decode(self, identity: Identity, window: Factors, sliders: Factors | None = None) -> Decoded:
        """Frames [T 3 S S], mask and flow for target factors, each [T D]."""
        photo = identity.state["photo"]
        target = {name: values.to(self.device).float() for name, values in window.items()}
        out = self.generator.render(photo, unit_movement(self.generator.rig, photo, identity.own, target))
        return Decoded(out.image.clamp(-1, 1), (1.1 * out.mask - 0.05).clamp(0, 1), out.flow)
