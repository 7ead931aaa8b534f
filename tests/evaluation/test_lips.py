"""Scores of lips."""

import numpy as np
import pytest
import scipy.stats

from thgen.evaluation import lips as L
from thgen.schema import LIP_COEFFICIENTS, SAMPLE_RATE

JAW, PRESS = LIP_COEFFICIENTS.index("jawOpen"), LIP_COEFFICIENTS.index("mouthPress_L")


def test_correlation_is_scipys():
    rng = np.random.default_rng(0)
    a = rng.standard_normal(50)
    b = a + rng.standard_normal(50)
    assert L.correlation(a, b) == pytest.approx(scipy.stats.pearsonr(a, b).statistic)
    assert np.isnan(L.correlation(a, np.ones(50)))


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


def test_quiet_frames_are_the_long_silences():
    samples = 0.1 * np.random.default_rng(0).standard_normal(2 * SAMPLE_RATE)
    samples[8000:24000] = 0
    samples[4000:5200] = 0  # 75 ms, as in a plosive
    quiet = L.quiet_frames(samples, 50)
    assert quiet[13:37].all() and quiet.sum() <= 26


def test_opening_in_silence_is_a_share_of_the_speaking_range():
    opening, quiet = np.tile([0.0, 10.0], 50), np.zeros(100, bool)
    quiet[40:60] = True
    opening[quiet] = 0.5
    assert L.silence_opening(opening, quiet)["mean"] == pytest.approx(5.0)
    assert np.isnan(L.silence_opening(opening, np.zeros(100, bool))["mean"])


def test_the_judge_hears_phones_and_sees_lips():
    pytest.importorskip("pocketsphinx")
    pytest.importorskip("espeakng_loader")
    from thgen.synth.speech import Voice, speak

    said = speak("My mother bought a big blue map. Papa may buy both of them.", Voice("en-us", rate=140))
    judged = L.phone_judge(said.samples, said.lips())
    assert judged["closed_closing"] > judged["closed_open_vowels"] + 0.2
    assert judged["opening_open_vowels"] > judged["opening_closing"] + 1
    still = L.phone_judge(said.samples, np.zeros_like(said.lips()))
    assert still["opening_open_vowels"] == 0 and still["closed_open_vowels"] == 1


def test_a_plot_is_written(tmp_path):
    pytest.importorskip("matplotlib")
    L.plot_opening(
        np.zeros(SAMPLE_RATE, np.float32) + 0.01, np.zeros((25, 21), np.float32), "t", tmp_path / "o" / "p.png"
    )
    assert (tmp_path / "o" / "p.png").stat().st_size > 1000
