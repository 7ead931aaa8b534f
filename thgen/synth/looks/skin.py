"""Wrinkles, freckles, make-up and drawings, painted into the texture [R R 3] of a face (linear RGB).

luv [68 2]: texture positions of the landmarks, v down.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter


def _lines(size: int, curves: list[np.ndarray], thickness: int, blur: float) -> np.ndarray:
    """Mask [R R] in [0, 1] of polylines of texture positions. thickness, blur: in px."""
    mask = np.zeros((size, size), np.uint8)
    for curve in curves:
        points = np.round(curve * size * 16).astype(np.int32)
        cv2.polylines(mask, [points], False, 255, thickness, cv2.LINE_AA, 4)
    return gaussian_filter(mask.astype(np.float32) / 255, blur)


def wrinkles(rng: np.random.Generator, image: np.ndarray, luv: np.ndarray) -> np.ndarray:
    """Crow's feet, lines on the forehead and between the brows, bags under the eyes, folds around the mouth."""
    depth = rng.uniform(0.1, 0.5)
    jitter = lambda n: rng.normal(0, 0.0015, (n, 2))  # noqa: E731
    curves = []
    for corner, inner in ((36, 39), (45, 42)):
        out = (luv[corner] - luv[inner]) / np.linalg.norm(luv[corner] - luv[inner])
        for angle in np.linspace(-0.6, 0.7, int(rng.integers(2, 6))):
            ray = np.array([out[0], angle * 0.9])
            curves.append(luv[corner] + np.linspace(0.008, rng.uniform(0.025, 0.05), 4)[:, None] * ray + jitter(4))
    for lift in np.linspace(0.04, 0.1, int(rng.integers(2, 6))):
        curves.append(luv[18:26] - np.array([0, lift]) + jitter(8))
    for shift in (-0.008, 0.008):
        curves.append(luv[27] + np.array([shift, 0]) + np.linspace(-0.045, 0, 4)[:, None] * [0, 1] + jitter(4))
    for lid in ((36, 41, 40, 39), (42, 47, 46, 45)):
        curves.append(luv[list(lid)] + np.array([0, 0.02]) + jitter(4))
        curves.append(luv[list(lid)] + np.array([0, 0.03]) + jitter(4))
    for mouth, nose in ((48, 31), (54, 35)):
        curves.append(np.stack([luv[nose], (luv[nose] + luv[mouth]) / 2 + (luv[mouth] - luv[51]) * 0.2, luv[mouth]]))
        curves.append(np.stack([luv[mouth], luv[mouth] + [0, 0.03], luv[mouth] + [0, 0.06]]) + jitter(3))
    fine = _lines(image.shape[0], curves, 1, rng.uniform(0.7, 1.4))
    soft = _lines(image.shape[0], curves, 2, 3.0)
    return image * (1 - depth * np.clip(1.2 * fine + 0.5 * soft, 0, 1))[..., None]


def freckles(rng: np.random.Generator, image: np.ndarray, luv: np.ndarray) -> np.ndarray:
    """Many small brown spots over nose and cheeks."""
    size = image.shape[0]
    mask = np.zeros((size, size), np.float32)
    spread = np.array([0.13, 0.05])
    for _ in range(int(rng.integers(60, 400))):
        x, y = luv[29] + rng.standard_normal(2) * spread
        cv2.circle(mask, (int(x * size), int(y * size)), int(rng.integers(0, 2)), float(rng.uniform(0.2, 1)), -1)
    spots = gaussian_filter(mask, 0.6)[..., None] * rng.uniform(0.2, 0.6)
    return image * (1 - spots * np.array([0.5, 0.8, 1.0], np.float32))


def makeup(rng: np.random.Generator, image: np.ndarray, luv: np.ndarray) -> np.ndarray:
    """Colour on the upper lids."""
    size = image.shape[0]
    shadow = rng.uniform(0.05, 0.8, 3)
    mask = np.zeros((size, size), np.uint8)
    for lid, brow in (((36, 37, 38, 39), (18, 19, 20, 21)), ((42, 43, 44, 45), (22, 23, 24, 25))):
        top = luv[list(lid)] + rng.uniform(0.3, 0.8) * (luv[list(brow)] - luv[list(lid)])
        shape = np.concatenate([luv[list(lid)], top[::-1]])
        cv2.fillPoly(mask, [np.round(shape * size * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    cover = gaussian_filter(mask.astype(np.float32) / 255, 3.0)[..., None] * rng.uniform(0.2, 0.8)
    return image * (1 - cover) + cover * shadow * image.mean() * 1.6


def drawing(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """A tattoo, face paint or a scar: a few strokes or patches of one colour at a random place."""
    size = image.shape[0]
    mask = np.zeros((size, size), np.uint8)
    at = rng.uniform(0.25, 0.75, 2)
    for _ in range(int(rng.integers(1, 6))):
        walk = at + np.cumsum(rng.normal(0, 0.02, (int(rng.integers(3, 9)), 2)), 0)
        points = np.round(walk * size * 16).astype(np.int32)
        if rng.random() < 0.3:
            cv2.fillPoly(mask, [points], 255, cv2.LINE_AA, 4)
        else:
            cv2.polylines(mask, [points], False, 255, int(rng.integers(1, 7)), cv2.LINE_AA, 4)
    cover = gaussian_filter(mask.astype(np.float32) / 255, 0.8)[..., None] * rng.uniform(0.3, 0.95)
    return image * (1 - cover) + cover * rng.uniform(0.02, 0.9, 3)


def skin_details(rng: np.random.Generator, image: np.ndarray, luv: np.ndarray) -> np.ndarray:
    """Each of the functions above with its own probability. image [R R 3] -> the same, in [0.01, 1]."""
    if rng.random() < 0.3:
        image = wrinkles(rng, image, luv)
    if rng.random() < 0.15:
        image = freckles(rng, image, luv)
    if rng.random() < 0.2:
        image = makeup(rng, image, luv)
    if rng.random() < 0.07:
        image = drawing(rng, image)
    return np.clip(image, 0.01, 1)
