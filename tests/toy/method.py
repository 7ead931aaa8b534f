"""A method that lives in the tests alone. It has a temporal layer, and nothing outside of this folder knows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch

from tests.toy.declaration import GLOW, TINT, TOY
from thgen.face.finder import FaceCrop
from thgen.io.process import Tick, no_tick
from thgen.methods.base import Decoded, Factors, Identity, Method, Row
from thgen.schema import SAMPLES_PER_FRAME
from thgen.weights.hub import Networks

MOODS = {"warm": (0.3, 0.0, -0.3), "cold": (-0.3, 0.0, 0.3)}
REACH = 2  # frames to either side that the temporal layer averages


class Toy(Method):
    declaration = TOY

    @classmethod
    def load(cls, networks: Networks) -> Self:
        return cls()

    def encode_photos(self, crops: Sequence[FaceCrop]) -> Identity:
        """The glow of the first photo; the tint is the number of photos, in hundredths."""
        image = torch.from_numpy(crops[0].image.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
        own = {TINT: torch.full((1, 3), len(crops) / 100), GLOW: torch.tensor([[50.0]])}
        return Identity(image, own, {"photos": len(crops)})

    def encode_audio(self, samples: np.ndarray, frames: int) -> Factors:
        padded = np.pad(samples, (0, max(0, frames * SAMPLES_PER_FRAME - samples.size)))[: frames * SAMPLES_PER_FRAME]
        loud = np.sqrt((padded.reshape(frames, -1) ** 2).mean(axis=1))
        return {TINT: torch.from_numpy(loud).float()[:, None].expand(-1, 3)}

    def encode_clip(self, crops: Iterable[FaceCrop]) -> Factors:
        rows = [(torch.from_numpy(c.image.reshape(-1, 3).mean(0) / 255).float(), float(c.analysis.pose[0, 0]))
                for c in crops]  # fmt: skip
        return {TINT: torch.stack([tint for tint, _ in rows]), GLOW: torch.tensor([[50 + yaw] for _, yaw in rows])}

    def steer(self, identity: Identity, values: Mapping[str, Any]) -> Factors:
        mood = torch.tensor([MOODS.get(values.get("toy.mood", "plain"), (0.0, 0.0, 0.0))])
        return {TINT: mood * values.get("toy.mood_strength", 1.0)}

    def finish(self, identity: Identity, track: Factors) -> Factors:
        """A mean over five frames of the whole track, so that a frame depends on its neighbours beyond any window."""
        padded = torch.nn.functional.pad(track[TINT].T[None], (REACH, REACH), mode="replicate")
        return track | {TINT: torch.nn.functional.avg_pool1d(padded, 2 * REACH + 1, 1)[0].T}

    def view(self, name: str, photos: Sequence[FaceCrop], clip: Sequence[FaceCrop], tick: Tick = no_tick) -> list[Row]:
        tick()
        images = [crop.image for crop in (*photos, *clip)]
        return [Row("Faces", images), Row("Negatives", [255 - image for image in images])]

    def decode(self, identity: Identity, window: Factors, sliders: Factors | None = None) -> Decoded:
        assert sliders is None
        level = window[GLOW][:, :, None, None] / 50 - 1
        frames = (identity.image + window[TINT][:, :, None, None] + level).clamp(-1, 1)
        return Decoded(frames, torch.ones(len(frames), 1, *frames.shape[2:]))
