"""Correlation and mean as all scores and reports use them: NaN where there is nothing to compute."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import pearsonr

CONSTANT_BELOW = 1e-6  # standard deviation, in the track's own unit: a track that varies less counts as constant


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's r of two tracks [T], -1 to 1; NaN where one of them is constant.

    >>> correlation(np.array([0.0, 1.0, 2.0]), np.array([5.0, 3.0, 1.0]))
    -1.0
    """
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if min(first.std(), second.std()) < CONSTANT_BELOW:
        return float("nan")
    return float(pearsonr(first, second).statistic)


def finite_mean(values: Sequence[float] | np.ndarray) -> float:
    """Mean of the finite values of [N]; NaN where none is. Equal pictures, for example, have an infinite PSNR."""
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    return float(known.mean()) if len(known) else float("nan")
