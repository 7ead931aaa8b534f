"""The table of lips: held-out voices and recordings."""

import json

import numpy as np
import pytest
import torch

from tests.hidden import recorded_voices
from thgen.__main__ import main
from thgen.evaluation.reports import lips as L
from thgen.schema import SAMPLE_RATE


@pytest.mark.parametrize(("voices", "splits"), [("espeak", 2), ("all", 3)])
@pytest.mark.parametrize("installed", [True, False])
def test_held_out_sets_are_those_of_the_voices_asked_for(voices, splits, installed, monkeypatch):
    """The rows do not depend on what this machine has installed."""
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
    said = capsys.readouterr().err
    assert said.count("package-of-") == 15, "all of the set, not the first that is drawn"
    assert not list(tmp_path.iterdir())


@pytest.mark.weights
@pytest.mark.parametrize(("words", "voices"), [([], "espeak"), (["--voices", "all"], "all")])
def test_the_report_says_which_voices_were_measured(words, voices, tmp_path, monkeypatch):
    scores = {"opening": 0.8, "closed_recall": 0.9, "closed_false": 0.1, "opening_error": 1.5, "jawOpen": 0.7}
    monkeypatch.setattr(L, "held_out", lambda model, clips, voices: {voices: scores})
    with recorded_voices(True):
        assert main(["evaluate", "lips", "--out", str(tmp_path), *words]) == 0
    report = json.loads((tmp_path / "lips.json").read_text())
    assert report["settings"]["voices"] == voices
    assert report["rows"][0] == {"held-out set": voices, "opening, r": 0.8, "closures found, %": 90,
                                 "open taken for closed, %": 10, "opening error, %": 1.5}  # fmt: skip
    assert report["details"]["held_out"] == {voices: scores}, "the JSON holds every score"


def test_recordings_have_a_table_of_their_own():
    phones = {f"opening_{kind}": 1.0 for kind in ("open_vowels", "narrow_vowels", "other_consonants", "closing",
                                                  "silence")}  # fmt: skip
    scores = {"silence_opening_%": {"mean": 3.0, "worst": 7.0}, "phones": {**phones, "closed_closing": 0.75}}
    text = L.report_of({}, {"a.wav": scores}, 0, "espeak").markdown()
    assert "| a.wav | 3.00 | 7.00 | 1.00 | 1.00 | 1.00 | 1.00 | 1.00 | 75.00 |" in text
    assert not L.report_of({}, {}, 0, "espeak").parts


def test_a_plot_is_written(tmp_path):
    pytest.importorskip("matplotlib")
    L.plot_opening(
        np.zeros(SAMPLE_RATE, np.float32) + 0.01, np.zeros((25, 21), np.float32), "t", tmp_path / "o" / "p.png"
    )
    assert (tmp_path / "o" / "p.png").stat().st_size > 1000
