"""A head made of an ellipsoid. It needs no file and takes milliseconds to build; tests use it.

It has all parts of a `HeadMesh`: landmarks, lids that close, eyeballs that rotate, a jaw that opens, identity modes.
Code for FaceKit therefore works with it too.
"""

from __future__ import annotations

import numpy as np

from thgen.schema import COEFFICIENTS, stem_of
from thgen.synth.head import facekit as fk

RADII = np.array([7.5, 10.5, 9.5], np.float32)  # cm
EYES = np.array([[3.1, 3.0], [-3.1, 3.0]], np.float32)  # cm: x, y of the left and the right eye
EYE_OPENING = np.array([1.55, 0.85], np.float32)  # cm: half-width and half-height
MOUTH_Y = -4.0  # cm: height of the mouth
ROWS, COLUMNS = 90, 120  # vertices of the skin


def _surface(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Points of the front of the ellipsoid at (x, y), float32 [n 3]."""
    z = RADII[2] * np.sqrt(np.clip(1 - (x / RADII[0]) ** 2 - (y / RADII[1]) ** 2, 0, 1))
    return np.stack([x, y, z], -1).astype(np.float32)


def _landmarks() -> np.ndarray:
    """Positions of the 68 landmarks on the front, [68 3]."""
    t = np.linspace(-1, 1, 17)
    jaw = np.stack([6.9 * np.sin(t * 1.45), 2.5 - 10.5 * np.cos(t * 1.3)], 1)
    brows = [
        np.stack([np.linspace(a, b, 5), 5.0 + 0.6 * np.sin(np.linspace(0, np.pi, 5))], 1)
        for a, b in ((-5, -1.5), (1.5, 5))
    ]
    bridge = np.stack([np.zeros(4), np.linspace(3, -0.5, 4)], 1)
    base = np.stack([np.linspace(-1.2, 1.2, 5), [-1.4, -1.6, -1.7, -1.6, -1.4]], 1)
    ring = np.pi - np.array([0, 1, 2, 3, 4, 5]) * np.pi / 3  # corner, upper lid, corner, lower lid
    eyes = [EYES[side] + np.stack([np.cos(ring), np.sin(ring)], 1) * (EYE_OPENING + 0.1) for side in (1, 0)]
    outer = np.pi - np.arange(12) * np.pi / 6
    inner = np.pi - np.arange(8) * np.pi / 4
    lips = np.stack([2.4 * np.cos(outer), MOUTH_Y + 0.8 * np.sin(outer)], 1)
    rim = np.stack([2.0 * np.cos(inner), MOUTH_Y + 0.15 * np.sin(inner)], 1)
    xy = np.concatenate([jaw, *brows, bridge, base, *eyes, lips, rim])
    return _surface(xy[:, 0].clip(-7.2, 7.2), xy[:, 1])


def _ball(centre: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Vertices [n 3] and triangles [m 3] of an eyeball."""
    rows, columns = 24, 32
    polar = np.linspace(0.02, np.pi - 0.02, rows)[:, None]
    around = np.linspace(0, 2 * np.pi, columns, endpoint=False)[None]
    unit = np.stack(
        np.broadcast_arrays(np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)), -1
    )
    faces = [
        f
        for r in range(rows - 1)
        for c in range(columns)
        for f in (
            (r * columns + c, (r + 1) * columns + c, r * columns + (c + 1) % columns),
            (r * columns + (c + 1) % columns, (r + 1) * columns + c, (r + 1) * columns + (c + 1) % columns),
        )
    ]
    return (centre + radius * unit.reshape(-1, 3)).astype(np.float32), np.array(faces, np.int32)


def _skin() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices, triangles and parts of the ellipsoid with a neck and holes for the eyes."""
    polar = np.linspace(0.05, np.pi - 0.35, ROWS)[:, None]
    around = np.linspace(0, 2 * np.pi, COLUMNS, endpoint=False)[None]
    unit = np.stack(
        np.broadcast_arrays(np.sin(polar) * np.sin(around), np.cos(polar), np.sin(polar) * np.cos(around)), -1
    )
    vertices = (unit * RADII).reshape(-1, 3).astype(np.float32)
    neck = vertices[-COLUMNS:].copy()
    ring = neck * np.array([1.2, 0, 1.2], np.float32) + np.array([0, -19, 0], np.float32)
    vertices = np.concatenate([vertices, ring])
    grid = np.arange(len(vertices)).reshape(-1, COLUMNS)
    a, b = grid[:-1], np.roll(grid[:-1], -1, 1)
    c, d = grid[1:], np.roll(grid[1:], -1, 1)
    triangles = np.concatenate([np.stack([a, c, b], -1).reshape(-1, 3), np.stack([b, c, d], -1).reshape(-1, 3)])
    middle = vertices[triangles].mean(1)
    for eye in EYES:
        inside = (((middle[:, :2] - eye) / EYE_OPENING) ** 2).sum(1) < 1
        keep = ~(inside & (middle[:, 2] > 0))
        triangles, middle = triangles[keep], middle[keep]
    part = np.where((vertices[:, 2] > -1) & (vertices[:, 1] > -10), fk.FACE, fk.SKIN)
    return vertices, triangles.astype(np.int32), part


def _shapes(vertices: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Expression shapes [57 N 3]: a bump of displacement at the place of each FaceKit shape."""
    skin = np.isin(part, (fk.FACE, fk.SKIN))
    front = (vertices[:, 2] > 0) & skin

    def bump(x: float, y: float, sx: float, sy: float) -> np.ndarray:
        d = ((vertices[:, 0] - x) / sx) ** 2 + ((vertices[:, 1] - y) / sy) ** 2
        return np.where(front, np.exp(-0.5 * d), 0)[:, None].astype(np.float32)

    out = np.zeros((len(COEFFICIENTS), len(vertices), 3), np.float32)
    lower = (vertices[:, 1] < MOUTH_Y)[:, None]
    motions = {  # name without side -> (position, width, displacement), in cm on the left side
        "browDown": ((3.2, 5.3), (1.6, 0.8), (0, -0.7, 0)), "browInnerUp": ((1.6, 5.2), (1, 0.8), (0, 0.9, 0)),
        "browOuterUp": ((4.6, 5.2), (1, 0.8), (0, 0.9, 0)), "cheekPuff": ((4.2, -2.5), (1.6, 1.6), (0.8, 0, 0.6)),
        "cheekRaiser": ((3.8, 0.5), (1.4, 1), (0, 0.5, 0.2)), "cheekSquint": ((3.4, 1.2), (1.4, 0.8), (0, 0.5, 0.1)),
        "mouthSmile": ((2.3, -4.0), (1, 0.9), (0.9, 0.8, 0)), "mouthFrown": ((2.3, -4.0), (1, 0.9), (0.1, -0.8, 0)),
        "mouthDimple": ((2.4, -4.0), (0.9, 0.9), (0.5, 0, -0.4)),
        "mouthStretch": ((2.3, -4.2), (1, 0.9), (0.9, -0.2, 0)),
        "mouthLowerDown": ((0.9, -4.7), (1, 0.5), (0, -0.6, 0)), "mouthUpperUp": ((0.9, -3.4), (1, 0.5), (0, 0.6, 0)),
        "mouthPress": ((1.8, -4.0), (1, 0.5), (0, 0, -0.2)), "noseSneer": ((1, -0.4), (0.8, 0.8), (0, 0.5, 0)),
    }  # fmt: skip
    for i, name in enumerate(COEFFICIENTS):
        stem, side = stem_of(name), -1.0 if name.endswith("_R") else 1.0
        if stem in motions:
            (x, y), (sx, sy), move = motions[stem]
            out[i] = bump(side * x, y, sx, sy) * np.array([side * move[0], move[1], move[2]])
        elif stem in ("eyeBlink", "eyeSquint", "eyeWide", "eyeLookDown"):
            eye = EYES[0 if side > 0 else 1]
            # At weight 1 of eyeBlink the upper lid reaches the lower lid.
            share = {"eyeBlink": -1.0, "eyeSquint": -0.3, "eyeWide": 0.3, "eyeLookDown": -0.25}[stem]
            drop = share * 2.3 * EYE_OPENING[1]
            upper = np.clip((vertices[:, 1] - eye[1]) / EYE_OPENING[1] + 1, 0, 2)[:, None] / 2
            out[i] = bump(eye[0], eye[1] + 0.4, 1.5, 0.9) * upper * np.array([0, drop, 0], np.float32)
        elif stem == "jawOpen":
            fall = np.where(lower, bump(0, -6.5, 4.5, 2.6), 0)
            out[i] = fall * np.array([0, -3.2, -1.0])
        elif stem == "mouthClose":
            out[i] = np.where(lower, bump(0, -4.2, 2.2, 0.9), 0) * np.array([0, 3.0, 0.9])
        elif stem in ("mouthPucker", "mouthFunnel"):
            pull = bump(0, MOUTH_Y, 2.0, 1.0)
            out[i] = pull * np.stack([-0.4 * vertices[:, 0], 0 * vertices[:, 0], 0 * vertices[:, 0] + 0.8], 1)
        elif stem in ("jawLeft", "mouthLeft", "jawRight", "mouthRight"):
            out[i] = bump(0, -5.5, 3, 2) * np.array([0.8 if stem.endswith("Left") else -0.8, 0, 0])
        elif stem == "jawForward":
            out[i] = bump(0, -7, 3, 2) * np.array([0, 0, 0.8])
        elif stem.startswith(("mouthRoll", "mouthShrug")):
            up = stem.endswith("Upper")
            lift = 0.4 if "Shrug" in stem else 0.0
            out[i] = bump(0, MOUTH_Y + (0.4 if up else -0.4), 1.6, 0.4) * np.array([0, lift, -0.3 if not lift else 0])
    return out


def ellipsoid_head() -> fk.HeadMesh:
    """The built-in head. The result is always the same."""
    vertices, triangles, part = _skin()
    balls = []
    for side, label in enumerate((fk.EYE_L, fk.EYE_R)):
        centre = _surface(EYES[side : side + 1, 0], EYES[side : side + 1, 1])[0] - np.array([0, 0, 1.9], np.float32)
        balls.append((*_ball(centre, 1.6), label))
    pieces, faces, labels = [vertices], [triangles], [part]
    count = len(vertices)
    for ball, grid, label in balls:
        pieces.append(ball)
        faces.append(grid + count)
        labels.append(np.full(len(ball), label))
        count += len(ball)
    everything, part = np.concatenate(pieces), np.concatenate(labels).astype(np.int32)
    front = np.flatnonzero((part == fk.FACE) & (everything[:, 2] > 0))
    landmarks = np.array([front[np.linalg.norm(everything[front] - p, axis=1).argmin()] for p in _landmarks()])
    x, y, z = (everything / RADII).T
    identity = np.zeros((4, count, 3), np.float32)
    identity[0, :, 0] = 0.35 * x  # width
    identity[1, :, 1] = 0.35 * y  # height
    identity[2, :, 2] = 0.35 * z  # depth
    identity[3, :, 1] = 0.2 * np.sin(2 * y)
    centres, angle = fk.eye_geometry(everything, part)
    uv = np.stack([0.5 + everything[:, 0] / 18, 0.5 + everything[:, 1] / 26], 1).astype(np.float32)
    joined = np.concatenate(faces).astype(np.int32)
    return fk.HeadMesh(
        everything, uv, joined, joined, identity, _shapes(everything, part), part, landmarks, centres, angle
    )
