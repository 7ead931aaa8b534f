"""Scores of predicted lips against true ones, which training and evaluation share."""

from __future__ import annotations

import numpy as np

from thgen.schema import LIP_COEFFICIENTS
from thgen.synth.voice.visemes import mouth_opening
from thgen.weights.manifest import HIGHER, LOWER

CLOSED_BELOW = 1.5  # an opening, in % of the outer-canthal distance, that looks closed
_SHUT = LIP_COEFFICIENTS.index("mouthPress_L")
# Name of a score of `lip_scores` (a pattern) -> which way it is better; the first that fits counts.
BETTER = {"opening_error": LOWER, "closed_recall": HIGHER, "closed_false": LOWER, "opening": HIGHER, "mouth*": HIGHER,
          "jaw*": HIGHER}  # fmt: skip


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's r of two tracks [T]: cov(a, b) / (std a * std b), -1 to 1; NaN if one of them does not move."""
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum() / scale) if scale > 1e-9 else float("nan")


def lip_scores(predicted: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Scores of predicted lip coefficients against the true ones, both [T 21].

    opening, <coefficient>: Pearson's r of the mouth opening, and of each coefficient that moves in the truth;
    closed_recall: share of the frames with closed lips (true mouthPress above 0.2) that are predicted closed too
    (opening below CLOSED_BELOW); closed_false: share of the frames whose truth is open (above 4 %) that are predicted
    closed; opening_error: mean absolute, in % of the outer-canthal distance. BETTER says which way each is better.
    """
    guess, truth = mouth_opening(predicted), mouth_opening(true)
    shut, wide = true[:, _SHUT] > 0.2, truth > 4.0
    scores = {
        "opening": correlation(guess, truth),
        "closed_recall": float((guess[shut] < CLOSED_BELOW).mean()) if shut.any() else float("nan"),
        "closed_false": float((guess[wide] < CLOSED_BELOW).mean()) if wide.any() else float("nan"),
        "opening_error": float(np.abs(guess - truth).mean()),
    }
    for i, name in enumerate(LIP_COEFFICIENTS):
        if true[:, i].std() > 1e-3 and not name.endswith("_R"):
            scores[name] = correlation(predicted[:, i], true[:, i])
    return scores
