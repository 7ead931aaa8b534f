"""Silences and phones of a recording against the lips."""

from __future__ import annotations

import numpy as np
import pytest

from thgen.evaluation.metrics import phones as P
from thgen.schema import LIP_COEFFICIENTS, SAMPLE_RATE


def test_quiet_frames_are_the_long_silences() -> None:
    samples = 0.1 * np.random.default_rng(0).standard_normal(2 * SAMPLE_RATE)
    samples[8000:24000] = 0
    samples[4000:5200] = 0  # 75 ms, as in a plosive
    quiet = P.quiet_frames(samples, 50)
    assert quiet[13:37].all() and quiet.sum() <= 26


def test_opening_in_silence_is_a_share_of_the_speaking_range() -> None:
    opening, quiet = np.tile([0.0, 10.0], 50), np.zeros(100, bool)
    quiet[40:60] = True
    opening[quiet] = 0.5
    assert P.silence_opening(opening, quiet)["mean"] == pytest.approx(5.0)
    assert np.isnan(P.silence_opening(opening, np.zeros(100, bool))["mean"])


def test_lips_are_scored_during_the_phones_of_each_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """An open vowel for 0.4 s, then m for 0.4 s; the jaw is open in the first half. F has no frame of its own."""
    phones = [("AA", 0.0, 0.4), ("M", 0.4, 0.8), ("F", 0.79, 0.79), ("SIL", 5.0, 6.0)]
    monkeypatch.setattr(P, "english_phones", lambda samples: phones)
    lips = np.zeros((20, len(LIP_COEFFICIENTS)), np.float32)
    lips[:10, LIP_COEFFICIENTS.index("jawOpen")] = 0.5
    lips[19, LIP_COEFFICIENTS.index("mouthRollLower")] = 0.6
    scores = P.phone_scores(np.zeros(12_800, np.float32), lips)
    assert scores["opening_open_vowels"] > 3 and scores["opening_closing"] < 0.5
    assert scores["closed_open_vowels"] == 0 and scores["closed_closing"] == 1
    assert scores["tuck_labiodental"] == pytest.approx(0.6), "the frame nearest to a phone without length"
    assert np.isnan(scores["opening_silence"]), "after the end of the track"


def test_recognised_phones_agree_with_lips_that_belong_to_the_voice() -> None:
    pytest.importorskip("pocketsphinx")
    pytest.importorskip("espeakng_loader")
    from thgen.synth.voice.speech import Voice, speak

    said = speak("My mother bought a big blue map. Papa may buy both of them.", Voice("en-us", rate=140))
    scores = P.phone_scores(said.samples, said.lips())
    assert scores["closed_closing"] > scores["closed_open_vowels"] + 0.2
    assert scores["opening_open_vowels"] > scores["opening_closing"] + 1
    still = P.phone_scores(said.samples, np.zeros_like(said.lips()))
    assert still["opening_open_vowels"] == 0 and still["closed_open_vowels"] == 1
