"""Small media files for the tests of `thgen.io`, made with the ffmpeg command line and soundfile."""

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np

from thgen.io.mp4 import write_mp4
from thgen.schema import SAMPLE_RATE

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


def ffmpeg(*arguments: object) -> str:
    command = [FFMPEG, "-hide_banner", "-y", *(str(a) for a in arguments)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0 or arguments[-1] == "-" or "At least one output" in run.stderr, run.stderr[-500:]
    return run.stderr


def tone(seconds: float, rate: int = SAMPLE_RATE) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * 220 * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def click(seconds: float, at: float, rate: int = SAMPLE_RATE) -> np.ndarray:
    """Silence with 20 ms of a loud tone that starts at `at` seconds."""
    samples = np.zeros(int(seconds * rate), np.float32)
    begin = round(at * rate)
    samples[begin : begin + rate // 50] = 0.9 * np.sin(2 * np.pi * 1000 * np.arange(rate // 50) / rate + 0.5)
    return samples


def onset(samples: np.ndarray) -> float:
    """Seconds at which a click begins."""
    return float(np.argmax(np.abs(samples) > 0.25)) / SAMPLE_RATE


def still(value: int = 90, size: tuple[int, int] = (64, 48)) -> np.ndarray:
    return np.full((size[1], size[0], 3), value, np.uint8)


def make_video(path: Path, count: int = 25, audio=None, size=(64, 48)) -> Path:
    return write_mp4(path, (still(9 * (i % 25), size) for i in range(count)), size, count, audio)
