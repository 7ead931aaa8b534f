"""PD-FGC as a `Method`: the encoders of both presets, and the compact preset."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from torch import Tensor, nn

from thgen.audio.mel import mel_spectrogram, mel_windows
from thgen.compact.generator import BATCH, Generator, clamp_target, movement
from thgen.compact.motion_head import MotionHead
from thgen.compact.slider_motion import own_factors, with_units
from thgen.encoder.inputs import encoder_input
from thgen.encoder.network import FaceEncoder
from thgen.encoder.reader import read_faces
from thgen.methods.base import Decoded, Factors, Identity, Method
from thgen.methods.pd_fgc.declaration import PD_FGC
from thgen.methods.pd_fgc.latents import BLINK, COMPACT, GAZE, Gains, Latents, eye_of, smooth_lips, smooth_pose
from thgen.methods.pd_fgc.networks import AudioLip, MotionBase
from thgen.weights.hub import Networks

if TYPE_CHECKING:
    from thgen.face.finder import FaceCrop


class PdFgcBase(Method):
    """Encoders of photo, voice and clips. Factors are latents without units; sizes of the paper: lip 500, pose 6,
    gaze 2 and blink 4 (together the eye), expression 30. Zero is the canonical position (section B.2, figure 3)."""

    def __init__(
        self,
        generator: Generator,
        appearance: nn.Module,
        faces: MotionBase,
        voice: AudioLip,
        gains: Gains,
        device: torch.device,
    ) -> None:
        self.generator, self.appearance, self.faces, self.voice = generator, appearance, faces, voice
        self.gains, self.device = gains, device

    @classmethod
    def load(cls, networks: Networks) -> Self:
        """The method with the declared weights, whose order is that of the constructor. Raises WeightsError."""
        analyser, rig, *own = (networks.get(name) for name in cls.declaration.weights)
        return cls(Generator(analyser, rig, networks.device), *own, networks.device)  # type: ignore[arg-type,call-arg]

    def encode_audio(self, samples: np.ndarray, frames: int) -> Factors:
        """Lip latent of a voice, [frames D]: E_aud on windows of 0.2 s, times its gain, smoothed."""
        windows = torch.from_numpy(mel_windows(mel_spectrogram(samples), frames)).to(self.device)
        with torch.inference_mode():
            lips = torch.cat([self.voice(part)[1] for part in windows.split(BATCH)])
        return {"lip": smooth_lips(self.gains.voice * lips).cpu()}

    @torch.inference_mode()
    def encode_clip(self, crops: Iterable[FaceCrop]) -> Factors:
        """Every factor of a clip, [T D]. Lip and pose are smoothed, as in the authors' code."""
        rows = [self._codes(frames) for frames in self._frames(crops)]
        codes = {name: torch.cat([row[name] for row in rows]).cpu() for name in rows[0]}
        tracks = {name: getattr(self.gains, name) * track for name, track in codes.items()}
        if len(tracks["lip"]) == 1:  # a still picture has no neighbours
            return tracks
        return tracks | {"lip": smooth_lips(tracks["lip"]), "pose": smooth_pose(tracks["pose"])}

    @torch.inference_mode()
    def latents(self, crops: Iterable[FaceCrop]) -> Factors:
        """The codes of each frame alone, [T D], without gains and smoothing, and E_app of each frame, "appearance"."""
        rows = [self._codes(frames) | {"appearance": self._look(frames)} for frames in self._frames(crops)]
        return {name: torch.cat([row[name] for row in rows]).cpu() for name in rows[0]}

    def _look(self, frames: Tensor) -> Tensor:
        """The vector of E_app of E_mot's input; the released network also gives a map."""
        found = self.appearance(frames)
        return found[0] if isinstance(found, tuple) else found  # type: ignore[no-any-return]

    @abstractmethod
    def _frames(self, crops: Iterable[FaceCrop]) -> Iterator[Tensor]:
        """E_mot's input for the frames of a clip, in batches."""

    def _codes(self, frames: Tensor) -> Factors:
        """E_lip, E_pose, E_eye, E_exp of E_mot's input of frames."""
        feature = self.faces(frames)
        eye = self.faces.eye(feature)
        return {
            "lip": self.voice.embed(self.faces.lip_feature(feature)), "pose": self.faces.pose(feature),
            "gaze": eye[:, list(GAZE)], "blink": eye[:, list(BLINK)], "expression": self.faces.expression(feature),
        }  # fmt: skip

    @staticmethod
    def _latent(appearance: Tensor, codes: Factors) -> Tensor:
        eye = eye_of(codes["blink"], codes["gaze"])
        appearance = appearance.expand(len(eye), -1)
        return Latents.join(appearance, codes["lip"], codes["expression"], eye, codes["pose"])


class PdFgc(PdFgcBase):
    """Latents -> motion head -> the shared generator (deviation 11)."""

    declaration = PD_FGC

    def __init__(
        self, generator: Generator, encoder: FaceEncoder, appearance: nn.Module, faces: MotionBase, voice: AudioLip,
        head: MotionHead, device: torch.device, gains: Gains = COMPACT,
    ) -> None:  # fmt: skip
        super().__init__(generator, appearance, faces, voice, gains, device)
        self.encoder, self.head = encoder, head

    @torch.inference_mode()
    def encode_photos(self, crops: Sequence[FaceCrop]) -> Identity:
        """The one photo."""
        photo, analysis = self.generator.read(crops[0])
        frame = next(self._frames(crops[:1]))
        vector, own = self.appearance(frame), self._codes(frame)
        state = {"photo": photo, "appearance": vector, "source": self.head(self._latent(vector, own))}
        return Identity(photo.image, own, state, own_factors(analysis))

    def _frames(self, crops: Iterable[FaceCrop]) -> Iterator[Tensor]:
        faces = encoder_input(read_faces(self.encoder, crops, self.device).encoded)
        yield from faces.to(self.device).split(BATCH)

    @torch.inference_mode()
    def decode(self, identity: Identity, window: Factors, sliders: Factors | None = None) -> Decoded:
        """Frames [T 3 S S], mask and flow for latents [T D] of every factor. sliders: target factors with units, whose
        movement is added; None: no addition."""
        codes = {name: values.to(self.device).float() for name, values in window.items()}
        state, photo = identity.state, identity.state["photo"]
        target = self.head(self._latent(state["appearance"], codes))
        source = state["source"].expand(len(target.turn))
        target = clamp_target(source, target, photo.coefficients)
        lid_scale = photo.lid_scale.expand(len(target.turn), -1)
        move = movement(source, target, lid_scale)
        move = with_units(move, self.generator.rig, photo, identity.measured, sliders)
        out = self.generator.render(photo, move)
        return Decoded(out.image.clamp(-1, 1), (1.1 * out.mask - 0.05).clamp(0, 1), out.flow)
