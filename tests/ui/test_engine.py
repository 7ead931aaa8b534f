"""The engine of the app: what it loads, when, and on which device. A tiny method replaces trained weights."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pytest

from tests.fake_method import FakeSession
from thgen import pipeline
from thgen.errors import AudioError, WeightsError
from thgen.io.mp4 import write_mp4
from thgen.io.photo import read_photo
from thgen.io.sound import read_audio
from thgen.pipeline import available_methods
from thgen.request import Request
from thgen.ui.engine import PipelineEngine
from thgen.ui.session import PageSession


@pytest.fixture
def loads(monkeypatch):
    """Records the loaded methods. A "loaded method" is the tuple of its arguments."""
    calls = []

    def load(method, device=None, networks=None):
        calls.append((method, device))
        return calls[-1]

    monkeypatch.setattr(pipeline.Session, "load", load)
    return calls


def test_nothing_is_loaded_before_it_is_needed_and_then_once(loads):
    engine = PipelineEngine()
    assert loads == []
    assert engine.load("rig") is engine.load("rig", "preview")
    assert loads == [("rig", None)]


def test_stills_may_be_made_elsewhere_than_videos(loads):
    engine = PipelineEngine(device="cuda", preview_device="cpu")
    engine.preload()
    engine.load("rig", "preview")
    engine.load("rig")
    assert loads == [(method, device) for method in available_methods() for device in ("cuda", "cpu")]


def test_preloading_survives_missing_weights(monkeypatch):
    def load(method, device=None, networks=None):
        raise WeightsError("There are no weights.")

    monkeypatch.setattr(pipeline.Session, "load", load)
    engine = PipelineEngine()
    engine.preload()
    with pytest.raises(WeightsError):
        engine.load("rig")


def test_stills_and_videos_go_through_the_pipeline(loads, monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(pipeline, "preview", lambda request, session: calls.append((request, session)) or "still")
    monkeypatch.setattr(pipeline, "render_video", lambda _, out, *more: calls.append((out, more[1])) or "result")
    engine, request, reports = PipelineEngine(), Request(photo="me.jpg"), []
    assert engine.preview(request) == "still"
    assert engine.render_video(request, tmp_path / "a.mp4", lambda f, t: reports.append(t)) == "result"
    assert calls == [(request, ("rig", None)), (tmp_path / "a.mp4", ("rig", None))]
    assert reports == ["Loading the weights"]


def test_seconds_come_from_the_headers(media, tmp_path):
    engine, photo = PipelineEngine(), media / "portrait_1.png"
    assert engine.seconds(Request(photo=photo, audio=media / "voice_1.wav")) == pytest.approx(0.6, abs=0.02)
    with pytest.raises(AudioError):
        engine.seconds(Request(photo=photo, audio=media / "broken.jpg"))
    frames = [read_photo(photo)] * 5
    clip = tmp_path / "clip.mp4"
    write_mp4(clip, frames, (96, 96), 5, read_audio(media / "voice_1.wav"))
    assert engine.seconds(Request(photo=photo, drivers={"pose": Path(clip)})) > 0.1


@pytest.fixture
def real_path(monkeypatch, media):
    """The page's session with the real pipeline, a small method and a small face finder."""
    loaded = FakeSession()
    monkeypatch.setattr(pipeline.Session, "load", lambda method, device=None, networks=None: loaded)
    return PageSession(PipelineEngine(), examples=media)


def slow_frames(monkeypatch) -> None:
    """Slow windows, so that each one is reported."""
    at_full_speed = pipeline.frames_of

    def frames_of(plan, request, session):
        for window in at_full_speed(plan, request, session):
            time.sleep(0.3)
            yield window

    monkeypatch.setattr(pipeline, "frames_of", frames_of)


def test_the_whole_path_behind_the_page(real_path, monkeypatch):
    slow_frames(monkeypatch)
    fields = {**real_path.example_rows()[1], "size": 128, "paste_back": False}
    *steps, last = list(read_while_there(real_path, fields))
    video, header, info = last
    assert header == b"ftyp" and not video.exists()
    assert info["frames"] == 15 and info["weights"][0]["name"] == "fake" and info["method"] == "rig"
    assert any("Frame" in text for text in steps)


def read_while_there(session, fields):
    for update in session.generate(fields):
        if update.finished is None:
            yield update.text
        else:
            video = update.finished.video
            result = video, video.read_bytes()[4:8], update.finished.info
    yield result


def test_stopping_the_true_pipeline_leaves_no_file(real_path, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    slow_frames(monkeypatch)
    running = real_path.generate({**real_path.example_rows()[0], "size": 128})
    next(running)
    assert list(tmp_path.glob("thgen_*"))
    running.close()
    end = time.monotonic() + 10
    while list(tmp_path.iterdir()) and time.monotonic() < end:
        time.sleep(0.05)
    assert not list(tmp_path.iterdir())


def test_stills_of_the_true_pipeline_follow_a_slider(real_path):
    fields = {"photo": real_path.example_rows()[0]["photo"]}
    straight, turned = real_path.quick_preview(fields), real_path.quick_preview({**fields, "pose.yaw": 20})
    assert straight.shape == (256, 256, 3) and (straight != turned).any()


@pytest.mark.slow
def test_the_bundled_weights_behind_the_page(media):
    """An example's portrait with the real engine and a short sound."""
    session = PageSession()
    fields = {**session.example_rows()[0], "audio": str(media / "voice_1.wav"), "size": 128, "max_side": 256}
    *_, last = read_while_there(session, fields)
    _, header, info = last
    assert header == b"ftyp" and info["frames"] == 15
    assert [w["name"] for w in info["weights"]] == ["analyser", "face_encoder", "audio", "rig"] and not info["warnings"]
    straight, turned = session.quick_preview(fields), session.quick_preview({**fields, "pose.yaw": 25})
    assert abs(straight.astype(int) - turned).mean() > 2
