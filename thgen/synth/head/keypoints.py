"""Keypoints of the head: which points they are, and how they depend on the coefficients.

The analyser finds the keypoints and the generator moves them. Their order is fixed: 68 Multi-PIE landmarks, the pupils
(left, right of the subject), then dense points. Farthest-point sampling chooses the dense points from the mesh once.
The weights contain the layout, so that running thgen needs no FaceKit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thgen.schema import COEFFICIENT_INDEX
from thgen.synth.head import facekit as fk

# Layers. The skin lies in front of eyeballs and mouth, which show only through their openings.
SKIN_LAYER, EYE_L_LAYER, EYE_R_LAYER, MOUTH_LAYER = range(4)
EYE_LOOP, MOUTH_LOOP = 20, 28  # keypoints around an eye opening, and around the inner lips


@dataclass(frozen=True)
class KeypointLayout:
    """Description of K keypoints.

    index [K]: vertex of each point. width [K]: kernel width in crop half-widths. layer [K]: see above.
    canonical [K 3]: position on the neutral head in cm, head axes. basis [57 K 3]: motion in cm per unit of each
    coefficient. follow [K], 0 to 1: how much a point follows the head (see `neck_weight`). rigid [K]: weight in the fit
    of the head pose. loops: keypoint numbers in order around the left eye, the right eye and the inner lips.
    """

    index: np.ndarray
    width: np.ndarray
    layer: np.ndarray
    canonical: np.ndarray
    basis: np.ndarray
    follow: np.ndarray
    rigid: np.ndarray
    loops: tuple[np.ndarray, np.ndarray, np.ndarray]


def farthest_points(points: np.ndarray, candidates: np.ndarray, count: int) -> np.ndarray:
    """`count` of the candidate indices [n], chosen by farthest-point sampling of points [N 3]. Deterministic."""
    places = points[candidates]
    chosen = [int(np.argmax(np.abs(places[:, 0])))]
    distance = np.full(len(candidates), np.inf)
    for _ in range(count - 1):
        distance = np.minimum(distance, ((places - places[chosen[-1]]) ** 2).sum(1))
        chosen.append(int(distance.argmax()))
    return candidates[np.array(chosen)]


def boundary_loops(triangles: np.ndarray) -> list[np.ndarray]:
    """Closed loops of edges that belong to only one triangle of [m 3], as vertex indices in order."""
    edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), 1)
    unique, count = np.unique(edges, axis=0, return_counts=True)
    neighbours: dict[int, list[int]] = {}
    for a, b in unique[count == 1].tolist():
        neighbours.setdefault(a, []).append(b)
        neighbours.setdefault(b, []).append(a)
    loops, visited = [], set()
    for start in neighbours:
        loop = []
        here: int | None = start
        while here is not None and here not in visited:
            visited.add(here)
            loop.append(here)
            here = next((n for n in neighbours[here] if n not in visited), None)
        if len(loop) > 3:
            loops.append(np.array(loop))
    return loops


def _around(points: np.ndarray, loop: np.ndarray, count: int) -> np.ndarray:
    """`count` vertices of a loop at equal arc lengths, in order from its leftmost point."""
    loop = np.roll(loop, -int(points[loop, 0].argmin()))
    step = np.linalg.norm(np.diff(points[np.append(loop, loop[0])], axis=0), axis=1)
    arc = np.concatenate([[0], np.cumsum(step)[:-1]])
    return loop[np.searchsorted(arc, np.linspace(0, step.sum(), count, endpoint=False)).clip(max=len(loop) - 1)]


def _magnitude(mesh: fk.HeadMesh, *names: str) -> np.ndarray:
    """Sum of the motions [N] of the vertices by the named coefficients at weight 1, in cm."""
    return sum(np.linalg.norm(mesh.expression[COEFFICIENT_INDEX[n]], axis=1) for n in names)


def build_layout(mesh: fk.HeadMesh, follow_of) -> KeypointLayout:
    """The layout of a mesh. follow_of: function of heights [n] in cm that gives KeypointLayout.follow [n]."""
    v, part = mesh.vertices, mesh.part
    ids = np.arange(len(v))
    face, skin = ids[part == fk.FACE], ids[part == fk.SKIN]
    groups: list[tuple[np.ndarray, float, int]] = []  # vertices, kernel width, layer

    pupils = [ids[part == e][mesh.eye_angle[part == e].argmin()] for e in (fk.EYE_L, fk.EYE_R)]
    groups.append((mesh.landmarks, 0.06, SKIN_LAYER))
    groups += [(np.array(pupils[:1]), 0.03, EYE_L_LAYER), (np.array(pupils[1:]), 0.03, EYE_R_LAYER)]
    groups.append((farthest_points(v, face, 80), 0.07, SKIN_LAYER))
    groups.append((farthest_points(v, skin, 30), 0.10, SKIN_LAYER))
    for side in "LR":
        strength = _magnitude(mesh, f"eyeBlink_{side}")[face]
        groups.append((farthest_points(v, face[strength > 0.22 * strength.max()], 28), 0.022, SKIN_LAYER))
    mouth = v[mesh.landmarks[48:60]].mean(0)
    near = np.linalg.norm((v[face] - mouth) * np.array([1, 1.2, 0.6]), axis=1) < 3.4
    groups.append((farthest_points(v, face[near], 70), 0.035, SKIN_LAYER))
    brows = _magnitude(mesh, *(f"brow{n}_{s}" for n in ("InnerUp", "OuterUp", "Down") for s in "LR"))[face]
    groups.append((farthest_points(v, face[brows > 0.25 * brows.max()], 24), 0.045, SKIN_LAYER))

    loops = boundary_loops(mesh.triangles[part[mesh.triangles].max(1) == fk.FACE])
    near_to = lambda place: min(loops, key=lambda loop: np.linalg.norm(v[loop].mean(0) - place))  # noqa: E731
    openings = []
    for place, count in ((mesh.eye_centre[0], EYE_LOOP), (mesh.eye_centre[1], EYE_LOOP)):
        openings.append(_around(v, near_to(place + np.array([0, 0, 1.2])), count))
    # The rim of the lips lies in front of the boundary of the mesh, so landmarks 60 to 67 define this loop.
    openings.append(_lip_rim(mesh, MOUTH_LOOP))
    starts = []
    for opening, width in zip(openings, (0.018, 0.018, 0.025), strict=True):
        starts.append(sum(len(g[0]) for g in groups))
        groups.append((opening, width, SKIN_LAYER))
    for label, layer in ((fk.EYE_L, EYE_L_LAYER), (fk.EYE_R, EYE_R_LAYER)):
        rim = ids[(part == label) & (np.abs(mesh.eye_angle - 0.48) < 0.06)]
        groups.append((farthest_points(v, rim, 10), 0.03, layer))
    teeth = ids[part == fk.TEETH]
    if len(teeth):
        moves = _magnitude(mesh, "jawOpen")[teeth] > 0.1
        front = v[teeth, 2] > np.quantile(v[teeth, 2], 0.5)
        for row, edge in ((front & ~moves, -1), (front & moves, 1)):
            height = edge * v[teeth, 1]
            visible = row & (height > np.quantile(height[row], 0.6))  # the part of a tooth near its edge
            groups.append((farthest_points(v, teeth[visible], 6), 0.06, MOUTH_LAYER))

    index = np.concatenate([g[0] for g in groups])
    widths = np.concatenate([np.full(len(g[0]), g[1]) for g in groups]).astype(np.float32)
    layers = np.concatenate([np.full(len(g[0]), g[2]) for g in groups])
    widths[36:68] = 0.03  # landmarks on lids and lips
    basis = mesh.expression[:, index].astype(np.float32)
    rigid = 1 / (0.1 + np.linalg.norm(basis, axis=2).max(0))  # points that expressions hardly move have a large weight
    rigid[(layers != SKIN_LAYER) | (follow_of(v[index, 1]) < 0.99)] = 0
    return KeypointLayout(
        index, widths, layers, v[index].astype(np.float32), basis, follow_of(v[index, 1]), rigid.astype(np.float32),
        tuple(np.arange(s, s + len(o)) for s, o in zip(starts, openings, strict=True)),  # type: ignore[arg-type]
    )  # fmt: skip


def _lip_rim(mesh: fk.HeadMesh, count: int) -> np.ndarray:
    """`count` vertices along the inner lips (corner, upper, corner, lower), near a curve through landmarks 60-67."""
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
        # Closed lips touch, so the nearest vertex may be on the wrong lip. The jaw moves only the lower lip.
        side = face[(jaw[face] > half) == lower] if abs(place[0]) < 0.8 * np.abs(ring[:, 0]).max() else face
        out.append(side[np.linalg.norm(v[side] - place, axis=1).argmin()])
    return np.array(out)
