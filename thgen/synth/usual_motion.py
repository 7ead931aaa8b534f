"""How faces usually move, from the renderer's random expressions. Rig keeps the result as a file (`write`), because a
Space has no renderer."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from thgen.synth.motion import random_state

DRAWS = 2000  # random expressions; with 4,000, 99 % of the weights that rig fits to six clips differ by less than 0.01
SEED = 0


def usual_motion() -> np.ndarray:
    """Mean products of coefficients in random expressions, float32 [57 57]. A face at rest is 0."""
    rng = np.random.default_rng(SEED)
    drawn = np.stack([random_state(rng).coefficients for _ in range(DRAWS)]).astype(np.float64)
    return np.asarray((drawn.T @ drawn / DRAWS).astype(np.float32))


def write(path: Path) -> None:
    """Write `usual_motion` as an array file."""
    np.save(path, usual_motion(), allow_pickle=False)
