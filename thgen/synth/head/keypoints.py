"""Which points of the head the analyser finds and the generator moves, and how they depend on the coefficients.

The order is fixed: 68 Multi-PIE landmarks, the pupils (left, right of the subject), then dense points. The layout is
drawn from the mesh by farthest-point sampling, once, and travels inside the weights: running thgen needs no FaceKit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thgen.schema import COEFFICIENT_INDEX
from thgen.synth.head import facekit as fk

# Layers, from the front: skin covers the eyeballs and the inside of the mouth except through their openings.
SKIN_LAYER, EYE_L_LAYER, EYE_R_LAYER, MOUTH_LAYER = range(4)
EYE_LOOP, MOUTH_LOOP = 20, 28


@dataclass(frozen=True)
class KeypointLayout:
    """index [K] vertex of each point; width [K] kernel width in crop half-widths; layer [K]; canonical [K 3] cm (head
    axes); basis [57 K 3] cm per unit coefficient; follow [K] 0..1 how far a point follows the head (neck);
    rigid [K] weight in the pose fit; loops: ordered keypoint numbers around the left eye, right eye and inner lips."""

    index: np.ndarray
    width: np.ndarray
    layer: np.ndarray
    canonical: np.ndarray
    basis: np.ndarray
    follow: np.ndarray
    rigid: np.ndarray
    loops: tuple[np.ndarray, np.ndarray, np.ndarray]


def farthest(points: np.ndarray, candidates: np.ndarray, count: int) -> np.ndarray:
    """`count` of the candidate indices, spread by farthest-point sampling; deterministic."""
    places = points[candidates]
    chosen = [int(np.argmax(np.abs(places[:, 0])))]
    distance = np.full(len(candidates), np.inf)
    for _ in range(count - 1):
        distance = np.minimum(distance, ((places - places[chosen[-1]]) ** 2).sum(1))
        chosen.append(int(distance.argmax()))
    return candidates[np.array(chosen)]


def boundary_loops(triangles: np.ndarray) -> list[np.ndarray]:
    """Closed loops of edges that belong to one triangle only, as ordered vertex indices."""
    edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), 1)
    unique, count = np.unique(edges, axis=0, return_counts=True)
    neighbours: dict[int, list[int]] = {}
    for a, b in unique[count == 1].tolist():
        neighbours.setdefault(a, []).append(b)
        neighbours.setdefault(b, []).append(a)
    loops, seen = [], set()
    for start in neighbours:
        loop = []
        here: int | None = start
        while here is not None and here not in seen:
            seen.add(here)
            loop.append(here)
            here = next((n for n in neighbours[here] if n not in seen), None)
        if len(loop) > 3:
            loops.append(np.array(loop))
    return loops


def _around(points: np.ndarray, loop: np.ndarray, count: int) -> np.ndarray:
    """`count` vertices of a loop at equal arc length, in order, starting at its leftmost point."""
    loop = np.roll(loop, -int(points[loop, 0].argmin()))
    step = np.linalg.norm(np.diff(points[np.append(loop, loop[0])], axis=0), axis=1)
    arc = np.concatenate([[0], np.cumsum(step)[:-1]])
    return loop[np.searchsorted(arc, np.linspace(0, step.sum(), count, endpoint=False)).clip(max=len(loop) - 1)]


def _magnitude(mesh: fk.HeadMesh, *names: str) -> np.ndarray:
    return sum(np.linalg.norm(mesh.expression[COEFFICIENT_INDEX[n]], axis=1) for n in names)


def build_layout(mesh: fk.HeadMesh, follow_of) -> KeypointLayout:
    """Draw the layout from a mesh. follow_of: height [n] -> weight [n] with which a point follows the head."""
    v, part = mesh.vertices, mesh.part
    ids = np.arange(len(v))
    face, skin = ids[part == fk.FACE], ids[part == fk.SKIN]
    groups: list[tuple[np.ndarray, float, int]] = []  # vertices, kernel width, layer

    pupils = [ids[part == e][mesh.eye_angle[part == e].argmin()] for e in (fk.EYE_L, fk.EYE_R)]
    groups.append((mesh.landmarks, 0.06, SKIN_LAYER))
    groups += [(np.array(pupils[:1]), 0.03, EYE_L_LAYER), (np.array(pupils[1:]), 0.03, EYE_R_LAYER)]
    groups.append((farthest(v, face, 80), 0.07, SKIN_LAYER))
    groups.append((farthest(v, skin, 30), 0.10, SKIN_LAYER))
    for side in "LR":
        strength = _magnitude(mesh, f"eyeBlink_{side}")[face]
        groups.append((farthest(v, face[strength > 0.22 * strength.max()], 28), 0.022, SKIN_LAYER))
    mouth = v[mesh.landmarks[48:60]].mean(0)
    near = np.linalg.norm((v[face] - mouth) * np.array([1, 1.2, 0.6]), axis=1) < 3.4
    groups.append((farthest(v, face[near], 70), 0.035, SKIN_LAYER))
    brows = _magnitude(mesh, *(f"brow{n}_{s}" for n in ("InnerUp", "OuterUp", "Down") for s in "LR"))[face]
    groups.append((farthest(v, face[brows > 0.25 * brows.max()], 24), 0.045, SKIN_LAYER))

    loops = boundary_loops(mesh.triangles[part[mesh.triangles].max(1) == fk.FACE])
    near_to = lambda place: min(loops, key=lambda loop: np.linalg.norm(v[loop].mean(0) - place))  # noqa: E731
    openings = []
    for place, count in ((mesh.eye_centre[0], EYE_LOOP), (mesh.eye_centre[1], EYE_LOOP)):
        openings.append(_around(v, near_to(place + np.array([0, 0, 1.2])), count))
    # The visible rim of the lips lies in front of the mesh's own hole: refine landmarks 60-67 along the surface.
    openings.append(_lip_rim(mesh, MOUTH_LOOP))
    starts = []
    for opening, width in zip(openings, (0.018, 0.018, 0.025), strict=True):
        starts.append(sum(len(g[0]) for g in groups))
        groups.append((opening, width, SKIN_LAYER))
    for label, layer in ((fk.EYE_L, EYE_L_LAYER), (fk.EYE_R, EYE_R_LAYER)):
        rim = ids[(part == label) & (np.abs(mesh.eye_angle - 0.48) < 0.06)]
        groups.append((farthest(v, rim, 10), 0.03, layer))
    teeth = ids[part == fk.TEETH]
    if len(teeth):
        moves = _magnitude(mesh, "jawOpen")[teeth] > 0.1
        front = v[teeth, 2] > np.quantile(v[teeth, 2], 0.5)
        for row, edge in ((front & ~moves, -1), (front & moves, 1)):
            height = edge * v[teeth, 1]
            biting = row & (height > np.quantile(height[row], 0.6))  # the half of a tooth that a mouth shows
            groups.append((farthest(v, teeth[biting], 6), 0.06, MOUTH_LAYER))

    index = np.concatenate([g[0] for g in groups])
    widths = np.concatenate([np.full(len(g[0]), g[1]) for g in groups]).astype(np.float32)
    layers = np.concatenate([np.full(len(g[0]), g[2]) for g in groups])
    widths[36:68] = 0.03  # landmarks on lids and lips
    basis = mesh.expression[:, index].astype(np.float32)
    rigid = 1 / (0.1 + np.linalg.norm(basis, axis=2).max(0))  # points that no expression moves fix the pose
    rigid[(layers != SKIN_LAYER) | (follow_of(v[index, 1]) < 0.99)] = 0
    return KeypointLayout(
        index, widths, layers, v[index].astype(np.float32), basis, follow_of(v[index, 1]), rigid.astype(np.float32),
        tuple(np.arange(s, s + len(o)) for s, o in zip(starts, openings, strict=True)),  # type: ignore[arg-type]
    )  # fmt: skip


def _lip_rim(mesh: fk.HeadMesh, count: int) -> np.ndarray:
    """Vertices along the inner lips in order (corner, upper, corner, lower): the nearest to a curve through 60-67."""
    v = mesh.vertices
    face = np.flatnonzero(mesh.part == fk.FACE)
    ring = v[mesh.landmarks[60:68]]
    closed = np.concatenate([ring, ring[:1]])
    arc = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))])
    at = np.linspace(0, arc[-1], count, endpoint=False)
    curve = np.stack([np.interp(at, arc, closed[:, k]) for k in range(3)], 1)
    jaw = np.linalg.norm(mesh.expression[COEFFICIENT_INDEX["jawOpen"]], axis=1)
    half = jaw[mesh.landmarks[66]] / 2
    out = []
    for i, place in enumerate(curve):
        lower = i > count // 2
        # Closed lips touch: choose on the right side of the slit by how the jaw moves a vertex.
        side = face[(jaw[face] > half) == lower] if abs(place[0]) < 0.8 * np.abs(ring[:, 0]).max() else face
        out.append(side[np.linalg.norm(v[side] - place, axis=1).argmin()])
    return np.array(out)
