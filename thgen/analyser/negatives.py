"""Pictures that the analyser must not take for a human face: photos without people, drawn animals, clutter.

They are drawn or come with scikit-image. None shows a real person.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import ArrayLike

from thgen.errors import AssetError
from thgen.synth.looks.background import paint_background
from thgen.synth.looks.noise import noise

SIZE = 160  # px of drawn negatives
PHOTOS = ("chelsea", "coffee", "rocket", "coins", "page", "text", "brick", "grass", "gravel", "moon", "clock")


def photos_without_people() -> list[np.ndarray]:
    """PHOTOS of scikit-image, which show no person but a cat, uint8 RGB [H W 3].

    Raises AssetError if one cannot be read: with fewer photos, a seed would draw others.
    """
    from skimage import data
    from skimage.color import gray2rgb

    out = []
    for name in PHOTOS:
        try:
            image = getattr(data, name)()
        except Exception as error:  # whatever scikit-image's loaders raise
            raise AssetError(f"scikit-image has no picture {name!r} here: install its wheel again.") from error
        out.append(np.ascontiguousarray(image[..., :3] if image.ndim == 3 else gray2rgb(image)).astype(np.uint8))
    return out


def _ellipse(image: np.ndarray, place: ArrayLike, radii: ArrayLike, colour, angle: float = 0.0) -> None:
    """Draw a filled ellipse into `image`. place: x and y of its centre, px, not rounded; colour: grey or RGB in [0, 1];
    angle in degrees."""
    centre = tuple(np.round(np.asarray(place) * 16).astype(int).tolist())
    axes = tuple(np.maximum(1, np.round(np.asarray(radii) * 16)).astype(int).tolist())
    tone = tuple(float(c) for c in np.atleast_1d(colour) * np.ones(3))
    cv2.ellipse(image, centre, axes, angle, 0, 360, tone, -1, cv2.LINE_AA, 4)


def _fur(rng: np.random.Generator, image: np.ndarray, mask: np.ndarray, strength: float) -> None:
    """Draw streaks like hair into `image` [S S 3] where `mask` [S S] is 1."""
    grain = noise(rng, SIZE, 1.2)
    angle, length = rng.uniform(0, math.pi), int(rng.integers(3, 11))
    kernel = np.zeros((length, length), np.float32)
    centre = (length - 1) / 2
    for t in np.linspace(-centre, centre, 3 * length):
        kernel[round(centre + t * math.sin(angle)), round(centre + t * math.cos(angle))] = 1
    streaks = cv2.filter2D(grain, -1, kernel / kernel.sum())
    image *= 1 + strength * (streaks / (streaks.std() + 1e-6) * mask)[..., None]


def _ears(rng: np.random.Generator, head: np.ndarray, centre: np.ndarray, size: np.ndarray, colour: np.ndarray) -> None:
    """Draw two ears, hanging or pointed, into `head` [S S 3]."""
    hanging = rng.random() < 0.5
    for side in (-1, 1):
        if hanging:
            place = centre + np.array([side * size[0] * 0.95, -5])
            _ellipse(head, place, (13 + 8 * rng.random(), 34 + 14 * rng.random()), colour, -side * 12)
        else:
            tip = centre + np.array([side * size[0] * 0.8, -size[1] * rng.uniform(1.1, 1.5)])
            base = [centre + np.array([side * size[0] * k, -size[1] * 0.5]) for k in (0.25, 0.98)]
            tone = tuple(float(v) for v in colour)
            cv2.fillPoly(head, [np.array([tip, *base], np.int32)], tone, cv2.LINE_AA)


def _features(rng: np.random.Generator, head: np.ndarray, centre: np.ndarray, size: np.ndarray, muzzle) -> None:
    """Draw dark eyes with a highlight, a nose, and a mouth of two bows into `head` [S S 3]."""
    dark = rng.uniform(0.0, 0.12)
    for side in (-1, 1):
        eye = centre + np.array([side * size[0] * rng.uniform(0.36, 0.46), -size[1] * rng.uniform(0.05, 0.25)])
        radius = rng.uniform(4.5, 8.5)
        if rng.random() < 0.3:
            _ellipse(head, eye, (radius * 1.3, radius * 1.1), np.array([0.7, 0.6, 0.2]) * rng.uniform(0.5, 1.2))
        _ellipse(head, eye, (radius, radius * rng.uniform(0.8, 1.1)), dark)
        _ellipse(head, eye - np.array([1.5, 2]), (1.3, 1.3), 0.9)
    nose = muzzle + np.array([0, -size[1] * rng.uniform(0.08, 0.28)])
    pink = rng.random() < 0.2
    _ellipse(head, nose, (rng.uniform(6, 15), rng.uniform(4, 11)), (0.6, 0.35, 0.35) if pink else dark)
    lip = muzzle + np.array([0, size[1] * 0.15])
    cv2.line(head, tuple(nose.astype(int).tolist()), tuple(lip.astype(int).tolist()), (dark,) * 3, 1, cv2.LINE_AA)
    for side in (-1, 1):
        bow = (int(lip[0] + side * 9), int(lip[1]))
        cv2.ellipse(head, bow, (9, 6), 0, 0, 180, (dark,) * 3, int(rng.integers(1, 3)), cv2.LINE_AA)


def animal(rng: np.random.Generator) -> np.ndarray:
    """A drawn face of an animal with fur, ears and a muzzle, uint8 RGB [160 160 3]."""
    image = paint_background(rng, SIZE)
    fur = np.array([0.75, 0.55, 0.35]) * rng.uniform(0.15, 1.3) * (1 + 0.15 * rng.standard_normal(3))
    if rng.random() < 0.3:
        fur = np.ones(3) * rng.uniform(0.05, 0.95)
    second = np.clip(fur * rng.uniform(0.5, 1.9), 0, 1)
    centre = SIZE / 2 + rng.normal(0, 4, 2)
    size = np.array([rng.uniform(42, 62), rng.uniform(46, 66)])
    head = image.copy()
    _ears(rng, head, centre, size, second)
    _ellipse(head, centre, size, fur)
    if rng.random() < 0.6:  # a blaze down the brow
        _ellipse(head, centre - np.array([0, size[1] * 0.3]), size * (0.25, 0.6), second)
    muzzle = centre + np.array([0, size[1] * rng.uniform(0.25, 0.5)])
    _ellipse(head, muzzle, size * (rng.uniform(0.35, 0.6), rng.uniform(0.3, 0.5)), np.clip(second * 1.1, 0, 1))
    mask = (np.abs(head - image).max(2) > 0.02).astype(np.float32)
    _fur(rng, head, cv2.GaussianBlur(mask, (0, 0), 1.5), rng.uniform(0.05, 0.3))
    _features(rng, head, centre, size, muzzle)
    light = np.linspace(rng.uniform(0.6, 1.2), rng.uniform(0.6, 1.2), SIZE)[None, :, None]
    return (np.clip(head * light, 0, 1) * 255).astype(np.uint8)


def clutter(rng: np.random.Generator) -> np.ndarray:
    """Folds, strokes and blobs without any face, uint8 RGB [160 160 3]."""
    image = paint_background(rng, SIZE)
    tone = rng.uniform(0.1, 0.9, 3)
    for _ in range(int(rng.integers(5, 40))):
        start = rng.uniform(0, SIZE, 2)
        bend = np.cumsum(rng.normal(0, 12, (4, 2)), 0) + start
        shade = np.clip(tone + rng.normal(0, 0.2) + rng.normal(0, 0.05, 3), 0, 1)
        colour = tuple(float(v) for v in shade)
        cv2.polylines(image, [bend.astype(np.int32)], False, colour, int(rng.integers(1, 18)), cv2.LINE_AA)
    for _ in range(int(rng.integers(0, 8))):
        _ellipse(image, rng.uniform(0, SIZE, 2), rng.uniform(2, 25, 2), rng.uniform(0, 1, 3), rng.uniform(0, 180))
    if rng.random() < 0.7:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.5, 4)))
    folds = np.sin(noise(rng, SIZE, 80) * rng.uniform(1, 6) + rng.uniform(0, 6))
    image *= 1 + rng.uniform(0, 0.4) * folds[..., None]
    return (np.clip(image, 0, 1) * 255).astype(np.uint8)
