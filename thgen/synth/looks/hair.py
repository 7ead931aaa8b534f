"""Hair as two-sided surfaces around the head, in cm: caps with a ragged hairline, long hair, a bun."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thgen.synth.head import facekit as fk

CENTRE = np.array([0.0, 2.5, -0.5], np.float32)  # cm: origin of directions on the head
CONE = np.cos(np.deg2rad(12))  # cosine: vertices within this angle of a direction give the radius of the head there


@dataclass(frozen=True)
class Piece:
    """A mesh that is added to the head: hair, clothes, a prop.

    vertices [n 3] in cm, on the neutral head. faces [m 3]. colour [n 3], linear RGB. gloss: strength of the highlight.
    part: class of facekit.PART_NAMES. two_sided: whether the back of a face is visible. follow: 1 moves with the head
    (at the height of the neck, as the neck does), 0 does not move.
    """

    vertices: np.ndarray
    faces: np.ndarray
    colour: np.ndarray
    gloss: float
    part: int = fk.HAIR
    two_sided: bool = True
    follow: float = 1.0


def grid_faces(rows: int, columns: int, closed: bool) -> np.ndarray:
    """Triangles [m 3] of a rows x columns grid of vertices. closed: the last column joins the first."""
    faces = []
    for r in range(rows - 1):
        for c in range(columns if closed else columns - 1):
            a, b = r * columns + c, r * columns + (c + 1) % columns
            faces += [(a, a + columns, b), (b, a + columns, b + columns)]
    return np.array(faces, np.int32)


def head_radius(head: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Distance in cm, [n], from CENTRE to the surface of the head [N 3] along unit directions [n 3]."""
    away = head[::3] - CENTRE
    length = np.linalg.norm(away, axis=1)
    near = directions @ (away / length[:, None]).T > CONE
    return np.where(near, length[None], 0).max(1).clip(6.0, 14.0).astype(np.float32)


def strands(rng: np.random.Generator, across: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Brightness [n] of hair with streaks along it. across, along: position of each vertex in radians and in cm."""
    streak = np.zeros(across.shape, np.float32)
    for frequency in (7, 17, 31, 47):
        bend = rng.uniform(-0.25, 0.25) * along
        streak += np.sin(across * frequency * rng.uniform(0.8, 1.2) + rng.uniform(0, 6) + bend)
    shine = np.exp(-(((along - rng.uniform(4, 9)) / rng.uniform(1, 3)) ** 2)) * rng.uniform(0, 0.9)
    grain = 0.12 * rng.standard_normal(across.shape)
    return np.clip(1 + rng.uniform(0.12, 0.34) * streak + shine + grain, 0.15, 2.6)


def cap(
    rng: np.random.Generator, head: np.ndarray, colour: np.ndarray, front: float, side: float, temple: float,
    thick: float, ragged: float, part: int = fk.HAIR,
) -> Piece:  # fmt: skip
    """A surface over the skull.

    front, side: angle from straight up to the edge, on the forehead, and at the sides and back, in degrees. temple:
    angle from the front at which one changes to the other, in degrees. thick: distance from the skull in cm. ragged:
    unevenness of the edge in degrees.
    """
    rows, columns = 26, 96
    around = np.linspace(-np.pi, np.pi, columns, endpoint=False)
    turn = np.clip((np.abs(around) - np.deg2rad(temple)) / 0.35 + 0.5, 0, 1)
    turn = turn * turn * (3 - 2 * turn)
    edge = front + (side - front) * turn
    for frequency in (3, 8, 19, 37):
        edge = edge + ragged * rng.uniform(0.2, 0.6) * np.sin(around * frequency + rng.uniform(0, 6))
    edge = edge + ragged * 0.4 * rng.standard_normal(columns)
    down = np.linspace(0.02, 1, rows)[:, None] * np.deg2rad(edge)[None]
    flat = np.sin(down)
    directions = np.stack([flat * np.sin(around), np.cos(down), flat * np.cos(around)], -1).reshape(-1, 3)
    waves = sum(
        rng.uniform(0, 0.3) * np.sin(f * around[None] + rng.uniform(0, 6)) * np.sin(g * down + rng.uniform(0, 6))
        for f, g in ((2, 2), (5, 4), (11, 7))
    )
    lift = rng.uniform(0.7, 1.4) + (rng.uniform(0.5, 1.6) - 1) * turn[None] * np.sin(down)
    fade = np.clip((1 - np.linspace(0, 1, rows)[:, None]) / 0.12, 0.25, 1)
    off = thick * np.clip(lift + waves, 0.25, 3) * fade + 0.25
    radius = (head_radius(head, directions.astype(np.float32)).reshape(rows, columns) + off)[..., None]
    vertices = CENTRE + directions.reshape(rows, columns, 3) * radius
    tint = strands(rng, np.broadcast_to(around, off.shape), vertices[..., 1])[..., None] * colour
    return Piece(
        vertices.reshape(-1, 3).astype(np.float32), grid_faces(rows, columns, True),
        tint.reshape(-1, 3).astype(np.float32), float(rng.uniform(0.02, 0.25)), part,
    )  # fmt: skip


def curtain(
    rng: np.random.Generator, head: np.ndarray, colour: np.ndarray, opening: float, bottom: float, part: int = fk.HAIR
) -> Piece:
    """A surface around the back and the sides of the head, such as long hair or a scarf.

    It reaches from the crown down to the height `bottom` in cm. opening: half-angle of the gap at the face, in degrees
    from the front.
    """
    columns, rows = 72, 30
    scale = float(np.abs(head[:, 0]).max() / 8.2)
    gap = np.deg2rad(opening)
    angle = np.linspace(gap, 2 * np.pi - gap, columns)
    height = np.linspace(11.5, 0, rows)[:, None] / 11.5
    uneven = 1.2 * rng.standard_normal(columns)
    height = bottom + uneven + (11.5 - bottom - uneven) * height  # each strand ends at its own height
    drop = np.clip((8.0 - height) / 10, 0, 1)
    crown = np.sqrt(np.clip(1 - (np.maximum(height, 3.0) - 3.0) ** 2 / 9.5**2, 0.01, 1))  # it closes over the crown
    wave = rng.uniform(0, 0.6) * np.sin(height * rng.uniform(0.4, 1.3) + rng.uniform(0, 6) + 2 * np.cos(angle * 3))
    radius = (8.3 * crown + rng.uniform(0.2, 2.4) * drop + wave) * scale
    x, z = radius * np.sin(angle), radius * 1.08 * np.cos(angle) + 0.5
    vertices = np.stack(np.broadcast_arrays(x, height + 0.3 * np.cos(angle * 5), z), -1)
    tint = strands(rng, np.broadcast_to(angle, vertices.shape[:2]), vertices[..., 1])[..., None] * colour
    return Piece(
        vertices.reshape(-1, 3).astype(np.float32), grid_faces(rows, columns, False),
        tint.reshape(-1, 3).astype(np.float32), float(rng.uniform(0.02, 0.2)), part,
    )  # fmt: skip


def bun(rng: np.random.Generator, head: np.ndarray, colour: np.ndarray) -> Piece:
    """A knot of hair on top of the head or at its back."""
    rows, columns = 14, 28
    radius, tilt = rng.uniform(2.0, 3.8), rng.uniform(-0.6, 0.9)
    around, down = np.linspace(0, 2 * np.pi, columns, endpoint=False), np.linspace(0.02, np.pi - 0.02, rows)[:, None]
    ball = np.stack([np.sin(down) * np.sin(around), np.cos(down) + 0 * around, np.sin(down) * np.cos(around)], -1)
    up = np.array([0.0, np.cos(tilt), -np.sin(tilt)])
    distance = head_radius(head, up[None].astype(np.float32))[0] + 0.6 * radius
    rough = 1 + 0.06 * rng.standard_normal((rows, columns, 1))
    vertices = CENTRE + up * distance + radius * ball * rough
    tint = strands(rng, np.broadcast_to(around, (rows, columns)), vertices[..., 1])[..., None] * colour
    return Piece(
        vertices.reshape(-1, 3).astype(np.float32), grid_faces(rows, columns, True),
        tint.reshape(-1, 3).astype(np.float32), 0.1,
    )  # fmt: skip


def sample_hair(rng: np.random.Generator, head: np.ndarray, colour: np.ndarray, long: bool) -> list[Piece]:
    """Surfaces of a random hair style. An empty list means short hair: the performer's shell alone."""
    if rng.random() < 0.38:
        return []
    # Above 60 degrees it is a fringe that reaches down to the brows.
    front = float(rng.uniform(40, 58) if rng.random() < 0.6 else rng.uniform(60, 78))
    temple = float(rng.uniform(38, 72))
    side = float(rng.uniform(75, 118))
    ragged = float(rng.uniform(0.5, 4.5))
    pieces = [cap(rng, head, colour, front, side, temple, float(rng.uniform(0.3, 2.6)), ragged)]
    if long:
        pieces.append(curtain(rng, head, colour, float(rng.uniform(45, 100)), float(rng.uniform(-24, -4))))
    elif rng.random() < 0.2:
        pieces.append(bun(rng, head, colour))
    return pieces
