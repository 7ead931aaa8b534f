"""Which keypoints each tile of the face encoder places, and in which groups their errors are counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thgen.analyser.stage import close_points
from thgen.schema import COEFFICIENT_INDEX
from thgen.synth.head.keypoints import EYE_L_LAYER, EYE_R_LAYER, MOUTH_LAYER, KeypointLayout

BROW_MOVES = 0.25  # of the largest motion by brow shapes: points that move this much belong to the brows' tile
NEAR_LIPS = 1.2  # cm: points this close to the outer lips count as lips


@dataclass(frozen=True)
class Points:
    """Keypoint numbers. eyes (left, right), mouth, brows: what these tiles place. groups: each keypoint is in one of
    them, and each has the same share of a loss, so that large motions do not drown small ones."""

    eyes: list[list[int]]
    mouth: list[int]
    brows: list[int]
    groups: dict[str, list[int]]


def points_of(layout: KeypointLayout) -> Points:
    """The points of a head's layout."""
    eyes, mouth = close_points(layout)
    stems = [f"brow{n}_{side}" for n in ("InnerUp", "OuterUp", "Down") for side in "LR"]
    moves = sum(np.linalg.norm(layout.basis[COEFFICIENT_INDEX[stem]], axis=1) for stem in stems)
    near_eye = {*eyes[0], *eyes[1]}
    number = np.arange(len(layout.index))
    on_brow = {*number[moves > BROW_MOVES * np.max(moves)].tolist(), *range(17, 27)}
    brows = sorted(on_brow - near_eye - {*mouth})
    return Points(eyes, mouth, brows, _groups(layout, brows))


def _groups(layout: KeypointLayout, brows: list[int]) -> dict[str, list[int]]:
    """Groups by name, the first that claims a point gets it."""
    lips = layout.canonical[48:60]
    near = np.linalg.norm(layout.canonical[:, None] - lips[None], axis=2).min(1) < NEAR_LIPS
    balls = [np.flatnonzero(layout.layer == layer).tolist() for layer in (EYE_L_LAYER, EYE_R_LAYER)]
    claims = {
        "iris": [p for ball in balls for p in ball],
        "teeth": np.flatnonzero(layout.layer == MOUTH_LAYER).tolist(),
        "lids": [*range(36, 48), *layout.loops[0].tolist(), *layout.loops[1].tolist()],
        "inner_lips": [*range(60, 68), *layout.loops[2].tolist()],
        "lips": [*range(48, 60), *np.flatnonzero(near).tolist()],
        "brows": brows,
        "contour": list(range(17)),
        "rest": list(range(len(layout.index))),
    }
    taken: set[int] = set()
    out = {}
    for name, points in claims.items():
        own = sorted(set(points) - taken)
        taken |= set(own)
        if own:
            out[name] = own
    return out
