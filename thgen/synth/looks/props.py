"""Objects in front of a face, in cm: a hand, a microphone. They consist of capsules."""

from __future__ import annotations

import numpy as np

from thgen.synth.head import facekit as fk
from thgen.synth.looks.hair import Piece, grid_faces

FINGER = 0.72  # cm: radius of a finger
CONTACTS = (3, 4, 5, 6, 8, 10, 11, 12, 13, 33, 48, 54, 57)  # landmarks at which a hand may rest


def capsule(start: np.ndarray, end: np.ndarray, radius: float, rows: int = 12, columns: int = 14) -> np.ndarray:
    """Vertices [rows*columns 3] of a capsule from start [3] to end [3]. Faces: grid_faces(rows, columns, True)."""
    axis = end - start
    length = float(np.linalg.norm(axis)) + 1e-6
    axis = axis / length
    aside = np.cross(axis, [0.3, 0.2, 1.0])
    aside /= np.linalg.norm(aside)
    other = np.cross(axis, aside)
    down = np.linspace(0.02, np.pi - 0.02, rows)[:, None]
    around = np.linspace(0, 2 * np.pi, columns, endpoint=False)[None]
    along = np.where(down < np.pi / 2, 0, length) - radius * np.cos(down) + 0 * around
    out = radius * np.sin(down)
    return (
        start
        + along[..., None] * axis
        + (out * np.cos(around))[..., None] * aside
        + (out * np.sin(around))[..., None] * other
    ).reshape(-1, 3)


def _piece(vertices: list[np.ndarray], colour: np.ndarray, gloss: float, part: int, follow: float) -> Piece:
    """One piece of several capsules, of one colour."""
    count = len(vertices[0])
    faces = np.concatenate([grid_faces(12, 14, True) + i * count for i in range(len(vertices))])
    points = np.concatenate(vertices).astype(np.float32)
    tint = np.broadcast_to(colour, points.shape).astype(np.float32)
    return Piece(points, faces.astype(np.int32), tint, gloss, part, True, follow)


def hand(rng: np.random.Generator, landmarks: np.ndarray, skin: np.ndarray) -> Piece:
    """A hand at the jaw, chin or cheek with the fingers up. It moves with the head, or does not move at all."""
    contact = landmarks[int(rng.choice(CONTACTS))] + np.array([0, 0, rng.uniform(0.9, 2.5)])
    side = np.sign(contact[0]) or float(rng.choice([-1, 1]))
    lean = rng.uniform(-0.7, 0.5) * side
    up = np.array([lean, 1.0, rng.uniform(-0.1, 0.35)])
    up /= np.linalg.norm(up)
    across = np.cross(up, [0, 0, 1.0])
    across /= np.linalg.norm(across)
    size = rng.uniform(0.85, 1.15)
    vertices = []
    for finger in range(4):
        base = contact + size * ((finger - 1.5) * 1.65 * across - 1.0 * up)
        length = size * (6.5 - 1.1 * abs(finger - 1.4)) * rng.uniform(0.4, 1.0)  # a bent finger looks shorter
        spread = up + rng.uniform(-0.06, 0.1) * (finger - 1.5) * across
        vertices.append(capsule(base, base + length * spread, FINGER * size))
        vertices.append(capsule(base, base - size * 7.5 * up - 0.4 * (finger - 1.5) * across, 1.15 * size))
    thumb = contact - size * (side * 3.0 * across + 4.0 * up)
    vertices.append(capsule(thumb, thumb + size * 4.5 * (0.8 * up - side * 0.5 * across), 0.85 * size))
    colour = np.clip(skin * rng.uniform(0.85, 1.1) * np.array([1, *rng.uniform(0.93, 1.03, 2)]), 0.02, 1)
    return _piece(vertices, colour, float(rng.uniform(0.02, 0.1)), fk.WEAR, float(rng.random() < 0.7))


def microphone(rng: np.random.Generator, landmarks: np.ndarray) -> Piece:
    """A microphone below the mouth: a ball on a stick. It does not move."""
    mouth = landmarks[48:68].mean(0)
    ball = mouth + np.array([rng.uniform(-5, 5), rng.uniform(-8, -2.5), rng.uniform(4, 9)])
    towards = np.array([rng.uniform(-0.6, 0.6), -1.0, rng.uniform(0, 0.8)])
    radius = rng.uniform(1.3, 2.6)
    vertices = [capsule(ball, ball + 0.3 * radius * towards, radius)]
    vertices.append(capsule(ball, ball + 25 * towards, rng.uniform(0.5, 0.75) * radius))
    return _piece(vertices, np.full(3, rng.uniform(0.01, 0.35)), float(rng.uniform(0.05, 0.6)), fk.BODY, 0.0)


def sample_props(rng: np.random.Generator, landmarks: np.ndarray, skin: np.ndarray) -> list[Piece]:
    """A hand, a microphone, or usually nothing. landmarks [68 3] of the neutral head; skin: colour [3]."""
    draw = rng.random()
    if draw < 0.06:
        return [hand(rng, landmarks, skin)]
    return [microphone(rng, landmarks)] if draw < 0.11 else []
