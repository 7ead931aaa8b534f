"""Inputs without meaning for methods with small random networks: crops of noise, and a voice of noise."""

import numpy as np

from thgen.face.crop import Square
from thgen.face.finder import FaceCrop
from thgen.methods.base import Factors, Method
from thgen.schema import SAMPLES_PER_FRAME


def noise_crop(seed: int, size: int, points: np.ndarray | None = None) -> FaceCrop:
    """A crop of noise, `size` px, without analysis. points: its keypoints [K 3]; None = all at its centre."""
    image = np.random.default_rng(seed).integers(0, 255, (size, size, 3), dtype=np.uint8)
    square = Square(size / 2, size / 2, size)
    return FaceCrop(image, square, np.zeros((68, 3), np.float32) if points is None else points, None, square)


def noise_voice(method: Method, frames: int) -> Factors:
    """What the method reads of noise that lasts so many frames."""
    samples = np.random.default_rng(0).normal(0, 0.1, SAMPLES_PER_FRAME * frames).astype(np.float32)
    return method.encode_audio(samples, frames)
