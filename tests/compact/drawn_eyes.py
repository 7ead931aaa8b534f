"""Drawn eyes for tests of layers: skin, white almonds with a dark upper rim, irises with a pupil."""

from __future__ import annotations

import cv2
import numpy as np

CENTRES, ROW, HALF, OPEN = (166, 90), 120, 24, 11  # px: eyes of the subject's left and right side; half-axes
RADIUS = 9  # px of the iris
SKIN, WHITE, IRIS, PUPIL, LASHES = (200, 150, 120), (235, 230, 225), (90, 60, 40), (15, 12, 10), (50, 35, 30)


def drawn_eyes(shift: tuple[float, float] = (0, 0), opening: float = OPEN) -> np.ndarray:
    """uint8 [256 256 3] of two eyes whose irises are moved by `shift` px."""
    fine = 4
    crop = np.full((256 * fine, 256 * fine, 3), SKIN, np.uint8)
    for x in CENTRES:
        cv2.ellipse(crop, (x * fine, ROW * fine), (HALF * fine, int(opening * fine)), 0, 180, 360, LASHES, 4 * fine)
        eye = crop.copy()
        cv2.ellipse(eye, (x * fine, ROW * fine), (HALF * fine, int(opening * fine)), 0, 0, 360, WHITE, -1)
        inside = (eye != crop).any(2)
        middle = (round((x + shift[0]) * fine), round((ROW + shift[1]) * fine))
        cv2.circle(eye, middle, RADIUS * fine, IRIS, -1)
        cv2.circle(eye, middle, 3 * fine, PUPIL, -1)
        crop[inside] = eye[inside]
    return cv2.resize(crop, (256, 256), interpolation=cv2.INTER_AREA)


def drawn_keypoints(error: tuple[float, float] = (0, 0)) -> tuple[np.ndarray, list[np.ndarray]]:
    """Keypoints [90 2] in crop coordinates, and the numbers of those on each iris, which are wrong by `error` px."""
    points = np.zeros((90, 2))
    balls = []
    for eye, (start, x) in enumerate(((42, CENTRES[0]), (36, CENTRES[1]))):
        angle = np.pi - np.arange(6) * np.pi / 3
        points[start : start + 6] = np.stack([x + 0.91 * HALF * np.cos(angle), ROW - OPEN * np.sin(angle)], 1)
        points[17 + 5 * (1 - eye) : 22 + 5 * (1 - eye)] = np.stack([np.linspace(x - 22, x + 22, 5), np.full(5, 90)], 1)
        ball = np.arange(70 + 10 * eye, 80 + 10 * eye)
        ring = np.arange(9) * 2 * np.pi / 9
        points[ball[0]] = x, ROW
        points[ball[1:]] = np.stack([x + 1.08 * RADIUS * np.cos(ring), ROW + 1.08 * RADIUS * np.sin(ring)], 1)
        points[ball] += error
        balls.append(ball)
    return points / 128 - 1, balls
