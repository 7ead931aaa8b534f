"""The real engine behind the page: what it loads, when, and where; with a tiny method in place of trained weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from thgen import media as media_files
from thgen import pipeline
from thgen.errors import AudioError, WeightsError
from thgen.pipeline import Request
from thgen.ui.engine import PipelineEngine


@pytest.fixture
def loads(monkeypatch):
    """Record what is loaded; a "loaded method" is then just its arguments."""
    seen = []

    def load(method, device=None):
        seen.append((method, device))
        return seen[-1]

    monkeypatch.setattr(pipeline.Session, "load", load)
    return seen


def test_nothing_is_loaded_before_it_is_needed_and_then_once(loads):
    engine = PipelineEngine()
    assert loads == []
    assert engine.load("rig") is engine.load("rig", "preview")
    assert loads == [("rig", None)]


def test_stills_may_be_made_elsewhere_than_videos(loads):
    engine = PipelineEngine(device="cuda", preview_device="cpu")
    engine.load("rig", "preview")
    engine.load("rig")
    assert loads == [("rig", "cpu"), ("rig", "cuda")]


def test_preloading_survives_missing_weights(monkeypatch):
    def load(method, device=None):
        raise WeightsError("There are no weights.")

    monkeypatch.setattr(pipeline.Session, "load", load)
    engine = PipelineEngine(preload=True)
    with pytest.raises(WeightsError):
        engine.load("rig")


def test_stills_and_videos_go_through_the_pipeline(loads, monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(pipeline, "preview", lambda request, session: calls.append((request, session)) or "still")
    monkeypatch.setattr(pipeline, "render_video",
                        lambda request, out, progress, session: calls.append((out, session)) or "result")  # fmt: skip
    engine, request, told = PipelineEngine(), Request("me.jpg"), []
    assert engine.preview(request) == "still"
    assert engine.render_video(request, tmp_path / "a.mp4", lambda f, t: told.append(t)) == "result"
    assert calls == [(request, ("rig", None)), (tmp_path / "a.mp4", ("rig", None))] and told == ["Loading the weights"]


def test_seconds_come_from_the_headers(media, tmp_path):
    engine, photo = PipelineEngine(), media / "portrait_1.png"
    assert engine.seconds(Request(photo, media / "voice_1.wav")) == pytest.approx(0.6, abs=0.02)
    with pytest.raises(AudioError):
        engine.seconds(Request(photo, media / "broken.jpg"))
    frames = [media_files.read_photo(photo)] * 5
    clip = tmp_path / "clip.mp4"
    media_files.write_mp4(clip, frames, (96, 96), 5, media / "voice_1.wav")
    assert engine.seconds(Request(photo, None, {"pose": Path(clip)})) > 0.1
