"""FC-TFG as a `Method`: what both presets share, and the compact preset."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from torch import Tensor

from thgen.audio.wav2lip_mel import mel_spectrogram, mel_windows
from thgen.compact.generator import BATCH, Generator, clamp_target, in_batches, movement
from thgen.compact.slider_motion import own_factors, with_units
from thgen.encoder.inputs import encoder_input
from thgen.encoder.network import FaceEncoder
from thgen.encoder.reader import read_faces
from thgen.io.process import Tick, no_tick
from thgen.methods.base import Decoded, Factors, Identity, Method, Row
from thgen.methods.fc_tfg.canonical_view import canonical_rows
from thgen.methods.fc_tfg.compact_networks import FaceCodes, IndexHeads
from thgen.methods.fc_tfg.declaration import FC_TFG
from thgen.methods.fc_tfg.latents import SPEECH, motion_factors, motion_of
from thgen.methods.fc_tfg.networks import LatentFusion
from thgen.nn.wav2lip import AudioEncoder
from thgen.weights.hub import Networks

if TYPE_CHECKING:
    from thgen.face.finder import FaceCrop

CODES = "codes"  # what `finish` gives to `decode`: z_sd at the manipulated indices, [T M*N]


class FcTfgBase(Method):
    """A photo is inverted to z_s and becomes the canonical code z_sc. Clips and voices give motion codes z_cd. Their
    sum is fused over the whole track. A preset says how faces are inverted, and what is made of the codes."""

    def __init__(self, voice: AudioEncoder, fusion: LatentFusion, device: torch.device) -> None:
        self.voice, self.fusion, self.device = voice, fusion, device

    @abstractmethod
    def _inverted(self, crops: Sequence[FaceCrop]) -> Tensor:
        """z = E_inv(x) of crops, [B L N]."""

    def _own(self, source: Tensor) -> Factors:
        """The photo's own motion, of z_s [1 L N], without a voice."""
        own = {name: value.cpu() for name, value in motion_factors(self.fusion, source).items()}
        return own | {SPEECH: torch.zeros(1, self.voice.features)}

    def encode_audio(self, samples: np.ndarray, frames: int) -> Factors:
        """z_a of a voice, [frames A]: E_a on windows of 0.2 s around each frame."""
        windows = torch.from_numpy(mel_windows(mel_spectrogram(samples), frames))
        with torch.inference_mode():
            return {SPEECH: torch.cat([self.voice(part.to(self.device)).cpu() for part in windows.split(BATCH)])}

    @torch.inference_mode()
    def encode_clip(self, crops: Iterable[FaceCrop]) -> Factors:
        """Coarse and fine motion of a clip, each [T D]. Smoothing is the work of the temporal fusion."""
        rows = [motion_factors(self.fusion, self._inverted(part)) for part in in_batches(crops)]
        return {name: torch.cat([row[name] for row in rows]).cpu() for name in rows[0]}

    @torch.inference_mode()
    def finish(self, identity: Identity, track: Factors) -> Factors:
        """Factors of the whole video -> z_sd after the temporal fusion, CODES [T M*N]."""
        return {CODES: self._fused(identity.state["canonical"], track).cpu()}

    def view(self, name: str, photos: Sequence[FaceCrop], clip: Sequence[FaceCrop], tick: Tick = no_tick) -> list[Row]:
        """The only view: canonical faces."""
        return canonical_rows(self, photos, clip, tick)

    def _fused(self, canonical: Tensor, track: Factors) -> Tensor:
        """z_sd [T M*N] of a canonical code [1 M N] and factors of T frames."""
        motion = motion_of(self.fusion, {name: values.to(self.device).float() for name, values in track.items()})
        return self.fusion.fused(canonical, motion[None])[0].flatten(1)


class FcTfg(FcTfgBase):
    """Codes -> motion heads -> the shared generator (deviations 20 to 22)."""

    declaration = FC_TFG

    def __init__(
        self, generator: Generator, encoder: FaceEncoder, inversion: FaceCodes, voice: AudioEncoder,
        fusion: LatentFusion, heads: IndexHeads, device: torch.device,
    ) -> None:  # fmt: skip
        super().__init__(voice, fusion, device)
        self.generator, self.encoder, self.inversion, self.heads = generator, encoder, inversion, heads

    @classmethod
    def load(cls, networks: Networks) -> Self:
        """The method with the declared weights, whose order is that of the constructor. Raises WeightsError."""
        analyser, rig, *own = (networks.get(name) for name in cls.declaration.weights)
        return cls(Generator(analyser, rig, networks.device), *own, networks.device)  # type: ignore[arg-type,call-arg]

    @torch.inference_mode()
    def encode_photos(self, crops: Sequence[FaceCrop]) -> Identity:
        """The one photo. The state of its face is that of its own codes, so they leave it as it is."""
        photo, analysis = self.generator.read(crops[0])
        source = self._inverted(crops[:1])
        own, canonical = self._own(source), self.fusion.canonical_codes(source)
        state = {"photo": photo, "canonical": canonical, "source": self.heads(self._fused(canonical, own))}
        return Identity(photo.image, own, state, own_factors(analysis))

    def _inverted(self, crops: Sequence[FaceCrop]) -> Tensor:
        """z = E_inv of what the face encoder says of the crops."""
        faces = encoder_input(read_faces(self.encoder, crops, self.device).encoded)
        codes: Tensor = self.inversion(faces.to(self.device))
        return codes

    @torch.inference_mode()
    def decode(self, identity: Identity, window: Factors, sliders: Factors | None = None) -> Decoded:
        """Frames [T 3 S S], mask and flow for CODES of T frames. sliders: as PD-FGC's; only idle motion moves them."""
        target = self.heads(window[CODES].to(self.device).float())
        photo, source = identity.state["photo"], identity.state["source"].expand(len(target.turn))
        target = clamp_target(source, target, photo.coefficients)
        move = movement(source, target, photo.lid_scale.expand(len(target.turn), -1))
        move = with_units(move, self.generator.rig, photo, identity.measured, sliders)
        out = self.generator.render(photo, move)
        return Decoded(out.image.clamp(-1, 1), (1.1 * out.mask - 0.05).clamp(0, 1), out.flow)
