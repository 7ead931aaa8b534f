"""Rendered frames with their landmarks, and a drawn face of 68 points for exact geometry."""

from __future__ import annotations

import numpy as np


def drawn_points(opening: float = 0.05, x: float = 0.0, y: float = 0.0, scale: float = 1.0) -> np.ndarray:
    """68 landmarks of a plain frontal face, crop coordinates [68 2]. opening: half the height of the mouth."""
    points = np.zeros((68, 2))
    angle = np.linspace(np.pi, 0, 17)
    points[:17] = np.stack([0.5 * np.cos(angle), -0.05 + 0.6 * np.sin(angle)], 1)  # jaw
    points[17:22] = np.stack([np.linspace(-0.4, -0.12, 5), np.full(5, -0.3)], 1)
    points[22:27] = np.stack([np.linspace(0.12, 0.4, 5), np.full(5, -0.3)], 1)
    points[27:31] = np.stack([np.zeros(4), np.linspace(-0.15, 0.08, 4)], 1)
    points[31:36] = np.stack([np.linspace(-0.08, 0.08, 5), np.full(5, 0.13)], 1)
    ring = np.linspace(0, 2 * np.pi, 7)[:6]
    for first, middle in ((36, -0.25), (42, 0.25)):
        points[first : first + 6] = np.stack([middle - 0.08 * np.cos(ring), -0.15 - 0.03 * np.sin(ring)], 1)
    for first, count, size in ((48, 12, 1.0), (60, 8, 0.6)):
        ring = np.linspace(0, 2 * np.pi, count + 1)[:count]
        points[first : first + count] = np.stack([-0.16 * size * np.cos(ring), 0.27 - opening * size * np.sin(ring)], 1)
    return points * scale + [x, y]


def noise(seed: int, size: int = 128) -> np.ndarray:
    """A picture uint8 [size size 3] of soft noise, which differs everywhere."""
    import cv2

    small = np.random.default_rng(seed).uniform(40, 215, (size // 4, size // 4, 3)).astype(np.float32)
    return cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)
