"""GC-AVT with the networks of the paper (preset "paper")."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from torch import Tensor

from thgen.analyser.network import Analyser, to_input
from thgen.audio.mel import CENTRED, mel_spectrogram, mel_windows
from thgen.compact.generator import BATCH, in_batches
from thgen.compact.photo_layers import behind
from thgen.face.crop import resized
from thgen.face_parts.background import person
from thgen.methods.base import Decoded, Factors, Identity, Method, at_size
from thgen.methods.gc_avt.declaration import GC_AVT_PAPER
from thgen.methods.gc_avt.inputs import (
    Seen,
    content_input,
    expression_input,
    identity_input,
    pose_input,
    with_other_moment,
)
from thgen.methods.gc_avt.latents import EXPRESSION, LIP, POSE, Latents
from thgen.methods.gc_avt.networks import Content, Voice
from thgen.methods.gc_avt.networks import Identity as IdentityEncoder
from thgen.nn.adain_generator import AdaINGenerator
from thgen.nn.mobilenet import MobileNetV2
from thgen.weights.hub import Networks

if TYPE_CHECKING:
    from thgen.face.finder import FaceCrop


class PaperGcAvt(Method):
    """One to eight photos give f_id. Clips are taken apart into mouth, face and head, and a voice replaces the mouth. G
    paints the person, who is laid over the background of the first photo (deviation 8)."""

    declaration = GC_AVT_PAPER

    def __init__(
        self, analyser: Analyser, identity: IdentityEncoder, pose: MobileNetV2, expression: MobileNetV2,
        content: Content, voice: Voice, generator: AdaINGenerator, device: torch.device,
    ) -> None:  # fmt: skip
        self.analyser, self.device, self.generator = analyser, device, generator
        self.identity, self.pose, self.expression = identity, pose, expression
        self.content, self.voice = content, voice

    @classmethod
    def load(cls, networks: Networks) -> Self:
        """The method with the declared weights, whose order is that of the constructor. Raises WeightsError."""
        return cls(*(networks.get(name) for name in cls.declaration.weights), networks.device)  # type: ignore[arg-type,call-arg]

    @torch.inference_mode()
    def encode_photos(self, crops: Sequence[FaceCrop]) -> Identity:
        """f_id is the mean over all photos. The first one gives the background, and the motion that has no driver."""
        seen = self._seen(crops)
        photos = self._pictures([identity_input(photo) for photo in seen])
        image = self._pictures([crops[0].image])
        background = self._pictures([behind(crops[0].image, person(self.analyser, image)[0, 0].cpu().numpy())])
        own = {name: value.cpu() for name, value in self._codes([(seen[0], None)]).items()}
        return Identity(image, own, {"person": self.identity.of_person(photos[None]), "background": background})

    def encode_audio(self, samples: np.ndarray, frames: int) -> Factors:
        """f_c^a of a voice, [frames 256]: E_a on windows of 0.2 s around each frame."""
        windows = torch.from_numpy(mel_windows(mel_spectrogram(samples), frames, CENTRED))
        with torch.inference_mode():
            return {LIP: torch.cat([self.voice(part.to(self.device)).float().cpu() for part in windows.split(BATCH)])}

    @torch.inference_mode()
    def encode_clip(self, crops: Iterable[FaceCrop]) -> Factors:
        """f_c^v, f_p and f_e of a clip, each [T D]. A still picture keeps its own mouth in the input of E_e."""
        rows = []
        for part in in_batches(with_other_moment(crops)):
            seen = self._seen([crop for crop, _ in part])
            others = [None if other is crop else self._placed(other) for crop, other in part]
            rows.append(self._codes(list(zip(seen, others, strict=True))))
        return {name: torch.cat([row[name] for row in rows]).cpu() for name in rows[0]}

    def _placed(self, crop: FaceCrop) -> Seen:
        """A crop at the size of G, with its background."""
        image = resized(crop.image[None], self.generator.size)[0]
        return Seen(image, crop.keypoints[:68, :2], np.ones(image.shape[:2], np.float32))

    def _seen(self, crops: Sequence[FaceCrop]) -> list[Seen]:
        """Crops at the size of G, segmented by the analyser."""
        placed = [self._placed(crop) for crop in crops]
        keep = person(self.analyser, self._pictures([seen.image for seen in placed]))[:, 0].cpu().numpy()
        return [Seen(seen.image, seen.landmarks, where) for seen, where in zip(placed, keep, strict=True)]

    def _pictures(self, images: Sequence[np.ndarray]) -> Tensor:
        """uint8 RGB [S S 3] each -> [n 3 S S] in [-1, 1] on the device."""
        return to_input(torch.from_numpy(np.stack(images)).to(self.device))

    def _codes(self, pairs: Sequence[tuple[Seen, Seen | None]]) -> Factors:
        """The embeddings of frames, with the frame of another moment each (`expression_input`), [n D]."""
        lips = self._pictures([content_input(seen) for seen, _ in pairs])
        heads = self._pictures([pose_input(seen) for seen, _ in pairs])
        faces = self._pictures([expression_input(seen, other) for seen, other in pairs])
        codes = {LIP: self.content(lips), POSE: self.pose(heads), EXPRESSION: self.expression(faces)}
        return {name: value.float() for name, value in codes.items()}

    @torch.inference_mode()
    def decode(self, identity: Identity, window: Factors, sliders: Factors | None = None) -> Decoded:
        """Frames [T 3 S S] for embeddings [T D] of every factor. There are no sliders and no flow."""
        codes = {name: values.to(self.device).float() for name, values in window.items()}
        who = identity.state["person"].expand(len(codes[POSE]), -1)
        made = self.generator(Latents.join(who, codes[POSE], codes[EXPRESSION], codes[LIP])).clamp(-1, 1)
        size = identity.image.shape[-1]
        keep = at_size(person(self.analyser, made), size).clamp(0, 1)
        background = at_size(identity.state["background"], size)
        frames = torch.lerp(background.expand(len(made), -1, -1, -1), at_size(made, size), keep)
        return Decoded.generated(frames, size)
