"""PD-FGC behind the contract: the encoders of both presets, and the compact preset."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import Self

import numpy as np
import torch
from torch import Tensor

from thgen.audio.mel import mel_spectrogram, mel_windows
from thgen.compact.flow.network import BASE
from thgen.compact.generator import BATCH, Generator, in_batches, movement, within_reach
from thgen.compact.mosaic import frames_of, mosaic
from thgen.compact.motion_head import MotionHead
from thgen.compact.slider_motion import own_factors, unit_movement
from thgen.face.crop import face_view
from thgen.methods.base import UNITS, Decoded, Factors, Identity, Method
from thgen.methods.pd_fgc.latents import BLINK, COMPACT, GAZE, Gains, Latents, eye_of, smooth_lips, smooth_pose
from thgen.methods.pd_fgc.networks import Appearance, AudioLip, Motion
from thgen.weights import hub


class PdFgcBase(Method):
    """Photo, voice and clips -> latents. Factors are the method's own and have no units: lip 500, pose 6, gaze 2 and
    blink 4 of the eye, expression 30. Zero is the canonical position (section B.2, figure 3)."""

    factors = ("lip", "pose", "gaze", "blink", "expression")
    canonical = True

    def __init__(
        self,
        guide: Generator,
        appearance: Appearance,
        faces: Motion,
        voice: AudioLip,
        gains: Gains,
        device: torch.device,
    ) -> None:
        self.guide, self.appearance, self.faces, self.voice = guide, appearance, faces, voice
        self.gains, self.device = gains, device

    @classmethod
    def load(cls, device: torch.device) -> Self:
        """Verified weights on `device`: `networks` in the order of the constructor. Raises WeightsError."""
        analyser, rig, *own = (hub.load_network(name, device) for name in cls.networks)
        return cls(Generator(analyser, rig, device), *own, device)  # type: ignore[arg-type,call-arg]

    def encode_audio(self, samples: np.ndarray, frames: int) -> Factors:
        """The lips' latent of a voice, [frames D]: E_aud on windows of 0.2 s, gained, smoothed."""
        windows = torch.from_numpy(mel_windows(mel_spectrogram(samples), frames)).to(self.device)
        with torch.inference_mode():
            lips = torch.cat([self.voice(part)[1] for part in windows.split(BATCH)])
        return {"lip": smooth_lips(self.gains.lip * self.gains.heard * lips).cpu()}

    @torch.inference_mode()
    def encode_clip(self, crops: Iterable[np.ndarray]) -> Factors:
        """Every factor of a clip, [T D]; lip and pose smoothed, as the paper's authors do."""
        rows = [self._codes(frames) for frames in self._frames(crops)]
        found = {name: torch.cat([row[name] for row in rows]).cpu() for name in self.factors}
        gains = {"lip": self.gains.lip, "expression": self.gains.expression, "pose": self.gains.pose}
        found = {name: gains.get(name, self.gains.eye) * track for name, track in found.items()}
        if len(found["lip"]) == 1:  # a still: there is nothing to smooth it with
            return found
        return found | {"lip": smooth_lips(found["lip"]), "pose": smooth_pose(found["pose"])}

    @abstractmethod
    def _frames(self, crops: Iterable[np.ndarray]) -> Iterator[Tensor]:
        """What the encoders see of a clip's crops uint8 [S S 3], in batches [B 3 side side]."""

    def _codes(self, frames: Tensor) -> Factors:
        """E_lip, E_pose, E_eye, E_exp of frames [B 3 side side]."""
        seen = self.faces(frames)
        eye = self.faces.eye(seen)
        return {
            "lip": self.voice.embed(self.faces.lip_feature(seen)), "pose": self.faces.pose(seen),
            "gaze": eye[:, list(GAZE)], "blink": eye[:, list(BLINK)], "expression": self.faces.expression(seen),
        }  # fmt: skip

    @staticmethod
    def _latent(appearance: Tensor, codes: Factors) -> Tensor:
        eye = eye_of(codes["blink"], codes["gaze"])
        appearance = appearance.expand(len(eye), -1)
        return Latents.join(appearance, codes["lip"], codes["expression"], eye, codes["pose"])


class PdFgc(PdFgcBase):
    """Latents -> motion head -> the shared generator (deviation 11)."""

    name = "pd_fgc"
    weights_name = "pd_fgc_head"
    networks = ("analyser", "rig", "pd_fgc_appearance", "pd_fgc_motion", "pd_fgc_audio", weights_name)

    def __init__(
        self, guide: Generator, appearance: Appearance, faces: Motion, voice: AudioLip, head: MotionHead,
        device: torch.device, gains: Gains = COMPACT,
    ) -> None:  # fmt: skip
        super().__init__(guide, appearance, faces, voice, gains, device)
        self.head = head

    @torch.inference_mode()
    def encode_photo(self, crop: np.ndarray) -> Identity:
        """crop uint8 RGB [S S 3], framed by face.finder."""
        photo, seen = self.guide.read(crop)
        vector, _ = self.appearance(self.guide.image(face_view(crop[None], self.faces.config["side"])))  # type: ignore[arg-type]
        own = self._codes(self._view(photo.image, photo.keypoints))
        state = {"photo": photo, "appearance": vector, "source": self.head(self._latent(vector, own))}
        return Identity(photo.image, own, state, own_factors(seen))

    def _frames(self, crops: Iterable[np.ndarray]) -> Iterator[Tensor]:
        for part in in_batches(crops):
            image = self.guide.image(np.stack(part))
            yield self._view(image, self.guide.look_twice(image)[1])

    @staticmethod
    def _view(image: Tensor, keypoints: Tensor) -> Tensor:
        """Crops [B 3 S S] and their keypoints [B K 3] -> what E_mot sees, [B 3 128 128]."""
        small = torch.nn.functional.interpolate(image, size=(BASE, BASE), mode="area")
        return mosaic(small, frames_of(keypoints[:, :68]))

    @torch.inference_mode()
    def decode(self, identity: Identity, factors: Factors) -> Decoded:
        """Frames [T 3 S S] and mask for latents [T D] of every factor, and what sliders add to them ("units.*")."""
        codes = {name: values.to(self.device).float() for name, values in factors.items()}
        units = {name.removeprefix(UNITS): v for name, v in codes.items() if name.startswith(UNITS)}
        state, photo = identity.state, identity.state["photo"]
        target = self.head(self._latent(state["appearance"], codes))
        source = state["source"].expand(len(target.turn))
        target = within_reach(source, target, photo.coefficients)
        move = movement(source, target, photo.lid_scale.expand(len(target.turn), -1))
        if units and identity.units is not None:
            move = move.and_then(unit_movement(self.guide.rig, photo, identity.units, units))
        out = self.guide.render(photo, move)
        return Decoded(out.image.clamp(-1, 1), (1.1 * out.mask - 0.05).clamp(0, 1), out.flow)
