"""Scores of predicted lips against true ones. Training and evaluation share them."""

from __future__ import annotations

import numpy as np

from thgen.evaluation.metrics.statistics import correlation
from thgen.schema import LIP_COEFFICIENTS
from thgen.synth.voice.visemes import mouth_opening
from thgen.weights.manifest import HIGHER, LOWER

CLOSED_BELOW = 1.5  # % of the outer-canthal distance: a smaller mouth opening looks closed
OPEN_ABOVE = 4.0  # % of the outer-canthal distance: a larger mouth opening is clearly open
PRESSED_ABOVE = 0.2  # weight of mouthPress: the true lips are closed on purpose, as in b, m and p
_PRESS = LIP_COEFFICIENTS.index("mouthPress_L")
# Pattern for names of `lip_scores` -> which way the score is better. The first pattern that fits counts.
BETTER = {"opening_error": LOWER, "closed_recall": HIGHER, "closed_false": LOWER, "opening": HIGHER, "mouth*": HIGHER,
          "jaw*": HIGHER}  # fmt: skip


def lip_scores(predicted: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Scores of predicted lip coefficients against the true ones, both [T 21]. NaN: the truth has no such frames.

    opening        Pearson's r of the mouth opening
    <coefficient>  Pearson's r of each coefficient that moves in the truth (left and middle ones)
    closed_recall  share of the frames with truly closed lips (PRESSED_ABOVE) that are predicted closed (CLOSED_BELOW)
    closed_false   share of the frames with truly open lips (OPEN_ABOVE) that are predicted closed
    opening_error  mean absolute error of the opening, in % of the outer-canthal distance
    BETTER says which way each score is better.
    """
    guess, truth = mouth_opening(predicted), mouth_opening(true)
    shut, wide = true[:, _PRESS] > PRESSED_ABOVE, truth > OPEN_ABOVE
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
