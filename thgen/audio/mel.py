"""Mel spectrogram of PC-AVS, PD-FGC and GC-AVT: 80 bands every 10 ms, and windows of 0.2 s around video frames."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from thgen.schema import SAMPLE_RATE, SAMPLES_PER_FRAME

WINDOW, HOP, BANDS = 1280, 160, 80  # samples, samples, mel bands
LOWEST, HIGHEST = 125.0, 7600.0  # Hz: range of the filters
LEVEL = 0.1  # RMS that a recording is scaled to
QUIETEST = 1e-4  # RMS: a quieter recording counts as silence and is not scaled up further
LEAST = 1e-5  # magnitude: lower limit before the logarithm
FLOOR, REFERENCE = -100.0, 20.0  # dB: level that becomes 0, and level that is subtracted first
FRAMES = 20  # mel frames in a window, the input of the audio encoder
PER_VIDEO_FRAME = SAMPLES_PER_FRAME // HOP  # 4
AHEAD = 2  # video frames by which a window starts before its own video frame
CENTRED = 1  # the same, for windows whose middle is nearest to that of the video frame


@lru_cache(maxsize=1)
def _filters() -> np.ndarray:
    """Filters on Slaney's mel scale with Slaney's area normalisation, float32 [80 641]."""
    import librosa

    return librosa.filters.mel(sr=SAMPLE_RATE, n_fft=WINDOW, n_mels=BANDS, fmin=LOWEST, fmax=HIGHEST)


def mel_spectrogram(samples: np.ndarray) -> np.ndarray:
    """samples float [L], 16 kHz mono -> float32 [80 M] in [0, 1], M = 7 + ceil(L / 160). Silence gives 0.

    Frame m covers samples 160 m - 1120 to 160 m + 159; samples outside the recording are 0. This is the "speech" mode
    of the package lws: magnitudes under a half-sine window, which is divided by 2 since 8 windows overlap.

    >>> mel_spectrogram(np.zeros(1600)).shape
    (80, 17)
    """
    import librosa

    rms = max(float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0, QUIETEST)
    count = 7 + -(-len(samples) // HOP)
    padded = np.zeros((count - 1) * HOP + WINDOW, np.float64)
    padded[WINDOW - HOP : WINDOW - HOP + len(samples)] = samples * (LEVEL / rms)
    window = 0.5 * np.sin(np.pi * (np.arange(WINDOW) + 0.5) / WINDOW)
    magnitude = np.abs(librosa.stft(padded, n_fft=WINDOW, hop_length=HOP, window=window, center=False))
    decibel = 20 * np.log10(np.maximum(LEAST, _filters() @ magnitude)) - REFERENCE
    return np.clip((decibel - FLOOR) / -FLOOR, 0, 1).astype(np.float32)


def mel_windows(mel: np.ndarray, frames: int, ahead: int = AHEAD) -> np.ndarray:
    """mel [80 M] -> the audio encoder's input for video frames 0 to frames - 1, [frames 1 80 20].

    Video frame f (25 fps) gets mel frames 4 (f - ahead) to 4 (f - ahead) + 19. Frames beyond either end are silence, so
    that every video frame has a window. The window's middle is 35 ms before that of the video frame for `ahead` = 2, as
    PC-AVS and PD-FGC have it, and 5 ms after it for CENTRED.

    >>> mel_windows(np.zeros((80, 47), np.float32), 12).shape
    (12, 1, 80, 20)
    """
    before = ahead * PER_VIDEO_FRAME
    after = max(0, PER_VIDEO_FRAME * (frames - 1) - before + FRAMES - mel.shape[1])
    padded = np.pad(mel, ((0, 0), (before, after)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, FRAMES, axis=1)[:, ::PER_VIDEO_FRAME]
    return windows.transpose(1, 0, 2)[:frames, None].copy()
