"""Wav2Lip's mel spectrogram against its definition, computed sample by sample."""

import doctest

import librosa
import numpy as np
import pytest

from thgen.audio import mel, wav2lip_mel
from thgen.audio.wav2lip_mel import first_mel, mel_spectrogram, mel_windows


def by_definition(samples, m):
    sharp = np.append(samples[0], samples[1:] - 0.97 * samples[:-1])
    frame = np.zeros(800)
    for k in range(800):
        n = 200 * m - 400 + k
        n = -n if n < 0 else n
        n = 2 * (len(samples) - 1) - n if n >= len(samples) else n
        frame[k] = sharp[n] * (0.5 - 0.5 * np.cos(2 * np.pi * k / 800))
    magnitude = np.abs([np.sum(frame * np.exp(-2j * np.pi * b * np.arange(800) / 800)) for b in range(401)])
    filters = librosa.filters.mel(sr=16000, n_fft=800, n_mels=80, fmin=55, fmax=7600)
    decibel = 20 * np.log10(np.maximum(1e-5, filters @ magnitude)) - 20
    return np.clip(8 * (decibel + 100) / 100 - 4, -4, 4)


def test_frames_equal_the_definition():
    samples = np.random.default_rng(0).normal(0, 0.2, 3000)
    found = mel_spectrogram(samples)
    assert found.shape == (80, 16)
    for m in (0, 1, 7, 15):
        assert found[:, m] == pytest.approx(by_definition(samples, m), abs=1e-4)


@pytest.mark.parametrize("length", [0, 1, 2, 399, 641])
def test_short_sounds_have_frames_too(length):
    found = mel_spectrogram(np.full(length, 0.1))
    assert found.shape == (80, 1 + length // 200) and np.isfinite(found).all()


def test_silence_is_the_lowest_value_and_the_level_counts():
    assert (mel_spectrogram(np.zeros(2000)) == -4).all()
    quiet = np.random.default_rng(1).normal(0, 0.01, 4000)
    louder = mel_spectrogram(10 * quiet) - mel_spectrogram(quiet)
    assert np.median(louder) == pytest.approx(8 * 20 / 100, abs=1e-3), "20 dB of the 100 dB that are 8 wide"
    assert mel.mel_spectrogram(quiet) == pytest.approx(mel.mel_spectrogram(10 * quiet), abs=1e-5)


def test_each_window_is_centred_on_its_video_frame():
    """A click in the middle of video frame 6 lies in the middle of its window."""
    samples = np.zeros(16_000)
    samples[640 * 6 + 320] = 1.0
    loud = mel_windows(mel_spectrogram(samples), 25)[6, 0].mean(0)
    heard = np.flatnonzero(loud > loud.min() + 0.1)
    assert (heard[0] + heard[-1]) / 2 == pytest.approx(7.5, abs=1.0)


def test_windows_are_those_of_five_frames_and_repeat_the_ends():
    marked = np.tile(np.arange(40, dtype=np.float32), (80, 1))
    windows = mel_windows(marked, 12)
    for frame in range(2, 9):
        assert windows[frame, 0, 0, 0] == first_mel(frame - 2)
    assert windows[0, 0, 0].tolist() == [0] * 7 + list(range(1, 10)), "from -6 on"
    assert windows[11, 0, 0].tolist() == [*range(28, 40), 39, 39, 39, 39]


def test_examples_in_the_docstrings():
    result = doctest.testmod(wav2lip_mel)
    assert result.attempted and not result.failed
