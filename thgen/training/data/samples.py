"""Frames of rendered clips, and how they are augmented before motion encoders get them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import torch
from torch import Tensor

from thgen.analyser.network import to_input
from thgen.audio.mel import mel_spectrogram, mel_windows
from thgen.errors import TrainingError
from thgen.synth.voice.augment import augment
from thgen.training.data.store import ClipStore, colour_jitter

LABELS = ("keypoints", "coefficients", "gaze")
PERSPECTIVE = 0.1  # of the side: the largest displacement of a corner (PC-AVS, PD-FGC)
PERSPECTIVE_SHARE = 0.9  # of the frames that get a perspective (PC-AVS, PD-FGC)
ROTATION = 12.0  # degrees, at most
SCALING = 0.12  # natural logarithm of the scale, at most
JITTER = 0.8  # of colour_jitter's full strength

Warp = Callable[[np.random.Generator, np.ndarray], np.ndarray]  # picture uint8 [S S 3] -> picture of the same size


@dataclass(frozen=True)
class Moments:
    """Some frames of one clip. images uint8 [n S S 3]; keypoints [n K 3]; coefficients [n 57]; gaze [n 2 2]."""

    images: np.ndarray
    keypoints: np.ndarray
    coefficients: np.ndarray
    gaze: np.ndarray


@dataclass(frozen=True)
class Augmentation:
    """How a stage changes whole frames before its motion encoder gets them; their colours change too, see `jittered`.
    Compact stages have one augmentation for all (`encoder.frozen.read_frames`).

    name: of the cached features of frames that are augmented in this way
    warp: change of the pixels of a frame; None = no change
    """

    name: str
    warp: Warp | None


class Clip:
    """Clip `number` of a folder of shards, opened for one row of a batch: a frame is decoded once."""

    def __init__(self, store: ClipStore, number: int) -> None:
        self.store, self.number = store, number
        self._images: dict[int, np.ndarray] = {}
        self._truth: dict[str, np.ndarray] = {}

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.store.clips[self.number].frames)

    def moments(self, frames: list[int]) -> Moments:
        """Pictures and labels of these frames."""
        new = [t for t in dict.fromkeys(frames) if t not in self._images]
        if new:
            images, truth = self.store.load(self.number, new, LABELS)
            self._images |= dict(zip(new, images, strict=True))
            self._truth = self._truth or truth
        return Moments(np.stack([self._images[t] for t in frames]), *(self._truth[name][frames] for name in LABELS))


class Voices:
    """Mel windows of the voices of clips. Spectrograms stay in memory: making one costs more than the rest of a step.

    size: number of spectrograms in memory. spectrogram: samples [L] -> mel [80 M]; cut: mel and a number of video
    frames -> a window for each of them. Both are of one recipe, by default that of `audio.mel`.
    """

    def __init__(
        self,
        size: int = 4096,
        spectrogram: Callable[[np.ndarray], np.ndarray] = mel_spectrogram,
        cut: Callable[[np.ndarray, int], np.ndarray] = mel_windows,
    ) -> None:
        self._make, self._cut = spectrogram, cut
        self._spectrogram = lru_cache(maxsize=size)(self._of_clip)

    def _of_clip(self, store: ClipStore, number: int, version: int) -> np.ndarray:
        samples = store.voice(number)
        if version:
            samples = augment(samples, np.random.default_rng((number, version)))
        return self._make(samples).astype(np.float16)

    def windows(self, clip: Clip, frames: list[int], version: int) -> np.ndarray:
        """Mel windows float32 [n 1 80 F] of frames of a clip, F mel frames each (20 of `audio.mel`). Version 0 is the
        clean voice; each other version has a room, a microphone and a codec of its own."""
        mel = self._spectrogram(clip.store, clip.number, version).astype(np.float32)
        return self._cut(mel, max(frames) + 1)[frames]


def perspective(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """PERSPECTIVE_SHARE of pictures uint8 [S S 3] with their corners moved by up to PERSPECTIVE, as if another camera
    had taken them."""
    if rng.random() > PERSPECTIVE_SHARE:
        return image
    side = image.shape[0]
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    inwards = (0.5 - corners) * 2 * PERSPECTIVE / 2 * rng.random((4, 2)).astype(np.float32)
    matrix = cv2.getPerspectiveTransform((corners + inwards) * side, corners * side)
    return cv2.warpPerspective(image, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def rotate_scale(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Picture uint8 [S S 3], rotated by up to ROTATION and scaled by up to SCALING about its centre."""
    side = image.shape[0]
    angle, scale = rng.uniform(-ROTATION, ROTATION), float(np.exp(rng.uniform(-SCALING, SCALING)))
    matrix = cv2.getRotationMatrix2D((side / 2, side / 2), angle, scale)
    return cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def tensor(images: list[np.ndarray] | np.ndarray) -> Tensor:
    """uint8 pictures [n S S 3] -> [n 3 S S] in [-1, 1]."""
    return to_input(torch.from_numpy(np.stack(list(images))))


def jittered(rng: np.random.Generator, images: Tensor, strength: float = JITTER) -> Tensor:
    """Pictures [n 3 S S] in [-1, 1], each with a random change of its colours."""
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    return colour_jitter(generator, images, strength=strength)[0]


def spaced_frames(rng: np.random.Generator, total: int, count: int, min_gap: int) -> list[int]:
    """`count` of `total` frame numbers in rising order, at least `min_gap` apart, drawn from all such choices.

    In a short clip the gap is the largest possible one. Raises TrainingError for a clip of fewer than `count` frames.
    """
    if total < count:
        raise TrainingError(
            f"A clip has {total} frames, of which {count} are wanted: render longer ones, --motion track --seconds 3."
        )
    gap = max(1, min(min_gap, (total - 1) // max(count - 1, 1)))
    free = total - (count - 1) * gap
    starts = np.sort(rng.choice(free, count, replace=free < count))
    return [min(int(s) + i * gap, total - 1) for i, s in enumerate(starts)]
