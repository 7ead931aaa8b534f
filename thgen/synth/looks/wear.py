"""Things worn on the head: glasses, hats, scarves, earrings. They move with the head."""

from __future__ import annotations

import numpy as np

from thgen.synth.head import facekit as fk
from thgen.synth.looks.hair import CENTRE, Piece, cap, curtain, grid_faces

RIGHT_EYE, LEFT_EYE = slice(36, 42), slice(42, 48)  # landmarks


def _flat(vertices: np.ndarray, faces: np.ndarray, colour: np.ndarray, gloss: float) -> Piece:
    """A piece of one colour [3]."""
    tint = np.broadcast_to(np.asarray(colour, np.float32), vertices.shape).copy()
    return Piece(vertices.astype(np.float32), faces.astype(np.int32), tint, gloss, fk.WEAR)


def _strip(points: np.ndarray, offset: np.ndarray, colour: np.ndarray, closed: bool = False) -> Piece:
    """The band between a polyline [n 3] and the same line moved by `offset` [3] or [n 3]."""
    vertices = np.concatenate([points, points + offset])
    return _flat(vertices, grid_faces(2, len(points), closed), colour, 0.5)


def glasses(rng: np.random.Generator, landmarks: np.ndarray) -> list[Piece]:
    """Glasses for landmarks [68 3]: rims, a bridge, temples to the ears; in a few cases dark lenses."""
    colour = rng.uniform(0.01, 0.12, 3) if rng.random() < 0.7 else rng.uniform(0.05, 0.8, 3)
    width, height = rng.uniform(2.2, 3.0), rng.uniform(1.5, 2.4)
    square, thick = rng.uniform(2, 5), rng.uniform(0.1, 0.5)
    plane = landmarks[36:48, 2].max() + rng.uniform(0.9, 1.6)
    drop = rng.uniform(-0.5, 0.2)
    angle = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    power = 2 / square
    shape = np.stack([
        np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** power,
        np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** power,
    ], 1)  # fmt: skip
    pieces, inner_ends = [], []
    dark = rng.random() < 0.06
    for eye in (RIGHT_EYE, LEFT_EYE):
        centre = landmarks[eye].mean(0)
        centre = np.array([centre[0] * 1.04, centre[1] + drop, plane])
        outward = np.sign(centre[0])
        rim = np.zeros((36, 3))
        rim[:, :2] = shape * [width, height]
        rim[:, 2] = -0.12 * np.maximum(0, rim[:, 0] * outward) ** 2 / width  # the sides bend back
        rim = rim + centre
        pieces.append(_strip(rim, (rim - centre) * (thick / width), colour, closed=True))
        pieces.append(_strip(rim, np.array([0, 0, -0.35]), colour * 0.7, closed=True))
        if dark:
            fan = np.concatenate([centre[None], rim])
            n = np.arange(36)
            faces = np.stack([0 * n, 1 + n, 1 + (n + 1) % 36], 1)
            pieces.append(_flat(fan, faces, np.full(3, rng.uniform(0.01, 0.08)), 1.2))
        side = centre + np.array([outward * (width + thick), 0.5, -0.15 * width])
        ear = np.array(
            [outward * np.abs(landmarks[[0, 16], 0]).mean() * 1.06, side[1] + 0.3, landmarks[[0, 16], 2].mean()]
        )
        line = side + (ear - side) * np.linspace(0, 1, 6)[:, None]
        pieces.append(_strip(line, np.array([0, -max(thick, 0.25), 0]), colour))
        inner_ends.append(centre - [outward * width, -0.3, 0])
    bridge = inner_ends[0] + (inner_ends[1] - inner_ends[0]) * np.linspace(0, 1, 5)[:, None]
    bridge[:, 1] += 0.3 * np.sin(np.linspace(0, np.pi, 5))
    pieces.append(_strip(bridge, np.array([0, -max(thick, 0.2), 0]), colour))
    return pieces


def hat(rng: np.random.Generator, head: np.ndarray) -> list[Piece]:
    """A beanie, a cap with a peak, or a hat with a brim."""
    colour = rng.uniform(0.02, 0.8, 3)
    edge = float(rng.uniform(48, 64))
    top = cap(rng, head, colour, edge, edge + float(rng.uniform(8, 25)), 70, float(rng.uniform(0.6, 2.8)), 0.0, fk.WEAR)
    smooth = top.colour.mean(0) * np.clip(1 + 0.05 * rng.standard_normal((len(top.colour), 1)), 0.6, 1.4)
    pieces = [Piece(top.vertices, top.faces, smooth.astype(np.float32), 0.03, fk.WEAR)]
    kind = rng.random()
    if kind < 0.35:
        return pieces
    rim = top.vertices[-96:]
    out = (rim - CENTRE) * [1, 0, 1]
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    length = np.full((96, 1), rng.uniform(2.0, 6.0))
    if kind < 0.7:  # a peak, in front only
        around = np.arctan2(out[:, :1], out[:, 2:])
        length = rng.uniform(4.5, 7) * np.sqrt(np.clip(1 - (around / 1.0) ** 2, 0, 1))
    drop = np.array([0, -rng.uniform(0.0, 0.35), 0])
    pieces.append(_strip(rim, (out + drop) * length, smooth.mean(0) * rng.uniform(0.5, 1.1), closed=True))
    return pieces


def scarf(rng: np.random.Generator, head: np.ndarray) -> list[Piece]:
    """Cloth over the hair: a turban, or a hijab, which also covers the sides and the back."""
    colour = rng.uniform(0.03, 0.85, 3)
    thick = float(rng.uniform(0.4, 1.6))
    if rng.random() < 0.35:
        front, side = float(rng.uniform(48, 60)), float(rng.uniform(78, 100))
        return [cap(rng, head, colour, front, side, 60, 1.5 * thick, 0.6, fk.WEAR)]
    temple = float(rng.uniform(50, 62))
    over = cap(rng, head, colour, float(rng.uniform(50, 60)), float(rng.uniform(120, 150)), temple, thick, 0.4, fk.WEAR)
    return [over, curtain(rng, head, colour, temple - 4, float(rng.uniform(-20, -13)), fk.WEAR)]


def earrings(rng: np.random.Generator, landmarks: np.ndarray) -> list[Piece]:
    """A small disc or ring below each ear."""
    colour = np.array([0.8, 0.65, 0.3]) if rng.random() < 0.6 else rng.uniform(0.1, 0.9, 3)
    radius = rng.uniform(0.25, 1.1)
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    pieces = []
    for ear, outward in ((landmarks[1], -1.0), (landmarks[15], 1.0)):
        centre = ear + np.array([outward * 0.9, -1.0 - radius, -1.2])
        ring = centre + radius * np.stack([0.3 * np.sin(angle), np.cos(angle), np.sin(angle)], 1)
        pieces.append(_strip(ring, (centre - ring) * rng.uniform(0.25, 0.9), colour, closed=True))
    return pieces


def sample_wear(rng: np.random.Generator, head: np.ndarray, landmarks: np.ndarray) -> tuple[list[Piece], bool]:
    """Random things worn, and whether they hide the hair. head [N 3] and landmarks [68 3] of the neutral head."""
    pieces: list[Piece] = []
    draw = rng.random()
    hides = draw < 0.14
    if draw < 0.07:
        pieces += scarf(rng, head)
    elif hides:
        pieces += hat(rng, head)
    if rng.random() < 0.2:
        pieces += glasses(rng, landmarks)
    if rng.random() < 0.15:
        pieces += earrings(rng, landmarks)
    return pieces, hides
