"""Augmentation of clean voices."""

import numpy as np
import pytest
from scipy.signal import lfilter

from thgen.schema import SAMPLE_RATE
from thgen.synth.voice import augment as aug


def tone(seconds: float = 1.0, hertz: float = 440.0) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE)).astype(np.float32)


def clicks() -> np.ndarray:
    out = np.zeros(SAMPLE_RATE, np.float32)
    out[[4000, 9000]] = 0.8
    return out


def band_db(samples: np.ndarray, low: float, high: float) -> float:
    frequency = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    power = np.abs(np.fft.rfft(samples)) ** 2
    return float(10 * np.log10(power[(frequency >= low) & (frequency < high)].mean() + 1e-20))


@pytest.mark.parametrize("seed", range(12))
def test_shape_range_and_equal_seeds(seed):
    first = aug.augment(tone(), np.random.default_rng(seed))
    again = aug.augment(tone(), np.random.default_rng(seed))
    np.testing.assert_array_equal(first, again)
    assert first.shape == tone().shape and first.dtype == np.float32
    assert np.isfinite(first).all() and np.abs(first).max() <= 1.0
    assert not np.array_equal(first, aug.augment(tone(), np.random.default_rng(seed + 100)))


def test_silence_stays_finite():
    out = aug.augment(np.zeros(SAMPLE_RATE, np.float32), np.random.default_rng(3))
    assert np.isfinite(out).all()


def test_a_room_keeps_times_and_adds_a_tail():
    dry, wet = clicks(), aug.room(clicks(), np.random.default_rng(1))
    assert np.abs(wet).argmax() == 4000
    assert np.abs(wet[:4000]).max() < 1e-5
    tail = slice(4100, 4600)
    assert (wet[tail] ** 2).sum() > 1e-4 > (dry[tail] ** 2).sum()


def test_a_telephone_has_no_high_frequencies():
    white = np.random.default_rng(0).standard_normal(SAMPLE_RATE * 2).astype(np.float32)
    for seed in range(5):
        out = aug.band_limit(white, np.random.default_rng(seed))
        assert band_db(out, 500, 2500) - band_db(out, 7900, 8000) > 8
        assert band_db(out, 500, 2500) - band_db(out, 0, 20) > 20


def test_noise_has_the_requested_ratio():
    voice = tone(2.0)
    for snr in (10.0, 30.0):
        rest = aug.noise(voice, np.random.default_rng(4), (snr, snr)) - voice
        assert 20 * np.log10(np.std(voice) / np.std(rest)) == pytest.approx(snr, abs=3)


def test_music_has_the_requested_ratio_and_consists_of_tones():
    voice = tone(3.0)
    for snr in (10.0, 30.0):
        rest = aug.music(voice, np.random.default_rng(4), (snr, snr)) - voice
        assert 20 * np.log10(np.std(voice) / np.std(rest)) == pytest.approx(snr, abs=3)
    spectrum = np.abs(np.fft.rfft(rest)) ** 2
    assert np.sort(spectrum)[-200:].sum() > 0.3 * spectrum.sum(), "a few frequencies have most of the energy"


@pytest.mark.parametrize("seed", range(6))
def test_a_codec_changes_the_sound_a_little(seed):
    voice = tone() + tone(hertz=1700.0)
    error = aug.codec(voice, np.random.default_rng(seed)) - voice
    assert 0 < np.std(error) < 0.25 * np.std(voice)


def test_speed_shortens_and_raises_the_pitch():
    fast = aug.change_speed(tone(1.0, 400.0), 1.25)
    assert abs(len(fast) - SAMPLE_RATE / 1.25) < 4
    assert np.abs(np.fft.rfft(fast)).argmax() * SAMPLE_RATE / len(fast) == pytest.approx(500, abs=3)


def test_without_any_step_only_the_level_changes():
    still = aug.Augment(room=0, equaliser=0, band=0, noise=0, codec=0, clip=0, drift=0, music=0)
    out = aug.augment(tone(), np.random.default_rng(0), still)
    ratio = out / np.where(tone() == 0, 1, tone())
    assert np.std(ratio[np.abs(tone()) > 0.1]) < 1e-4


def vowel(formant: float = 1000.0, pitch: float = 125.0) -> np.ndarray:
    """Pulses of one pitch through a vocal tract with one formant."""
    pulses = np.zeros(2 * SAMPLE_RATE)
    pulses[:: round(SAMPLE_RATE / pitch)] = 1
    decay = np.exp(-np.pi * 80 / SAMPLE_RATE)
    poles = [1, -2 * decay * np.cos(2 * np.pi * formant / SAMPLE_RATE), decay**2]
    return (0.1 * lfilter([1], poles, pulses)).astype(np.float32)


@pytest.mark.parametrize("ratio", [0.8, 1.25])
def test_formants_move_but_pitch_and_time_do_not(ratio):
    out = aug.shift_formants(vowel(), ratio)
    spectrum = np.abs(np.fft.rfft(out))
    harmonics = spectrum[250::250]  # two seconds: 125 Hz is bin 250
    assert abs(125 * (harmonics[:24].argmax() + 1) - 1000 * ratio) <= 125
    # All the energy lies on harmonics of the same pitch.
    assert (harmonics**2).sum() > 0.98 * (spectrum**2).sum()
    np.testing.assert_allclose(aug.shift_formants(vowel(), 1.0), vowel(), atol=1e-5)


def test_tilt_is_in_decibels_per_octave():
    white = np.random.default_rng(0).standard_normal(4 * SAMPLE_RATE).astype(np.float32)
    out = aug.tilt(white, -3.0)
    level = [band_db(out, f * 0.95, f * 1.05) - band_db(white, f * 0.95, f * 1.05) for f in (500, 1000, 2000, 4000)]
    np.testing.assert_allclose(level, [3, 0, -3, -6], atol=0.2)
