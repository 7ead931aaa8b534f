"""Voice activity: mask of speech and mouth gate."""

import doctest

import numpy as np
import pytest

from thgen.audio import voice_activity
from thgen.errors import AudioError
from thgen.schema import SAMPLE_RATE, SAMPLES_PER_FRAME


def noise(seconds: float, seed: int = 0, level: float = 0.1) -> np.ndarray:
    wave = np.random.default_rng(seed).standard_normal(int(seconds * SAMPLE_RATE))
    return (level * wave).astype(np.float32)


@pytest.fixture(scope="module")
def spoken():
    """About 2.4 s of speech between 1.5 s and 2 s of silence: (samples, seconds of its start and end)."""
    pytest.importorskip("espeakng_loader")
    from thgen.synth.voice.speech import Voice, joined, speak

    said = speak("Bob put a big map on the table.", Voice("en-us", rate=160))
    whole = joined([said], [1.5, 2.0])
    return whole.samples, 1.5, 1.5 + len(said.samples) / SAMPLE_RATE


def test_examples_in_the_docstrings():
    result = doctest.testmod(voice_activity)
    assert result.attempted and not result.failed


@pytest.mark.parametrize("bad", [np.zeros(0, np.float32), np.zeros((2, 100), np.float32), np.full(100, np.nan)])
def test_unusable_samples_are_refused(bad):
    with pytest.raises(AudioError):
        voice_activity.speech_mask(bad, 5)


def test_the_mask_covers_speech_and_not_silence(spoken):
    samples, start, end = spoken
    mask = voice_activity.speech_mask(samples, len(samples) // SAMPLES_PER_FRAME)
    times = (np.arange(len(mask)) + 0.5) / 25
    assert mask[(times > start + 0.05) & (times < end - 0.25)].mean() > 0.98
    assert not mask[times < start - 0.35].any() and not mask[times > end + 0.45].any()


@pytest.mark.parametrize("gain", [0.003, 0.05, 1.0])
def test_the_mask_does_not_depend_on_the_level(spoken, gain):
    samples, start, end = spoken
    mask = voice_activity.speech_mask(samples * np.float32(gain), len(samples) // SAMPLES_PER_FRAME)
    assert mask.mean() * len(samples) / SAMPLE_RATE == pytest.approx(end - start, abs=0.5)


def test_no_speech_in_silence_and_noise():
    assert not voice_activity.speech_mask(np.zeros(SAMPLE_RATE, np.float32), 25).any()
    assert voice_activity.speech_mask(noise(3.0, level=0.001), 75).mean() < 0.1
    assert voice_activity.speech_mask(np.zeros(100, np.float32), 1).shape == (1,)


def test_the_gate_is_open_in_speech_shut_in_silence_and_smooth():
    mask = np.zeros(60, bool)
    mask[20:30] = True
    gate = voice_activity.mouth_gate(mask)
    assert (gate[20:30] == 1).all() and (gate[:17] == 0).all() and (gate[33:] == 0).all()
    assert np.abs(np.diff(gate)).max() < 0.51 and gate[18] == gate[31]
    assert not voice_activity.mouth_gate(np.zeros(10, bool)).any()


def test_detecting_speech_leaves_torch_threads_alone(spoken):
    import torch

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        voice_activity._voice_detector.cache_clear()
        voice_activity.voice_probability(spoken[0])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_short_pause_closes_the_mouth_but_a_plosive_does_not():
    pytest.importorskip("espeakng_loader")
    from thgen.synth.voice.speech import Voice, joined, speak

    said = speak("Papa packed a cap.", Voice("en-us", rate=150))
    length = len(said.samples) / SAMPLE_RATE
    whole = joined([said, said], [0.3, 0.4, 0.5])
    gate = voice_activity.mouth_gate(voice_activity.speech_mask(whole.samples, whole.frames))
    times = (np.arange(whole.frames) + 0.5) / 25
    assert gate[(times > 0.32) & (times < 0.3 + length - 0.15)].min() == 1
    pause = (times > 0.3 + length) & (times < 0.7 + length)
    assert gate[pause].min() == 0
