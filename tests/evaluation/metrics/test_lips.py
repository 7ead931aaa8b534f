"""Scores of predicted lips, and which way each of them is better."""

import numpy as np
import pytest

from thgen.evaluation.metrics import lips as L
from thgen.schema import LIP_COEFFICIENTS
from thgen.training.task import direction
from thgen.weights.manifest import HIGHER, LOWER

JAW, PRESS = LIP_COEFFICIENTS.index("jawOpen"), LIP_COEFFICIENTS.index("mouthPress_L")


def test_scores_of_the_truth_and_of_a_mouth_that_stays_open():
    true = np.zeros((40, 21), np.float32)
    true[:, JAW] = 0.2 + 0.1 * np.sin(np.arange(40))
    true[10:14, JAW], true[10:14, PRESS] = 0.0, 0.25
    perfect = L.lip_scores(true, true)
    assert perfect["opening"] == pytest.approx(1) and perfect["opening_error"] == 0
    assert perfect["closed_recall"] == 1 and perfect["closed_false"] == 0
    open_jaw = np.zeros_like(true)
    open_jaw[:, JAW] = 0.2
    lazy = L.lip_scores(open_jaw, true)
    assert lazy["closed_recall"] == 0 and np.isnan(lazy["opening"])


def test_the_truth_scores_better_than_a_wrong_mouth_in_every_stated_direction():
    """A direction that is stated the wrong way round would let worse weights be bundled."""
    rng = np.random.default_rng(0)
    true = rng.uniform(0, 0.5, (200, 21)).astype(np.float32)
    true[::7] = 0
    true[::7, PRESS] = 0.25
    wrong = rng.permutation(true)
    best, worst = (L.lip_scores(lips, true) for lips in (true, wrong))
    for name in ("opening_error", "closed_recall", "closed_false", "opening", "jawOpen", "mouthPucker"):
        way = direction(L.BETTER, name)
        assert way in (HIGHER, LOWER)
        assert (best[name] > worst[name]) == (way == HIGHER), name
