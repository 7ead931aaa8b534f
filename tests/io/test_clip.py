"""Driving clips: every frame rate, size, pixel format and container becomes RGB at 25 fps."""

import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile

from tests.io.media_files import ffmpeg, make_video, still, tone
from thgen.errors import ClipError
from thgen.io import clip
from thgen.io.clip import read_clip
from thgen.io.sound import read_audio
from thgen.schema import FPS, SAMPLE_RATE


def counter_video(path: Path, fps: float, seconds: float) -> Path:
    """A video whose grey level shows its time: 100 levels per second."""
    ffmpeg("-f", "lavfi", "-i", f"color=black:s=64x48:r={fps}:d={seconds}", "-vf",
           "geq=lum='16+100*T':cb=128:cr=128,scale=out_range=tv", "-c:v", "libx264", "-qp", "4", path)  # fmt: skip
    return path


@pytest.mark.parametrize("fps", [10, 23.976, 25, 30, 60])
def test_any_frame_rate_becomes_25(tmp_path, fps):
    frames = list(read_clip(counter_video(tmp_path / "v.mp4", fps, 2)))
    assert abs(len(frames) - 50) <= 25 / fps + 1e-6
    levels = np.array([f.mean() for f in frames])
    expected = np.arange(len(frames)) / FPS * 100 * 255 / 219
    assert np.abs(levels - expected).max() < 100 * 255 / 219 * (1 / fps + 0.012)


def test_rotated_video_becomes_upright(tmp_path):
    make_video(tmp_path / "v.mp4", 5)
    ffmpeg("-display_rotation", "90", "-i", tmp_path / "v.mp4", "-c", "copy", tmp_path / "r.mp4")
    assert next(read_clip(tmp_path / "r.mp4")).shape == (64, 48, 3)


def test_stretched_pixels_are_made_square(tmp_path):
    ffmpeg("-f", "lavfi", "-i", "color=red:s=64x64:d=0.2", "-vf", "setsar=2", tmp_path / "v.mp4")
    assert next(read_clip(tmp_path / "v.mp4")).shape == (64, 128, 3)


def test_large_video_is_scaled_down(tmp_path):
    ffmpeg("-f", "lavfi", "-i", "color=red:s=3840x2160:d=0.2", "-preset", "ultrafast", tmp_path / "v.mp4")
    frame = next(read_clip(tmp_path / "v.mp4"))
    assert frame.shape == (1080, 1920, 3) and frame.flags.writeable


def test_closing_a_clip_ends_ffmpeg(tmp_path, monkeypatch):
    started = []
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: started.append(popen(*a, **k)) or started[-1])
    frames = read_clip(make_video(tmp_path / "v.mp4", 200))
    next(frames)
    frames.close()
    assert started[-1].poll() is not None


def test_bad_clips(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", tone(1), SAMPLE_RATE)
    (tmp_path / "t.mp4").write_text("not a video")
    whole = make_video(tmp_path / "v.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 3])
    for name, says in (("a.wav", "no picture"), ("t.mp4", "not a sound or video"), ("none.mp4", "no video file")):
        with pytest.raises(ClipError, match=says):
            list(read_clip(tmp_path / name))
    with pytest.raises(ClipError):
        list(read_clip(tmp_path / "cut.mp4"))
    monkeypatch.setattr(clip, "CLIP_MAX_SECONDS", -0.5)
    with pytest.raises(ClipError, match="longer than"):
        read_clip(tmp_path / "v.mp4")
    monkeypatch.setattr(clip, "FRAME_MAX_PIXELS", 100)
    with pytest.raises(ClipError, match="64x48"):
        read_clip(tmp_path / "v.mp4")


def test_cover_art_is_no_video(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(1), SAMPLE_RATE)
    cv2.imwrite(str(tmp_path / "c.png"), still())
    ffmpeg("-i", tmp_path / "a.wav", "-i", tmp_path / "c.png", "-map", "0", "-map", "1", "-c:v", "copy",
           "-disposition:v", "attached_pic", tmp_path / "a.mp3")  # fmt: skip
    assert read_audio(tmp_path / "a.mp3").size >= SAMPLE_RATE
    with pytest.raises(ClipError, match="no picture"):
        read_clip(tmp_path / "a.mp3")
