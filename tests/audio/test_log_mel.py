"""Log-mel and level of a voice."""

import doctest

import numpy as np
import pytest

from thgen.audio import log_mel as audio
from thgen.errors import AudioError
from thgen.schema import SAMPLE_RATE, SAMPLES_PER_FRAME


def noise(seconds: float, seed: int = 0, level: float = 0.1) -> np.ndarray:
    wave = np.random.default_rng(seed).standard_normal(int(seconds * SAMPLE_RATE))
    return (level * wave).astype(np.float32)


def test_mel_filters_sum_to_one_and_rise_in_pitch():
    filters = audio.mel_filters()
    assert filters.shape == (80, 257) and filters.dtype == np.float32
    np.testing.assert_allclose(filters.sum(1), 1, atol=1e-5)
    centres = filters @ np.fft.rfftfreq(512, 1 / SAMPLE_RATE)
    assert (np.diff(centres) > 0).all() and centres[0] > 60 and centres[-1] < 7600


def test_examples_in_the_docstrings():
    result = doctest.testmod(audio)
    assert result.attempted and not result.failed


@pytest.mark.parametrize("frame", [0, 7, 24])
def test_a_click_in_the_middle_of_a_frame_is_loudest_in_that_frame(frame):
    samples = np.zeros(25 * SAMPLES_PER_FRAME, np.float32)
    samples[frame * SAMPLES_PER_FRAME + SAMPLES_PER_FRAME // 2] = 1.0
    energy = audio.log_mel(samples, 25, level=-40.0).mean(0)
    # The click lies between the second and the third of the frame's four columns; both have the same energy.
    assert set(np.argsort(energy)[-2:]) == {4 * frame + 1, 4 * frame + 2}
    assert np.abs(energy[4 * frame + 1] - energy[4 * frame + 2]) < 0.02


def test_columns_are_centred_on_80_plus_160_m():
    samples = np.zeros(SAMPLE_RATE, np.float32)
    samples[160 * 30 + 80] = 1.0
    energy = audio.log_mel(samples, 25, level=-40.0).mean(0)
    assert energy.argmax() == 30 and energy[29] == pytest.approx(energy[31], abs=0.02)


def test_any_split_gives_the_same_columns():
    samples = noise(4.0)
    level = audio.voice_level(samples)
    whole = audio.log_mel(samples, 100, level)
    for size, context in ((7, 3), (40, 13), (100, 5)):
        for t0, t1, mel in audio.mel_chunks(samples, 100, size, context):
            left = max(t0 - context, 0)
            np.testing.assert_allclose(mel, whole[:, 4 * left : 4 * left + mel.shape[1]], atol=1e-5)
            assert mel.shape[1] == 4 * (min(t1 + context, 100) - left)


def test_frames_after_the_sound_are_silence():
    mel = audio.log_mel(noise(0.4), 20, level=-20.0)
    assert mel.shape == (80, 80) and (mel[:, 44:] == -1).all() and (mel[:, :36] > -1).all()


def test_mel_does_not_depend_on_the_level_of_the_recording():
    samples = noise(2.0)
    near = audio.log_mel(samples, 50, audio.voice_level(samples))
    far = audio.log_mel(samples * 0.01, 50, audio.voice_level(samples * 0.01))
    assert np.abs(near - far).max() < 0.03


def test_level_ignores_silence_and_clicks():
    voice = noise(2.0, level=0.1)
    assert audio.voice_level(voice) == pytest.approx(-20, abs=0.6)
    padded = np.concatenate([np.zeros(60 * SAMPLE_RATE, np.float32), voice])
    assert audio.voice_level(padded) == pytest.approx(audio.voice_level(voice), abs=0.6)
    clicked = voice.copy()
    clicked[5000:5040] = 1.0
    assert audio.voice_level(clicked) == pytest.approx(-20, abs=1.0)
    assert audio.voice_level(np.zeros(1000, np.float32)) == -100


@pytest.mark.parametrize("bad", [np.zeros(0, np.float32), np.zeros((2, 100), np.float32), np.full(100, np.nan)])
def test_unusable_samples_are_refused(bad):
    with pytest.raises(AudioError):
        audio.voice_level(bad)
