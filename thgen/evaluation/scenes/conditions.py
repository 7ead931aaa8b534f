"""Flaws of photos, one at a time, to measure how much each costs."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np


def _small(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    height, width = image.shape[:2]
    little = cv2.resize(image, (width // 6, height // 6), interpolation=cv2.INTER_AREA)
    return cv2.resize(little, (width, height), interpolation=cv2.INTER_LINEAR)


def _noise(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.clip(image + rng.normal(0, 25, image.shape), 0, 255).astype(np.uint8)


def _jpeg(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 8])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))


def _dark(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (image * 0.2).astype(np.uint8)


def _grey(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)


def _covered(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A patch of one colour, a third of the side wide and high, with its corner near the middle of the picture."""
    size = image.shape[0]
    x, y = rng.integers(size // 4, size // 2, 2)
    out = image.copy()
    out[y : y + size // 3, x : x + size // 3] = rng.integers(0, 256, 3)
    return out


# Name -> function of a picture uint8 RGB [S S 3] and a random generator to a picture of the same shape.
CONDITIONS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "a sixth of the size": _small,
    "noise of 25 levels": _noise,
    "JPEG quality 8": _jpeg,
    "a fifth of the light": _dark,
    "grey": _grey,
    "a third covered": _covered,
}
