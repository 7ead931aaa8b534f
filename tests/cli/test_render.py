"""`python -m thgen render`: sets of voices, and interrupts (see test_clip for the clips)."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.hidden import recorded_voices
from thgen.__main__ import main
from thgen.cli import render
from thgen.cli.render import RenderJob, render_shard
from thgen.synth import motion
from thgen.synth.motion import track_states
from thgen.synth.voice import speech

pytest.importorskip("espeakng_loader")


def settings(out, *words) -> int:
    """Exit status of a render without identities, which writes only render.json."""
    return main(["render", "--head", "ellipsoid", "--identities", "0", "--out", str(out), *words])


def test_missing_voices_are_an_error_before_the_render(tmp_path, capsys):
    out = tmp_path / "clips"
    with recorded_voices(False):
        assert settings(out, "--motion", "track", "--voices", "all") == 2
        message = capsys.readouterr().err
        assert "apt install" in message and "--voices espeak" in message and message.count("\n") == 1
        assert not out.exists()
        assert settings(out, "--motion", "track") == 0, "the voices of the wheel need no packages"
        assert settings(tmp_path / "silent", "--motion", "pairs", "--voices", "all") == 0, "pairs need no voices"


def test_another_set_of_voices_is_another_setting(tmp_path, capsys):
    config = tmp_path / "render.json"
    assert settings(tmp_path, "--motion", "track") == 0
    written = json.loads(config.read_text())
    assert written["voices"] == "espeak"
    with recorded_voices(True):
        assert settings(tmp_path, "--motion", "track", "--voices", "all") == 2
    assert "other settings" in capsys.readouterr().err
    del written["voices"]  # as written before there were sets of voices
    config.write_text(json.dumps(written))
    assert settings(tmp_path, "--motion", "track") == 2, "the voices of these clips are unknown"
    config.write_text(json.dumps(written | {"motion": "pairs"}))
    assert settings(tmp_path, "--motion", "pairs") == 0, "pairs have no voices"


def test_a_job_passes_its_voices_and_gestures_on(tmp_path, monkeypatch):
    calls = []

    def stop(rng, frames, voices, gestures):
        calls.append((frames, voices, gestures))
        raise InterruptedError

    monkeypatch.setattr(motion, "track_states", stop)
    with pytest.raises(InterruptedError):
        job = RenderJob(str(tmp_path), frames=5, motion="track", head="ellipsoid", voices="all", gestures=0.5)
        render_shard(job, 0)
    assert calls == [(5, "all", 0.5)]


@pytest.mark.parametrize("voices", ["espeak", "all"])
def test_a_track_uses_its_set_of_voices(voices, monkeypatch):
    spoken = []
    speak = speech.speak
    monkeypatch.setattr(speech, "speak", lambda text, voice: spoken.append(voice) or speak(text, voice))
    with recorded_voices(True):
        for seed in range(12):
            track_states(np.random.default_rng(seed), 10, voices)
    assert ("espeak" in {v.engine for v in spoken}) and ({v.engine for v in spoken} == {"espeak"}) == (
        voices == "espeak"
    )


def test_an_interrupted_render_renders_no_more(tmp_path, monkeypatch):
    """Workers used to render all that was left before the command ended."""
    rendered = []

    def shard(job, number):
        time.sleep(0.05)
        rendered.append(number)
        if number == 1:
            raise KeyboardInterrupt
        return 1

    monkeypatch.setattr(render, "render_shard", shard)
    monkeypatch.setattr(render, "ProcessPoolExecutor", lambda workers, _: ThreadPoolExecutor(workers))
    words = ["--identities", "1000", "--workers", "1", "--out", str(tmp_path)]
    assert main(["render", "--head", "ellipsoid", *words]) != 0
    assert 2 <= len(rendered) < 10 < 1000 / 25
