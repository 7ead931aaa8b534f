"""Log-mel spectrogram and level of a voice (16 kHz, one channel), computed in blocks of constant size.

Alignment. Sample 0 and video frame 0 start at the same time. Video frame t is shown during samples
[640 t, 640 (t + 1)). The mel hop is 160 samples (100 Hz), so video frame t has the mel columns 4 t to 4 t + 3.
Column m is centred on sample 160 m + 80. The four centres of a frame therefore lie evenly around its middle.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np

from thgen.errors import AudioError
from thgen.schema import SAMPLE_RATE, SAMPLES_PER_FRAME

HOP = 160  # samples: 10 ms
MEL_PER_FRAME = SAMPLES_PER_FRAME // HOP
MEL_BINS = 80
FLOOR_DB = -100.0  # dB re full scale: a hop below this counts as silence
_WINDOW, _FFT = 400, 512  # samples: 25 ms, zero-padded to a power of two
_LOW_HZ, _HIGH_HZ = 60.0, 7600.0
_LEVEL_STEP_DB = 0.5  # width of a bin in the histogram of levels
_RANGE_DB = (-60.0, 20.0)  # dB relative to the level of the voice: mapped linearly to [-1, 1]


def checked_samples(samples: np.ndarray) -> np.ndarray:
    """The samples as float32 [L]. Raises AudioError if they are empty, not one channel, or not finite."""
    if samples.ndim != 1 or not len(samples):
        raise AudioError("The audio is empty: give at least a fraction of a second of one channel.")
    if not np.isfinite(samples).all():
        raise AudioError("The audio holds samples that are not numbers: export it again.")
    return samples.astype(np.float32, copy=False)


@functools.cache
def mel_filters() -> np.ndarray:
    """Triangular filters on Slaney's mel scale, 60 to 7600 Hz, float32 [80 257]. Each row sums to 1."""
    import librosa

    filters = librosa.filters.mel(
        sr=SAMPLE_RATE, n_fft=_FFT, n_mels=MEL_BINS, fmin=_LOW_HZ, fmax=_HIGH_HZ, norm=None, dtype=np.float64
    )
    return (filters / filters.sum(1, keepdims=True)).astype(np.float32)


def hop_levels(samples: np.ndarray) -> np.ndarray:
    """Level of every hop in dB re full scale, float32 [ceil(L / 160)], at least FLOOR_DB. samples: float [L].

    >>> hop_levels(np.full(320, 0.1)).tolist()
    [-20.0, -20.0]
    """
    block = HOP * 10_000  # samples: bounds the float64 copy to 12.8 MB
    levels = []
    for start in range(0, len(samples), block):
        part = samples[start : start + block]
        part = np.pad(part, (0, -len(part) % HOP)).reshape(-1, HOP)
        levels.append(10 * np.log10((part.astype(np.float64) ** 2).mean(1) + 1e-12))
    return np.maximum(np.concatenate(levels), FLOOR_DB).astype(np.float32)


def voice_level(samples: np.ndarray) -> float:
    """Level of the voice in dB re full scale: half of the energy lies in hops that are louder than this.

    Silence around the voice and a single click hardly change it. samples: [L] at 16 kHz. Silence gives FLOOR_DB.
    Raises AudioError if the samples are empty or not finite.
    """
    levels = hop_levels(checked_samples(samples))
    audible = levels[levels > FLOOR_DB]
    if not len(audible):
        return FLOOR_DB
    step = ((audible - FLOOR_DB) / _LEVEL_STEP_DB).astype(int)
    energy = np.cumsum(np.bincount(step, weights=10 ** (audible.astype(np.float64) / 10)))
    return FLOOR_DB + _LEVEL_STEP_DB * (int(np.searchsorted(energy, energy[-1] / 2)) + 0.5)


def log_mel(samples: np.ndarray, frames: int, level: float, start: int = 0) -> np.ndarray:
    """Log-mel columns of video frames `start` to `start + frames`, float32 [80 4*frames], mostly in [-1, 1].

    samples: float32 [L], the whole sound. Columns before its start and after its end are those of silence.
    level: `voice_level` of the whole sound. The columns then do not depend on how the sound is split.

    >>> log_mel(np.zeros(640, np.float32), frames=1, level=-20.0).shape
    (80, 4)
    """
    window, filters = np.hanning(_WINDOW).astype(np.float32), mel_filters()
    first = start * SAMPLES_PER_FRAME + HOP // 2 - _WINDOW // 2
    count = frames * MEL_PER_FRAME
    last = first + (count - 1) * HOP + _WINDOW
    piece = samples[max(first, 0) : max(last, 0)]
    left = min(max(-first, 0), last - first)
    piece = np.pad(piece, (left, last - first - left - len(piece)))
    columns = np.lib.stride_tricks.sliding_window_view(piece, _WINDOW)[::HOP] * window
    power = np.abs(np.fft.rfft(columns, _FFT, axis=1)).T.astype(np.float32) ** 2 / (window**2).sum()
    decibel = 10 * np.log10(filters @ power + 1e-12) - max(level, FLOOR_DB + 20)
    low, high = _RANGE_DB
    return (2 * (decibel.clip(low, high + 20) - low) / (high - low) - 1).astype(np.float32)


def mel_chunks(samples: np.ndarray, frames: int, size: int, context: int) -> Iterator[tuple[int, int, np.ndarray]]:
    """The log-mel of a sound in overlapping chunks of constant cost.

    Yields (t0, t1, mel). The chunk adds the video frames t0 to t1, at most `size` of them. `mel` is
    [80 4*(t1 - t0 + contexts)]: it also has the columns of `context` frames on either side, as far as the video has
    them. Raises AudioError if the sound is empty or not finite.
    """
    level = voice_level(samples)
    for t0 in range(0, frames, size):
        t1 = min(t0 + size, frames)
        left, right = max(t0 - context, 0), min(t1 + context, frames)
        yield t0, t1, log_mel(samples, right - left, level, left)
