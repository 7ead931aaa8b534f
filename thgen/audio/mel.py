"""The mel front end of PC-AVS, PD-FGC and GC-AVT: 80 bands every 10 ms, and the 0.2 s of them around a video frame."""

from __future__ import annotations

from functools import lru_cache

import librosa
import numpy as np

from thgen.schema import SAMPLE_RATE, SAMPLES_PER_FRAME

WINDOW, HOP, BANDS = 1280, 160, 80
LOWEST, HIGHEST = 125.0, 7600.0  # Hz
LEVEL, QUIETEST = 0.1, 1e-4  # RMS that a recording is brought to; RMS below which it is taken for silence
LEAST, FLOOR, REFERENCE = 1e-5, -100.0, 20.0  # magnitude, dB, dB
FRAMES = 20  # mel frames that the network sees
PER_VIDEO_FRAME = SAMPLES_PER_FRAME // HOP  # 4
AHEAD = 2  # video frames by which the window starts before its frame


@lru_cache(maxsize=1)
def _filters() -> np.ndarray:
    """Slaney's mel scale and area normalisation, float32 [80 641]."""
    return librosa.filters.mel(sr=SAMPLE_RATE, n_fft=WINDOW, n_mels=BANDS, fmin=LOWEST, fmax=HIGHEST)


def mel_spectrogram(samples: np.ndarray) -> np.ndarray:
    """samples float [L], 16 kHz mono -> float32 [80 M] in [0, 1], M = 7 + ceil(L / 160); silence is 0.

    Frame m covers samples 160 m - 1120 ... 160 m + 159, zeros outside (the "speech" mode of lws): a half sine window,
    halved because eight of them overlap; magnitudes, not centred.
    """
    rms = max(float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0, QUIETEST)
    count = 7 + -(-len(samples) // HOP)
    padded = np.zeros((count - 1) * HOP + WINDOW, np.float64)
    padded[WINDOW - HOP : WINDOW - HOP + len(samples)] = samples * (LEVEL / rms)
    window = 0.5 * np.sin(np.pi * (np.arange(WINDOW) + 0.5) / WINDOW)
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    magnitude = np.abs(np.fft.rfft(frames * window, axis=1)).T
    decibel = 20 * np.log10(np.maximum(LEAST, _filters() @ magnitude)) - REFERENCE
    return np.clip((decibel - FLOOR) / -FLOOR, 0, 1).astype(np.float32)


def mel_windows(mel: np.ndarray, frames: int) -> np.ndarray:
    """mel [80 M] -> what the network sees for video frames 0 ... frames - 1, [frames 1 80 20].

    Frame f (25 fps) takes mel frames 4 (f - 2) ... 4 (f - 2) + 19; silence beyond either end, so that no frame is lost.
    """
    before = AHEAD * PER_VIDEO_FRAME
    after = max(0, PER_VIDEO_FRAME * (frames - 1) - before + FRAMES - mel.shape[1])
    padded = np.pad(mel, ((0, 0), (before, after)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, FRAMES, axis=1)[:, ::PER_VIDEO_FRAME]
    return np.ascontiguousarray(windows.transpose(1, 0, 2)[:frames, None])
