"""Random backgrounds: gradients, shapes, rooms, foliage, lamps, people and writing."""

from __future__ import annotations

import cv2
import numpy as np

from thgen.synth.looks.noise import noise

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 "


def paint_background(rng: np.random.Generator, size: int = 384) -> np.ndarray:
    """A random background, float32 [size size 3], linear RGB in [0, 1]."""
    saturation = rng.beta(1, 2.5)
    top, bottom = (c.mean() + saturation * (c - c.mean()) for c in rng.uniform(0.02, 0.9, (2, 3)))
    if rng.random() < 0.5:
        bottom = top * rng.uniform(0.6, 1.4)
    ramp = np.linspace(0, 1, size, dtype=np.float32)[:, None, None]
    image = (top * (1 - ramp) + bottom * ramp + np.zeros((size, size, 3))).astype(np.float32)
    for _ in range(int(rng.integers(0, 14))):
        shade = rng.normal(0, 0.25) + saturation * rng.normal(0, 0.2, 3)
        colour = tuple(float(c) for c in np.clip(image.mean((0, 1)) + shade, 0, 1))
        x, y = rng.integers(0, size, 2)
        w, h = rng.integers(4, size // 2, 2)
        if rng.random() < 0.5:
            cv2.rectangle(image, (int(x), int(y)), (int(x + w), int(y + h)), colour, -1)
        elif rng.random() < 0.5:
            cv2.ellipse(image, (int(x), int(y)), (int(w), int(h)), float(rng.uniform(0, 180)), 0, 360, colour, -1)
        else:
            cv2.line(
                image,
                (int(x), int(y)),
                (int(x + 2 * w - size // 2), int(y + 2 * h - size // 2)),
                colour,
                int(rng.integers(1, 12)),
            )
    kind = rng.random()
    if kind < 0.25:
        image = _room(rng, image)
    elif kind < 0.45:
        image = _foliage(rng, image, saturation)
    if rng.random() < 0.12:
        image = _people(rng, image)
    if rng.random() < 0.12:
        image = _words(rng, image)
    if rng.random() < 0.6:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.5, 14)))
    if rng.random() < 0.15:
        image = _lamps(rng, image)
    for grain in (60, 14, 3):
        image += (
            rng.uniform(0, 0.05)
            * rng.random()
            * noise(rng, size, grain)[..., None]
            * rng.uniform(0.3, 1, 3).astype(np.float32)
        )
    return np.clip(image, 0, 1)


def _room(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Shelves, frames or windows: rows of upright boxes on the wall, with a dark line below each row."""
    size = len(image)
    for shelf in range(int(rng.integers(1, 5))):
        y, height, x = int(rng.uniform(0, 0.9) * size), int(rng.uniform(0.06, 0.3) * size), 0
        while x < size:
            width = int(rng.uniform(0.02, 0.2) * size) + 2
            if rng.random() < 0.8:
                colour = tuple(float(c) for c in np.clip(rng.uniform(0, 0.8) * rng.uniform(0.3, 1, 3), 0, 1))
                top = y + int(rng.uniform(0, 0.4) * height) * (shelf % 2)
                cv2.rectangle(image, (x, top), (x + width - 2, y + height), colour, -1)
            x += width
        cv2.line(image, (0, y + height), (size, y + height), (0.1, 0.08, 0.07), int(rng.integers(1, 6)))
    return image


def _foliage(rng: np.random.Generator, image: np.ndarray, saturation: float) -> np.ndarray:
    """Noise with structure at several scales, like that of leaves, rocks and crowds."""
    size = len(image)
    scales = ((90, 1.0), (35, 0.8), (12, 0.6), (4, 0.4))
    field = np.sum([noise(rng, size, grain) * weight for grain, weight in scales], 0)
    tint = np.array([0.6, 1.0, 0.5]) if rng.random() < 0.5 else rng.uniform(0.4, 1, 3)
    tint = tint * saturation + (1 - saturation) * tint.mean()
    return np.clip(image * (1 + rng.uniform(0.2, 0.6) * field[..., None] * tint), 0, 1).astype(np.float32)


def _lamps(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Lamps out of focus: discs of light."""
    glow = np.zeros_like(image)
    radius = int(rng.integers(4, 26))
    for _ in range(int(rng.integers(3, 25))):
        place = tuple(int(v) for v in rng.integers(0, len(image), 2))
        colour = tuple(float(c) for c in rng.uniform(0.1, 0.8) * rng.uniform(0.4, 1, 3))
        disc = np.zeros_like(image)
        cv2.circle(disc, place, radius, colour, -1, cv2.LINE_AA)
        glow += disc
    return np.clip(image + glow, 0, 1)


def _people(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """People without faces: heads on shoulders."""
    size = len(image)
    for _ in range(int(rng.integers(1, 5))):
        x, y, r = (int(v * size) for v in (rng.uniform(0, 1), rng.uniform(0.2, 0.8), rng.uniform(0.04, 0.16)))
        skin = np.array([0.8, 0.58, 0.45]) * rng.uniform(0.15, 1)
        cloth, hair = rng.uniform(0.02, 0.8, 3), rng.uniform(0.01, 0.3) * np.array([1, 0.8, 0.6])
        cv2.ellipse(image, (x, y + 3 * r), (2 * r, 2 * r), 0, 180, 360, tuple(map(float, cloth)), -1, cv2.LINE_AA)
        cv2.rectangle(image, (x - 2 * r, y + 3 * r), (x + 2 * r, size), tuple(map(float, cloth)), -1)
        cv2.ellipse(image, (x, y - r // 4), (r, int(1.3 * r)), 0, 0, 360, tuple(map(float, hair)), -1, cv2.LINE_AA)
        cv2.ellipse(image, (x, y), (int(0.8 * r), int(1.1 * r)), 0, 0, 360, tuple(map(float, skin)), -1, cv2.LINE_AA)
    return image


def _words(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Lines of random letters, as on signs, posters and slides."""
    size = len(image)
    mask, scale = np.zeros((size, size), np.uint8), float(rng.uniform(0.4, 2.5))
    x, y = int(rng.uniform(-0.2, 0.6) * size), int(rng.uniform(0, 0.8) * size)
    for _ in range(int(rng.integers(1, 8))):
        text = "".join(rng.choice(list(LETTERS), int(rng.integers(3, 24))))
        cv2.putText(mask, text, (x, y), int(rng.integers(0, 5)), scale, 255, int(rng.integers(1, 5)), cv2.LINE_AA)
        y += int(36 * scale)
    cover = mask[..., None].astype(np.float32) / 255
    return image * (1 - cover) + cover * rng.uniform(0, 1, 3).astype(np.float32)
