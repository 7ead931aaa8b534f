"""Random changes of a clean voice: vocal tract, room, microphone, telephone, codec, music, noise, level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import soxr
from scipy import fft
from scipy.signal import butter, fftconvolve, sosfilt

from thgen.schema import SAMPLE_RATE

WINDOW = 512  # samples: 32 ms
LIFTER = 36  # samples (2.2 ms): cepstrum of the envelope; shorter than the pitch period of most voices
FITS = 4  # iterations of the envelope


@dataclass(frozen=True)
class Augment:
    """Probability of each step, and ranges: snr_db of noise and music, level_db re full scale, formant_ratio."""

    formants: float = 0.5
    room: float = 0.5
    equaliser: float = 0.7
    band: float = 0.3
    noise: float = 0.7
    music: float = 0.12
    codec: float = 0.25
    clip: float = 0.1
    drift: float = 0.3
    snr_db: tuple[float, float] = (8.0, 45.0)
    level_db: tuple[float, float] = (-45.0, -8.0)
    formant_ratio: tuple[float, float] = (0.86, 1.17)


def change_speed(samples: np.ndarray, speed: float) -> np.ndarray:
    """Samples [L] played `speed` times as fast, at higher pitch, float32 [L / speed]. Times are divided by `speed`."""
    return soxr.resample(samples, SAMPLE_RATE * speed, SAMPLE_RATE).astype(np.float32)


def shift_formants(samples: np.ndarray, ratio: float) -> np.ndarray:
    """The voice of a vocal tract that is 1 / ratio as long. [L] -> float32 [L].

    The spectral envelope is stretched by `ratio` in frequency. Pitch and time do not change. The envelope is the true
    envelope of Röbel and Rodet (2005): a cepstrum below LIFTER, fitted repeatedly to the maximum of spectrum and
    envelope, until it passes over the tops of the harmonics.
    """
    import librosa

    spectrum = librosa.stft(samples, n_fft=WINDOW, hop_length=WINDOW // 4)
    level = np.log(np.abs(spectrum) + 1e-4 * np.abs(spectrum).max() + 1e-9)
    envelope = np.full_like(level, -np.inf)
    for _ in range(FITS):
        cepstrum = fft.irfft(np.maximum(level, envelope), axis=0)
        cepstrum[LIFTER : WINDOW - LIFTER + 1] = 0
        envelope = fft.rfft(cepstrum, axis=0).real
    bins = np.arange(len(envelope))
    source = np.minimum(bins / ratio, bins[-1])
    low = np.floor(source).astype(int).clip(max=bins[-1] - 1)
    part = (source - low)[:, None]
    gain = (1 - part) * envelope[low] + part * envelope[low + 1] - envelope
    moved = spectrum * np.exp(gain.clip(-3.5, 3.5))
    return librosa.istft(moved, hop_length=WINDOW // 4, length=len(samples)).astype(np.float32)


def tilt(samples: np.ndarray, db_per_octave: float) -> np.ndarray:
    """Tilt the spectrum around 1 kHz, from 200 Hz up: < 0 gives a soft voice, > 0 a pressed one. [L] -> [L]"""
    size = fft.next_fast_len(len(samples) + SAMPLE_RATE // 10, real=True)
    octaves = np.log2(np.maximum(np.fft.rfftfreq(size, 1 / SAMPLE_RATE), 200) / 1000)
    gain = (10 ** (db_per_octave * octaves / 20)).astype(np.float32)
    return fft.irfft(fft.rfft(samples, size) * gain, size)[: len(samples)].astype(np.float32)


def room(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Reverberation: decaying noise after the direct sound, which keeps its time. [L] -> [L]"""
    seconds = rng.uniform(0.05, 0.5)
    tail = rng.standard_normal(int(seconds * SAMPLE_RATE)) * np.exp(
        -6.9 * np.linspace(0, 1, int(seconds * SAMPLE_RATE))
    )
    tail[: int(0.002 * SAMPLE_RATE)] = 0
    response = tail * 10 ** (-rng.uniform(3, 15) / 20) / (np.sqrt((tail**2).sum()) + 1e-9)
    response[0] = 1.0
    return fftconvolve(samples, response)[: len(samples)].astype(np.float32)


def equaliser(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Smooth random gain over frequency: 5 dB rms at 7 points, which are about evenly spaced in log. [L] -> [L]"""
    size = fft.next_fast_len(len(samples) + SAMPLE_RATE // 10, real=True)
    frequency = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    points = np.log(np.array([30, 120, 300, 800, 2000, 4500, 8000]))
    gain = np.interp(np.log(frequency + 20), points, rng.normal(0, 5, len(points)))
    coloured = fft.irfft(fft.rfft(samples, size) * (10 ** (gain / 20)).astype(np.float32), size)
    return coloured[: len(samples)].astype(np.float32)


def band_limit(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A telephone or a dull microphone: pass band from 40-350 Hz to 3.2-7.5 kHz, almost no delay. [L] -> [L]"""
    low, high = rng.uniform(40, 350), rng.uniform(3200, 7500)
    return sosfilt(butter(4, (low, high), "band", fs=SAMPLE_RATE, output="sos"), samples).astype(np.float32)


def codec(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Quantisation: mu-law with 5 to 8 bits, or rounded spectra of 20 ms blocks as in lossy codecs. [L] -> [L]"""
    peak = np.abs(samples).max() + 1e-9
    if rng.random() < 0.5:
        levels = 2 ** int(rng.integers(5, 9))
        compressed = np.sign(samples) * np.log1p(255 * np.abs(samples) / peak) / np.log(256)
        rounded = np.round(compressed * levels / 2) / (levels / 2)
        return (np.sign(rounded) * peak * np.expm1(np.abs(rounded) * np.log(256)) / 255).astype(np.float32)
    size = 320
    blocks = np.pad(samples, (0, -len(samples) % size)).reshape(-1, size)
    spectrum = np.fft.rfft(blocks, axis=1)
    step = 10 ** (-rng.uniform(18, 36) / 20) * np.abs(spectrum).max(1, keepdims=True) + 1e-9
    rounded = np.round(spectrum.real / step) * step + 1j * np.round(spectrum.imag / step) * step
    return np.fft.irfft(rounded, size, axis=1).reshape(-1)[: len(samples)].astype(np.float32)


def noise(samples: np.ndarray, rng: np.random.Generator, snr_db: tuple[float, float]) -> np.ndarray:
    """Coloured noise (white to brown), sometimes with a hum, `snr_db` (range) below the voice's rms. [L] -> [L]"""
    size = fft.next_fast_len(len(samples), real=True)
    colour = ((np.fft.rfftfreq(size, 1 / SAMPLE_RATE) + 30.0) ** -rng.uniform(0, 1.2)).astype(np.float32)
    white = rng.standard_normal(size, dtype=np.float32)
    wave = fft.irfft(fft.rfft(white) * colour, size)[: len(samples)]
    wave /= wave.std() + 1e-9
    if rng.random() < 0.2:
        time = np.arange(len(samples)) / SAMPLE_RATE
        base = rng.choice((50, 60, 100, 120))
        wave = wave + sum(np.sin(2 * np.pi * base * k * time) / k for k in (1, 2, 3))
    loud = samples[np.abs(samples) > 0.1 * np.abs(samples).max()] if len(samples) else samples
    rms = np.sqrt((loud.astype(np.float64) ** 2).mean()) if len(loud) else 0.0
    return (samples + wave * rms * 10 ** (-rng.uniform(*snr_db) / 20)).astype(np.float32)


def music(samples: np.ndarray, rng: np.random.Generator, snr_db: tuple[float, float]) -> np.ndarray:
    """Music under the voice: decaying chords and a beat, `snr_db` (range) below the voice's rms. [L] -> [L]"""
    time = np.arange(len(samples)) / SAMPLE_RATE
    bed = np.zeros(len(samples))
    beat, root = rng.uniform(0.3, 0.9), rng.uniform(80, 220)
    scale = root * 2 ** (np.array([0, 2, 4, 5, 7, 9, 11, 12, 14, 16]) / 12)
    for start in np.arange(rng.uniform(-beat, 0), len(samples) / SAMPLE_RATE, beat):
        after = time >= max(start, 0)
        decay = np.exp(-(time[after] - start) / rng.uniform(0.2, 1.5))
        for tone in rng.choice(scale, int(rng.integers(1, 5)), replace=False):
            steep = rng.uniform(0.8, 2.2)
            partials = (np.sin(2 * np.pi * tone * k * time[after]) / k**steep for k in range(1, 7))
            bed[after] += decay * sum(partials)
        if rng.random() < 0.6:
            hit = np.exp(-(time[after] - start) / 0.03) * rng.standard_normal(int(after.sum()))
            bed[after] += rng.uniform(0.2, 1.0) * hit
    loud = samples[np.abs(samples) > 0.1 * np.abs(samples).max()]
    rms = np.sqrt((loud.astype(np.float64) ** 2).mean()) if len(loud) else 0.0
    return (samples + bed / (bed.std() + 1e-9) * rms * 10 ** (-rng.uniform(*snr_db) / 20)).astype(np.float32)


def augment(samples: np.ndarray, rng: np.random.Generator, options: Augment | None = None) -> np.ndarray:
    """A random recording of a clean voice. float32 [L] -> float32 [L] in [-1, 1]. Times do not change.

    The same generator state gives the same result.
    """
    options = options or Augment()
    out = samples.astype(np.float32)
    if rng.random() < options.formants:
        out = shift_formants(out, float(rng.uniform(*options.formant_ratio)))
    if rng.random() < options.room:
        out = room(out, rng)
    if rng.random() < options.equaliser:
        out = equaliser(out, rng)
    if rng.random() < options.drift:
        points = rng.uniform(-6, 6, 2 + len(out) // (2 * SAMPLE_RATE))
        ramp = np.interp(np.linspace(0, len(points) - 1, len(out)), np.arange(len(points)), points)
        out = (out * 10 ** (ramp / 20)).astype(np.float32)
    if rng.random() < options.music:
        out = music(out, rng, options.snr_db)
    if rng.random() < options.noise:
        out = noise(out, rng, options.snr_db)
    if rng.random() < options.band:
        out = band_limit(out, rng)
    if rng.random() < options.codec:
        out = codec(out, rng)
    peak = np.abs(out).max() + 1e-9
    if rng.random() < options.clip:
        out = np.clip(out, -0.4 * peak, 0.4 * peak)
    loud = out[np.abs(out) > 0.1 * np.abs(out).max()]
    rms = np.sqrt((loud.astype(np.float64) ** 2).mean()) + 1e-9 if len(loud) else 1.0
    return np.clip(out * 10 ** (rng.uniform(*options.level_db) / 20) / rms, -1, 1).astype(np.float32)
