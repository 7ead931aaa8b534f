"""How faces usually move: which coefficients occur together, and how far. It decides where keypoints leave a doubt.

The same keypoints have several explanations: corners of the lips that rise are a smile, or a jaw and an upper lip that
move in an unusual way. The renderer's random expressions (`synth.usual_motion`) say which is usual. They follow studies
of spontaneous expressions: action units that belong together, emotions, grimaces, both sides of the face mostly alike.
The numbers are kept in a file, because a Space has no renderer.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("usual_motion.npy")  # written by `synth.usual_motion.write`


@lru_cache(maxsize=1)
def usual_motion() -> np.ndarray:
    """Mean products of coefficients in random expressions, float64 [57 57]. A face at rest is 0."""
    return np.asarray(np.load(FILE, allow_pickle=False).astype(np.float64))
