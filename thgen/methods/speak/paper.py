"""SPEAK with the networks of the paper (preset "paper")."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from thgen.compact.generator import in_batches
from thgen.face.finder import FaceCrop, pictures_of
from thgen.methods.base import Decoded, Factors, Identity, Method
from thgen.methods.speak.declaration import SPEAK_PAPER
from thgen.methods.speak.emotions import change, shares
from thgen.methods.speak.networks import EditingModule, EmotionEncoder, Encoder, TalkingGenerator, Voice
from thgen.nn.wav2vec import normalised
from thgen.schema import FPS, SAMPLE_RATE, SAMPLES_PER_FRAME
from thgen.weights.hub import Networks

LIP, POSE, EXPRESSION = "lip", "pose", "expression"
PASS = 16 * FPS  # frames of a voice that E_a hears in one pass, besides CONTEXT: attention costs their square
CONTEXT = 2 * FPS  # frames before and after them


class PaperSpeak(Method):
    """One photo. A voice moves the lips, one clip the head, another one the emotion; what has no driver stays as in the
    photo, and the lips as in silence. The emotion can also be named."""

    declaration = SPEAK_PAPER

    def __init__(
        self, identity: Encoder, emotion: EmotionEncoder, pose: Encoder, voice: Voice, editing: EditingModule,
        generator: TalkingGenerator, device: torch.device,
    ) -> None:  # fmt: skip
        self.identity, self.emotion, self.pose = identity, emotion, pose
        self.voice, self.editing, self.generator, self.device = voice, editing, generator, device

    @classmethod
    def load(cls, networks: Networks) -> Self:
        """The method with the declared weights, whose order is that of the constructor. Raises WeightsError."""
        return cls(*(networks.get(name) for name in cls.declaration.weights), networks.device)  # type: ignore[arg-type,call-arg]

    @torch.inference_mode()
    def encode_photos(self, crops: Sequence[FaceCrop]) -> Identity:
        """The one photo: f_I, the map from which its pictures start, and its own pose and emotion."""
        image = pictures_of(crops[:1], self.device)
        code, found = self.identity.with_map(self._sized(crops[:1]))
        silence = self.encode_audio(np.zeros(SAMPLE_RATE, np.float32), FPS)[LIP][FPS // 2]
        own = {LIP: silence[None], **self._codes(crops[:1])}
        return Identity(image, own, {"identity": code, "begin": self.generator.begin(found)})

    @torch.inference_mode()
    def encode_audio(self, samples: np.ndarray, frames: int) -> Factors:
        """f_a of a voice, [frames D]. A long one is heard in passes that overlap."""
        length = frames * SAMPLES_PER_FRAME
        sound = normalised(np.asarray(samples)[:length])
        sound = np.pad(sound, (0, length - len(sound)))
        parts = []
        for start in range(0, frames, PASS):
            first, last = max(0, start - CONTEXT), min(frames, start + PASS + CONTEXT)
            heard = torch.from_numpy(sound[first * SAMPLES_PER_FRAME : last * SAMPLES_PER_FRAME])[None]
            track = self.voice.at(heard.to(self.device), last - first, FPS)[0]
            parts.append(track[start - first : min(frames, start + PASS) - first].float().cpu())
        return {LIP: torch.cat(parts)}

    @torch.inference_mode()
    def encode_clip(self, crops: Iterable[FaceCrop]) -> Factors:
        """f_P and f_E of a clip, each [T D]."""
        rows = [self._codes(part) for part in in_batches(crops)]
        return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}

    @torch.inference_mode()
    def latents(self, crops: Iterable[FaceCrop]) -> Factors:
        """The codes of a clip, and "identity", f_I of each frame."""
        rows = [
            self._codes(part) | {"identity": self.identity(self._sized(part)).float().cpu()}
            for part in in_batches(crops)
        ]
        return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}

    def _sized(self, crops: Sequence[FaceCrop]) -> Tensor:
        """Crops at the size of G_g, [n 3 s s]."""
        return pictures_of(crops, self.device, self.generator.size)

    def _codes(self, crops: Sequence[FaceCrop]) -> Factors:
        """f_P and f_E of crops, each [n D] on the CPU."""
        pictures = self._sized(crops)
        return {POSE: self.pose(pictures).float().cpu(), EXPRESSION: self.emotion(pictures).float().cpu()}

    def steer(self, identity: Identity, values: Mapping[str, Any]) -> Factors:
        """An emotion by name and strength, and mixes. Raises ControlError for a mix of more than 1, and for an emotion
        that the weights have never seen."""
        chosen = shares(values)
        if not chosen:
            return {}
        return {EXPRESSION: change(chosen, identity.own[EXPRESSION], self.emotion.centres, self.emotion.seen)}

    @torch.inference_mode()
    def decode(self, identity: Identity, window: Factors, sliders: Factors | None = None) -> Decoded:
        """Frames [T 3 S S] for codes [T D]. All of their pixels are generated. There are no common sliders, no flow."""
        lip, pose, emotion = (window[name].to(self.device).float() for name in (LIP, POSE, EXPRESSION))
        who = identity.state["identity"].expand(len(pose), -1)
        begin = identity.state["begin"].expand(len(pose), -1, -1, -1)
        edited = self.editing(lip, emotion, torch.cat([who, pose, emotion], 1))
        made = self.generator(edited, who, pose, begin)
        return Decoded.generated(made, identity.image.shape[-1])
