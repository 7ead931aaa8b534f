"""Frames of rendered clips as the papers' encoders see them, and the augmentation of their motion branches."""

from __future__ import annotations

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
PERSPECTIVE, OFTEN = 0.1, 0.9  # of the side, by which corners move at most; share of the frames (PC-AVS, PD-FGC)
ROTATION, SCALING = 12.0, 0.12  # degrees, natural logarithm: at most
JITTER = 0.8  # of colour_jitter's full strength


@dataclass(frozen=True)
class Moments:
    """Some frames of one clip. images uint8 [n S S 3]; keypoints [n K 3]; coefficients [n 57]; gaze [n 2 2]."""

    images: np.ndarray
    keypoints: np.ndarray
    coefficients: np.ndarray
    gaze: np.ndarray


def moments(store: ClipStore, number: int, frames: list[int]) -> Moments:
    """Frames of clip `number`."""
    images, truth = store.load(number, frames, LABELS)
    return Moments(images, *(truth[name][frames] for name in LABELS))


def joined(found: list[Moments], frame: int) -> Moments:
    """One frame of each."""
    parts = (np.stack([getattr(m, name)[frame] for m in found]) for name in ("images", *LABELS))
    return Moments(*parts)


class Voices:
    """Mel windows of clips' voices; spectrograms are kept, as making one takes longer than all else of a step."""

    def __init__(self, kept: int = 4096) -> None:
        self._spectrogram = lru_cache(maxsize=kept)(self._make)

    @staticmethod
    def _make(store: ClipStore, number: int, version: int) -> np.ndarray:
        samples = store.voice(number)
        if version:
            samples = augment(samples, np.random.default_rng((number, version)))
        return mel_spectrogram(samples).astype(np.float16)

    def windows(self, store: ClipStore, number: int, frames: list[int], version: int) -> np.ndarray:
        """Mel windows float32 [n 1 80 20] of frames of a clip. version 0 is clean, others are recorded elsewhere."""
        mel = self._spectrogram(store, number, version).astype(np.float32)
        return mel_windows(mel, max(frames) + 1)[frames]


def perspective(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Corners moved inwards by up to PERSPECTIVE of the side, as a camera beside the first would see it."""
    if rng.random() > OFTEN:
        return image
    side = image.shape[0]
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    inwards = (0.5 - corners) * 2 * PERSPECTIVE / 2 * rng.random((4, 2)).astype(np.float32)
    matrix = cv2.getPerspectiveTransform((corners + inwards) * side, corners * side)
    return cv2.warpPerspective(image, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def turned(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Rotated and scaled about the middle, at random."""
    side = image.shape[0]
    angle, scale = rng.uniform(-ROTATION, ROTATION), float(np.exp(rng.uniform(-SCALING, SCALING)))
    matrix = cv2.getRotationMatrix2D((side / 2, side / 2), angle, scale)
    return cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def tensor(images: list[np.ndarray] | np.ndarray) -> Tensor:
    """uint8 pictures [n S S 3] -> [n 3 S S] in [-1, 1]."""
    return to_input(torch.from_numpy(np.stack(list(images))))


def jittered(rng: np.random.Generator, images: Tensor, strength: float = JITTER) -> Tensor:
    """Each of [n 3 S S] in other colours."""
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    return colour_jitter(generator, images, strength=strength)[0]


def apart(rng: np.random.Generator, frames: int, count: int, least: int) -> list[int]:
    """`count` of `frames` moments in order, each at least `least` frames from the next, evenly likely where they can
    be; a clip too short for that gives neighbours. Raises TrainingError where it has fewer frames than that."""
    if frames < count:
        raise TrainingError(
            f"A clip has {frames} frames, of which {count} are wanted: render longer ones, --motion track --seconds 3."
        )
    least = max(1, min(least, (frames - 1) // max(count - 1, 1)))
    free = frames - (count - 1) * least
    starts = np.sort(rng.choice(free, count, replace=free < count))
    return [min(int(s) + i * least, frames - 1) for i, s in enumerate(starts)]
