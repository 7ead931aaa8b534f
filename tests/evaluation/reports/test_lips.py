"""Scores of lips."""

import json

import numpy as np
import pytest
import torch

from tests.hidden import recorded_voices
from thgen.__main__ import main
from thgen.evaluation.reports import lips as L
from thgen.schema import SAMPLE_RATE


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
    from thgen.synth.voice.speech import Voice, speak

    said = speak("My mother bought a big blue map. Papa may buy both of them.", Voice("en-us", rate=140))
    judged = L.phone_judge(said.samples, said.lips())
    assert judged["closed_closing"] > judged["closed_open_vowels"] + 0.2
    assert judged["opening_open_vowels"] > judged["opening_closing"] + 1
    still = L.phone_judge(said.samples, np.zeros_like(said.lips()))
    assert still["opening_open_vowels"] == 0 and still["closed_open_vowels"] == 1


@pytest.mark.parametrize(("voices", "splits"), [("espeak", 2), ("all", 3)])
@pytest.mark.parametrize("installed", [True, False])
def test_held_out_sets_are_those_of_the_voices_asked_for(voices, splits, installed, monkeypatch):
    """Whatever is installed: rows do not come and go with the machine."""
    asked = []

    def clip(seed, seconds, split, clean, voices):
        asked.append((split, voices))
        return np.zeros(640 * 25, np.float32), None, np.zeros((25, 21), np.float32)

    monkeypatch.setattr("thgen.synth.voice.recorded.recorded_clip", clip)
    monkeypatch.setattr("thgen.methods.rig.voice.encode_lips", lambda model, samples, n: torch.zeros(n, 21))
    names = ("new_voices", "new_languages", "new_recorded")[:splits]
    with recorded_voices(installed):
        rows = L.held_out(None, clips=1, voices=voices)
    assert list(rows) == [name + kind for name in names for kind in ("", "/recorded")]
    assert list(dict.fromkeys(asked)) == [(name, voices) for name in names]


def test_voices_that_are_missing_are_told_before_anything_is_measured(tmp_path, capsys):
    with recorded_voices(False):
        assert main(["evaluate", "lips", "--voices", "all", "--out", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert told.count("package-of-") == 15, "all of the set, not the first that is drawn"
    assert not list(tmp_path.iterdir())


def test_the_report_says_which_voices_were_heard(tmp_path, monkeypatch):
    monkeypatch.setattr(L, "held_out", lambda model, clips, voices: {"heard": {voices: 1.0}})
    for words, told in (([], "espeak"), (["--voices", "all"], "all")):
        with recorded_voices(True):
            assert main(["evaluate", "lips", "--out", str(tmp_path), *words]) == 0
        report = json.loads((tmp_path / "lips.json").read_text())
        assert report["voices"] == told and report["held_out"] == {"heard": {told: 1.0}}


def test_a_plot_is_written(tmp_path):
    pytest.importorskip("matplotlib")
    L.plot_opening(
        np.zeros(SAMPLE_RATE, np.float32) + 0.01, np.zeros((25, 21), np.float32), "t", tmp_path / "o" / "p.png"
    )
    assert (tmp_path / "o" / "p.png").stat().st_size > 1000
