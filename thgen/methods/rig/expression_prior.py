"""How faces usually move: which coefficients occur together, and how far. It decides where keypoints leave a doubt.

The same keypoints have several explanations: corners of the lips that rise are a smile, or a jaw and an upper lip that
move in an unusual way. The renderer's random expressions (`synth.motion`) say which is usual. They follow studies of
spontaneous expressions: action units that belong together, emotions, grimaces, both sides of the face mostly alike.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from thgen.synth.motion import random_state

DRAWS = 2000  # random expressions; with 4,000, 99 % of the fitted weights of six clips differ by less than 0.01
SEED = 0


@lru_cache(maxsize=1)
def usual_motion() -> np.ndarray:
    """Mean products of coefficients in random expressions, float64 [57 57]. A face at rest is 0."""
    rng = np.random.default_rng(SEED)
    drawn = np.stack([random_state(rng).coefficients for _ in range(DRAWS)]).astype(np.float64)
    return np.asarray(drawn.T @ drawn / DRAWS)
