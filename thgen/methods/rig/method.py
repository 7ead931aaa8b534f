"""Rig: our supervised reference. Its latents are the renderer's own coefficients, so every control has a unit.

No paper: the ceiling that the five papers' methods are compared with. In the order of the path:
  source   the analyser gives the photo's 3-D keypoints, pose, gaze, lids and coefficients, once
  motion   pose out, a linear rig moves the keypoints by the change of coefficients, new pose in (compact.keypoint_rig)
  flow     the keypoints' displacement, spread in layers, corrected by a small network (compact.flow.network)
  picture  the photo's own pixels are warped at full resolution; the network paints what the photo does not show

All motion is a change from the photo: factors equal to the photo's own give the photo back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
import torch

from thgen.analyser.network import Analyser, Analysis
from thgen.compact.flow.network import GuidedFlow
from thgen.compact.generator import Generator
from thgen.compact.slider_motion import own_factors, unit_movement
from thgen.face.track import smooth
from thgen.methods.base import Decoded, Factors, Identity, Method, Networks
from thgen.methods.rig.audio_network import AudioToLip
from thgen.methods.rig.declaration import RIG
from thgen.methods.rig.voice import encode_lips

if TYPE_CHECKING:
    from thgen.face.finder import FaceCrop

SMOOTHING = {"lip": 0.12, "pose": 0.28, "gaze": 0.16, "blink": 0.08, "expression": 0.28}  # seconds, symmetric


class Rig(Method):
    """See the head of the file. Networks: analyser, audio, rig."""

    declaration = RIG

    def __init__(self, analyser: Analyser, audio: AudioToLip, generator: GuidedFlow, device: torch.device) -> None:
        self.guide, self.audio, self.device = Generator(analyser, generator, device), audio, device

    @classmethod
    def load(cls, networks: Networks) -> Self:
        """Verified weights. Raises WeightsError."""
        analyser, audio, generator = (networks.get(name) for name in RIG.weights)
        return cls(analyser, audio, generator, networks.device)  # type: ignore[arg-type]

    # ---- encode
    def encode_photos(self, crops: Sequence[FaceCrop]) -> Identity:
        """The one photo."""
        photo, seen = self.guide.read(crops[0])
        return Identity(photo.image, own_factors(seen), {"photo": photo})

    def encode_audio(self, samples: np.ndarray, frames: int) -> Factors:
        """Lips from a voice, [frames 21]; zero, which is closed, in silence."""
        return {"lip": encode_lips(self.audio, samples, frames, self.device)}

    @torch.inference_mode()
    def encode_clip(self, crops: Iterable[FaceCrop]) -> Factors:
        """Every factor of a clip, smoothed without lag. The crop follows the head, so its shift (x, y, z) is 0."""
        found = own_factors(Analysis.cat([crop.analysis for crop in crops]))
        return {
            name: torch.from_numpy(smooth(values.numpy(), SMOOTHING[name])).float() for name, values in found.items()
        }

    # ---- decode
    @torch.inference_mode()
    def decode(self, identity: Identity, window: Factors, sliders: Factors | None = None) -> Decoded:
        """Frames [T 3 S S] and mask for target factors, each [T D]."""
        photo = identity.state["photo"]
        target = {name: values.to(self.device).float() for name, values in window.items()}
        out = self.guide.render(photo, unit_movement(self.guide.rig, photo, identity.own, target))
        return Decoded(out.image.clamp(-1, 1), (1.1 * out.mask - 0.05).clamp(0, 1), out.flow)
