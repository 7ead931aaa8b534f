"""A small real method and face finder, so that the path is tested without weights.

The method moves pixels in ways that can be measured from outside: the mouth is a black ellipse as tall as `jawOpen`,
the head's yaw shifts the picture by one pixel per degree, closed lids darken a bar. The finder takes the middle of any
picture for a face, unless the picture is flat.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np
import torch

from thgen.errors import FaceError
from thgen.face.crop import Square, sample_square
from thgen.face.finder import Face, FaceCrop, Upright
from thgen.methods import METHODS
from thgen.methods.base import Decoded, Factors, Identity, Method
from thgen.pipeline import Session
from thgen.schema import FACTORS, LIP_COEFFICIENTS, SAMPLES_PER_FRAME
from thgen.weights.hub import Networks

JAW = LIP_COEFFICIENTS.index("jawOpen")


class FakeMethod(Method):
    declaration = METHODS["rig"]  # what a request asks for that says nothing else

    def __init__(self) -> None:
        self.windows: list[int] = []  # frames of every call of decode
        self.photos = 0

    @classmethod
    def load(cls, networks: Networks) -> FakeMethod:
        return cls()

    def encode_photos(self, crops: Sequence[FaceCrop]) -> Identity:
        self.photos += 1
        crop = crops[0].image
        own = {name: torch.zeros(1, factor.size) for name, factor in FACTORS.items()}
        own["blink"] += 100
        return Identity(torch.from_numpy(crop.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1, own, {})

    def encode_audio(self, samples: np.ndarray, frames: int) -> Factors:
        """The jaw is as open as the frame is loud."""
        padded = np.pad(samples, (0, max(0, frames * SAMPLES_PER_FRAME - samples.size)))[: frames * SAMPLES_PER_FRAME]
        loud = np.sqrt((padded.reshape(frames, -1) ** 2).mean(axis=1))
        lips = torch.zeros(frames, len(LIP_COEFFICIENTS))
        lips[:, JAW] = torch.from_numpy(loud)
        return {"lip": lips}

    def encode_clip(self, crops: Iterable[FaceCrop]) -> Factors:
        """Yaw is the brightness of the crop, in half degrees; nothing else moves."""
        levels = torch.tensor([float(c.image.mean()) / 2 for c in crops])
        factors = {name: torch.zeros(len(levels), factor.size) for name, factor in FACTORS.items()}
        factors["pose"][:, 0] = levels
        factors["blink"] += 100
        return factors

    def decode(self, identity: Identity, window: Factors, sliders: Factors | None = None) -> Decoded:
        frames, mask = [], torch.zeros(len(window["lip"]), 1, *identity.image.shape[2:])
        size = identity.image.shape[-1]
        for lip, pose, blink in zip(window["lip"], window["pose"], window["blink"], strict=True):
            image = identity.image[0].permute(1, 2, 0).numpy().copy()
            image = np.roll(image, round(float(pose[0])), axis=1)
            height = round(float(lip[JAW]) * size * 0.3)
            if height:
                cv2.ellipse(image, (size // 2, size * 5 // 8), (size // 6, height), 0, 0, 360, (-1, -1, -1), -1)
            image[size * 5 // 16 : size * 6 // 16] = -1 + (image[size * 5 // 16 : size * 6 // 16] + 1) * float(
                blink[0] / 100
            )
            frames.append(torch.from_numpy(image).permute(2, 0, 1))
        mask[:, :, size // 8 : -size // 8, size // 8 : -size // 8] = 1
        self.windows.append(len(frames))
        return Decoded(torch.stack(frames), mask)


class FakeFinder:
    def upright(self, photo: np.ndarray) -> Upright:
        return Upright(photo, 0, ())

    def crop(self, photo: np.ndarray, index: int = 0, size: int = 512, faces: Sequence[Face] = ()) -> FaceCrop:
        if photo.std() < 1:
            raise FaceError("No human face was found in the photo.")
        if index:
            raise FaceError("There is only one face in the photo.")
        return self._cut(photo, size)

    def track(self, frames: Iterable[np.ndarray], size: int = 256) -> Iterator[FaceCrop | None]:
        for frame in frames:
            yield self._cut(frame, size) if frame.mean() > 10 else None

    def _cut(self, photo: np.ndarray, size: int) -> FaceCrop:
        height, width = photo.shape[:2]
        square = Square(width / 2, height / 2, min(width, height) * 0.8)
        image = sample_square(photo, square, size)
        return FaceCrop(image, square, np.zeros((70, 3), np.float32), None, square)  # type: ignore[arg-type]


class FakeSession(Session):
    """A session with both, and weights that say what they are."""

    def __init__(self) -> None:
        super().__init__(FakeMethod(), FakeFinder())  # type: ignore[arg-type]

    def weights(self) -> list[dict]:
        return [{"name": "fake", "sha256": "0123456789abcdef", "text": "fake (made for the tests)"}]


def photo(width: int = 200, height: int = 160) -> np.ndarray:
    """uint8 [H W 3]: smooth and bright, so that black ellipses show and H.264 keeps it."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([120 + 100 * x / width, 120 + 100 * y / height, 200 + 0 * x], axis=-1).astype(np.uint8)


def voice(loud: Iterable[tuple[float, float]], seconds: float) -> np.ndarray:
    """float32 [L] at 16 kHz: a tone during each (start, stop) in seconds, silence between."""
    time = np.arange(int(seconds * 16_000)) / 16_000
    tone = 0.9 * np.sin(2 * np.pi * 200 * time)
    return (tone * sum((time >= a) & (time < b) for a, b in loud)).astype(np.float32)
