"""Mel, level and voice activity."""

import librosa
import numpy as np
import pytest

from thgen.audio import log_mel as audio
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


def test_mel_filters_are_librosas():
    reference = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=512, n_mels=audio.MEL_BINS, fmin=60, fmax=7600, norm=None)
    np.testing.assert_allclose(audio.mel_filters(), reference / reference.sum(1, keepdims=True), atol=1e-5)


@pytest.mark.parametrize("frame", [0, 7, 24])
def test_a_click_in_the_middle_of_a_frame_is_seen_in_that_frame(frame):
    samples = np.zeros(25 * SAMPLES_PER_FRAME, np.float32)
    samples[frame * SAMPLES_PER_FRAME + SAMPLES_PER_FRAME // 2] = 1.0
    energy = audio.log_mel(samples, 25, level=-40.0).mean(0)
    # The click lies between the second and the third of the frame's four columns; both see it alike.
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


def test_mel_does_not_depend_on_how_loud_the_recording_is():
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
    with pytest.raises(AudioError):
        audio.speech_mask(bad, 5)


def test_speech_is_found_where_it_is(spoken):
    samples, start, end = spoken
    mask = audio.speech_mask(samples, len(samples) // SAMPLES_PER_FRAME)
    times = (np.arange(len(mask)) + 0.5) / 25
    assert mask[(times > start + 0.05) & (times < end - 0.25)].mean() > 0.98
    assert not mask[times < start - 0.35].any() and not mask[times > end + 0.45].any()


@pytest.mark.parametrize("gain", [0.003, 0.05, 1.0])
def test_speech_is_found_at_any_level(spoken, gain):
    samples, start, end = spoken
    found = audio.speech_mask(samples * np.float32(gain), len(samples) // SAMPLES_PER_FRAME).mean() * len(samples)
    assert found / SAMPLE_RATE == pytest.approx(end - start, abs=0.5)


def test_no_speech_in_silence_and_noise():
    assert not audio.speech_mask(np.zeros(SAMPLE_RATE, np.float32), 25).any()
    assert audio.speech_mask(noise(3.0, level=0.001), 75).mean() < 0.1
    assert audio.speech_mask(np.zeros(100, np.float32), 1).shape == (1,)


def test_the_gate_is_open_in_speech_shut_in_silence_and_smooth():
    mask = np.zeros(60, bool)
    mask[20:30] = True
    gate = audio.mouth_gate(mask)
    assert (gate[20:30] == 1).all() and (gate[:17] == 0).all() and (gate[33:] == 0).all()
    assert np.abs(np.diff(gate)).max() < 0.51 and gate[18] == gate[31]
    assert not audio.mouth_gate(np.zeros(10, bool)).any()


def test_detecting_speech_leaves_torch_threads_alone(spoken):
    import torch

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        audio._voice_detector.cache_clear()
        audio.voice_probability(spoken[0])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_short_pause_closes_the_mouth_but_a_plosive_does_not():
    pytest.importorskip("espeakng_loader")
    from thgen.synth.voice.speech import Voice, joined, speak

    said = speak("Papa packed a cap.", Voice("en-us", rate=150))
    length = len(said.samples) / SAMPLE_RATE
    whole = joined([said, said], [0.3, 0.4, 0.5])
    gate = audio.mouth_gate(audio.speech_mask(whole.samples, whole.frames))
    times = (np.arange(whole.frames) + 0.5) / 25
    assert gate[(times > 0.32) & (times < 0.3 + length - 0.15)].min() == 1
    pause = (times > 0.3 + length) & (times < 0.7 + length)
    assert gate[pause].min() == 0
