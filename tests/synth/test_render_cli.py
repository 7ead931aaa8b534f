"""`python -m thgen render`: the set of voices is part of what is rendered (its clips: test_clip)."""

import json

import numpy as np
import pytest

from tests.hidden import recorded_voices
from thgen.__main__ import main
from thgen.cli.render import RenderJob, render_shard
from thgen.synth import motion
from thgen.synth.motion import track_states
from thgen.synth.voice import speech

pytest.importorskip("espeakng_loader")


def settings(out, *words) -> int:
    """Exit status of a render of nobody, which writes render.json alone."""
    return main(["render", "--head", "ellipsoid", "--identities", "0", "--out", str(out), *words])


def test_voices_that_are_missing_are_told_before_anything_is_rendered(tmp_path, capsys):
    out = tmp_path / "clips"
    with recorded_voices(False):
        assert settings(out, "--motion", "track", "--voices", "all") == 2
        told = capsys.readouterr().err
        assert "apt install" in told and "--voices espeak" in told and told.count("\n") == 1
        assert not out.exists()
        assert settings(out, "--motion", "track") == 0, "the voices of the wheel do without"
        assert settings(tmp_path / "silent", "--motion", "pairs", "--voices", "all") == 0, "nobody speaks"


def test_clips_of_another_set_of_voices_are_other_clips(tmp_path, capsys):
    config = tmp_path / "render.json"
    assert settings(tmp_path, "--motion", "track") == 0
    written = json.loads(config.read_text())
    assert written["voices"] == "espeak"
    with recorded_voices(True):
        assert settings(tmp_path, "--motion", "track", "--voices", "all") == 2
    assert "other settings" in capsys.readouterr().err
    del written["voices"]  # as before there were sets: whatever was installed
    config.write_text(json.dumps(written))
    assert settings(tmp_path, "--motion", "track") == 2, "nobody knows who speaks in these"
    config.write_text(json.dumps(written | {"motion": "pairs"}))
    assert settings(tmp_path, "--motion", "pairs") == 0, "in these nobody does"


def test_the_voices_of_a_job_are_those_that_are_drawn(tmp_path, monkeypatch):
    asked = []

    def stop(rng, frames, voices):
        asked.append((frames, voices))
        raise InterruptedError

    monkeypatch.setattr(motion, "track_states", stop)
    with pytest.raises(InterruptedError):
        render_shard(RenderJob(str(tmp_path), frames=5, motion="track", head="ellipsoid", voices="all"), 0)
    assert asked == [(5, "all")]


@pytest.mark.parametrize("voices", ["espeak", "all"])
def test_a_track_speaks_with_its_set_of_voices(voices, monkeypatch):
    spoken = []
    speak = speech.speak
    monkeypatch.setattr(speech, "speak", lambda text, voice: spoken.append(voice) or speak(text, voice))
    with recorded_voices(True):
        for seed in range(12):
            track_states(np.random.default_rng(seed), 10, voices)
    assert ("espeak" in {v.engine for v in spoken}) and ({v.engine for v in spoken} == {"espeak"}) == (
        voices == "espeak"
    )
