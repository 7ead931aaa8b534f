"""FG-EmoTalk with the networks of the paper (preset "paper")."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from thgen.face.finder import FaceCrop, pictures_of
from thgen.methods.base import Decoded, Factors, Identity, Method
from thgen.methods.fg_emotalk.declaration import FG_EMOTALK_PAPER, unit_key
from thgen.methods.fg_emotalk.networks import AUEncoder, VideoNetwork
from thgen.methods.fg_emotalk.units import UNITS, intensities, mixed, recipes
from thgen.nn.lia_painter import Painter
from thgen.schema import AU_MAX
from thgen.weights.hub import Networks

POSE, EXPRESSION, APPEARANCE = "pose", "expression", "appearance"


class PaperFgEmoTalk(Method):
    """The photo gives its appearance and facial features; frames of clips give pose and expression; sliders add the
    code of action units to the expression."""

    declaration = FG_EMOTALK_PAPER

    def __init__(self, net: VideoNetwork, units: AUEncoder, device: torch.device) -> None:
        self.net, self.units, self.device = net, units, device
        painter = Painter(net.encoder, net.decoder) if device.type == "cpu" else None
        self.encode = painter.encode if painter else net.encoder
        self.paint = painter.paint if painter else net.decoder

    @classmethod
    def load(cls, networks: Networks) -> Self:
        """The method with the declared weights. Raises WeightsError."""
        return cls(*(networks.get(name) for name in cls.declaration.weights[1:]), networks.device)  # type: ignore[arg-type,call-arg]

    @torch.inference_mode()
    def encode_photos(self, crops: Sequence[FaceCrop]) -> Identity:
        """x_S^app and the facial features of the first photo, and its own pose and expression (S^rec of eq. 5)."""
        image = pictures_of(crops[:1], self.device)
        feature, maps = self.encode(self._picture(crops[0]))
        own = {POSE: self.net.pose(feature), EXPRESSION: self.net.expression(feature)}
        state = {APPEARANCE: self.net.appearance(feature), "maps": maps}
        return Identity(image, {name: value.float().cpu() for name, value in own.items()}, state)

    def encode_audio(self, samples: np.ndarray, frames: int) -> Factors:
        """A voice drives nothing: the audio mode is not there yet."""
        return {}

    def encode_clip(self, crops: Iterable[FaceCrop]) -> Factors:
        """x_D^pose and x_D^exp of each frame, [frames 20] each."""
        found = self.latents(crops)
        return {name: found[name] for name in (POSE, EXPRESSION)}

    @torch.inference_mode()
    def latents(self, crops: Iterable[FaceCrop]) -> Factors:
        """Pose, expression and appearance of each frame."""
        features = torch.cat([self.encode(self._picture(crop))[0] for crop in crops])
        parts = {POSE: self.net.pose, EXPRESSION: self.net.expression, APPEARANCE: self.net.appearance}
        return {name: extractor(features).float().cpu() for name, extractor in parts.items()}

    @torch.inference_mode()
    def steer(self, identity: Identity, values: Mapping[str, Any]) -> Factors:
        """The units asked for, alone and in emotions, as an offset of the expression [1 20] ("add")."""
        emotions = {name: float(values.get(f"emotion.{name}", 0.0)) for name, recipe in recipes().items() if recipe}
        of_emotions = mixed(emotions)
        asked = {au: min(float(values.get(unit_key(au), 0.0)) + of_emotions[au], AU_MAX) for au in UNITS}
        row = torch.tensor([intensities(asked)], device=self.device)
        return {EXPRESSION: self.units(row).float().cpu()}

    @torch.inference_mode()
    def decode(self, identity: Identity, window: Factors, sliders: Factors | None = None) -> Decoded:
        """Frames [T 3 S S] for magnitudes [T 20] of pose and expression: equations 3 and 4."""
        pose, expression = (window[name].to(self.device).float() for name in (POSE, EXPRESSION))
        codes = identity.state[APPEARANCE] + self.net.move(pose, expression)
        made = torch.cat([self.paint(row, identity.state["maps"]) for row in codes.split(1)]).clamp(-1, 1)
        return Decoded.generated(made, identity.image.shape[-1])

    def _picture(self, crop: FaceCrop) -> Tensor:
        """The crop at the size of the network, [1 3 s s]."""
        return pictures_of([crop], self.device, self.net.size)
