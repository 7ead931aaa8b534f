"""Smooth random fields for skin and backgrounds."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter


def noise(rng: np.random.Generator, size: int, sigma: float) -> np.ndarray:
    """Smooth noise, float32 [size size], mean 0, variance 1. sigma: grain size, in pixels of an image of side 512."""
    small = max(8, min(size, round(size * 3 / max(sigma, 0.5))))
    field: np.ndarray = rng.standard_normal((small, small)).astype(np.float32)
    if small == size and sigma > 0.6:
        field = gaussian_filter(field, sigma * 0.5)
    field = cv2.resize(field, (size, size), interpolation=cv2.INTER_CUBIC)
    return (field - field.mean()) / (field.std() + 1e-9)
