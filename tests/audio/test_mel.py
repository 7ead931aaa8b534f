"""The mel spectrogram against its definition, computed sample by sample."""

import doctest
import subprocess
import sys

import librosa
import numpy as np
import pytest

from thgen.audio import mel as mel_module
from thgen.audio.mel import CENTRED, mel_spectrogram, mel_windows


def by_definition(samples, m):
    level = samples / max(np.sqrt((samples**2).mean()), 1e-4) * 0.1
    frame = np.zeros(1280)
    for k in range(1280):
        n = 160 * m - 1120 + k
        if 0 <= n < len(samples):
            frame[k] = level[n] * 0.5 * np.sin(np.pi * (k + 0.5) / 1280)
    magnitude = np.abs([np.sum(frame * np.exp(-2j * np.pi * b * np.arange(1280) / 1280)) for b in range(641)])
    filters = librosa.filters.mel(sr=16000, n_fft=1280, n_mels=80, fmin=125, fmax=7600)
    decibel = 20 * np.log10(np.maximum(1e-5, filters @ magnitude)) - 20
    return np.clip((decibel + 100) / 100, 0, 1)


@pytest.mark.parametrize("length", [1, 159, 160, 1601, 4000])
def test_there_are_as_many_frames_as_windows_that_overlap_the_sound(length):
    assert mel_spectrogram(np.ones(length)).shape == (80, 7 + int(np.ceil(length / 160)))


def test_frames_equal_the_definition():
    samples = np.random.default_rng(0).normal(0, 0.2, 3000)
    mel = mel_spectrogram(samples)
    for m in (0, 5, 13, mel.shape[1] - 1):
        assert mel[:, m] == pytest.approx(by_definition(samples, m), abs=1e-5)


def test_the_level_does_not_matter_and_silence_is_zero():
    samples = np.random.default_rng(1).normal(0, 0.1, 2000)
    assert mel_spectrogram(samples) == pytest.approx(mel_spectrogram(7 * samples), abs=1e-5)
    assert (mel_spectrogram(np.zeros(2000)) == 0).all() and mel_spectrogram(np.zeros(0)).shape == (80, 7)


def test_each_video_frame_gets_the_mel_frames_around_it():
    mel = np.tile(np.arange(1, 48, dtype=np.float32), (80, 1))  # frame m holds m + 1
    windows = mel_windows(mel, 12)
    assert windows.shape == (12, 1, 80, 20)
    assert windows[2, 0, 0].tolist() == list(range(1, 21)), "frame 2 starts with mel frame 0"
    assert windows[5, 0, 3, 0] == 13
    assert (windows[0, 0, :, :8] == 0).all() and windows[0, 0, 0, 8] == 1, "before the start there is silence"
    assert windows[11, 0, 0, :11].tolist() == list(range(37, 48)) and (windows[11, 0, 0, 11:] == 0).all()


def test_centred_windows_are_one_video_frame_later():
    mel = np.tile(np.arange(1, 48, dtype=np.float32), (80, 1))
    assert (mel_windows(mel, 12, CENTRED)[:11] == mel_windows(mel, 12)[1:]).all()
    assert mel_windows(mel, 12, CENTRED)[1, 0, 0, 0] == 1, "frame 1 starts with mel frame 0"


def test_examples_in_the_docstrings():
    result = doctest.testmod(mel_module)
    assert result.attempted and not result.failed


def test_librosa_is_imported_when_it_is_needed():
    modules = "thgen.audio.mel, thgen.audio.log_mel, thgen.audio.voice_activity, thgen.synth.voice.augment"
    code = f"import sys, {modules}; sys.exit('librosa' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
