from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr

from thgen.evaluation.metrics.statistics import correlation, finite_mean


def test_correlation_is_pearsons() -> None:
    rng = np.random.default_rng(0)
    a = rng.standard_normal(50)
    b = a + rng.standard_normal(50)
    assert correlation(a, b) == pytest.approx(pearsonr(a, b).statistic)
    assert correlation(a.astype(np.float32), -a.astype(np.float32)) == pytest.approx(-1)


def test_a_constant_track_has_no_correlation(recwarn: pytest.WarningsRecorder) -> None:
    a = np.arange(9.0)
    assert np.isnan(correlation(a, np.ones(9))) and np.isnan(correlation(np.ones(9) + 1e-9 * a, a))
    assert not recwarn


def test_mean_of_what_is_finite() -> None:
    assert finite_mean([1.0, float("inf"), 3.0, float("nan")]) == 2
    assert np.isnan(finite_mean([])) and np.isnan(finite_mean([float("inf")]))
