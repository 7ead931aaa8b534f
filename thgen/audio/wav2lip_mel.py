"""Mel spectrogram of Wav2Lip and FC-TFG: 80 bands every 12.5 ms, and windows of 0.2 s centred on video frames.

It differs from that of PD-FGC (`thgen.audio.mel`) in windows, framing, level and scale; networks fit one of them only.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from thgen.schema import FPS, SAMPLE_RATE

WINDOW, HOP, BANDS = 800, 200, 80  # samples, samples, mel bands (FC-TFG, section 4.1.2)
LOWEST, HIGHEST = 55.0, 7600.0  # Hz: range of the filters
EMPHASIS = 0.97  # part of the sample before that is subtracted first
LEAST = 1e-5  # magnitude: lower limit before the logarithm
FLOOR, REFERENCE = -100.0, 20.0  # dB: level that becomes -RANGE, and level that is subtracted first
RANGE = 4.0  # values lie in [-RANGE, RANGE]
FRAMES = 16  # mel frames in a window
PER_VIDEO_FRAME = SAMPLE_RATE / HOP / FPS  # 3.2
AHEAD = 2  # video frames by which a window starts before its own: the middle one of five, as many as the expert sees


@lru_cache(maxsize=1)
def _filters() -> np.ndarray:
    """Filters on Slaney's mel scale with Slaney's area normalisation, float32 [80 401]."""
    import librosa

    return librosa.filters.mel(sr=SAMPLE_RATE, n_fft=WINDOW, n_mels=BANDS, fmin=LOWEST, fmax=HIGHEST)


def mel_spectrogram(samples: np.ndarray) -> np.ndarray:
    """samples float [L], 16 kHz mono in [-1, 1] -> float32 [80 M] in [-4, 4], M = 1 + L // 200. Silence gives -4.

    Frame m is centred on sample 200 m; the sound is mirrored at its ends. The level of the recording stays as it is.

    >>> mel_spectrogram(np.zeros(1600)).shape
    (80, 9)
    """
    import librosa

    sound = np.zeros(1) if len(samples) == 0 else np.asarray(samples, np.float64)
    sound = np.concatenate([sound[:1], sound[1:] - EMPHASIS * sound[:-1]])
    sound = np.pad(sound, WINDOW // 2, mode="reflect")
    magnitude = np.abs(librosa.stft(sound, n_fft=WINDOW, hop_length=HOP, window="hann", center=False))
    decibel = 20 * np.log10(np.maximum(LEAST, _filters() @ magnitude)) - REFERENCE
    return np.clip(2 * RANGE * (decibel - FLOOR) / -FLOOR - RANGE, -RANGE, RANGE).astype(np.float32)


def first_mel(video_frame: int) -> int:
    """First mel frame of the window of five video frames that starts with `video_frame`; may be negative.

    >>> [first_mel(f) for f in (-2, 0, 1, 5)]
    [-6, 0, 3, 16]
    """
    return int(PER_VIDEO_FRAME * video_frame)


def mel_windows(mel: np.ndarray, frames: int) -> np.ndarray:
    """mel [80 M] -> windows of video frames 0 to frames - 1, [frames 1 80 16]; each is centred on its frame.

    At the ends the first and the last mel frame are repeated.

    >>> mel_windows(np.zeros((80, 40), np.float32), 12).shape
    (12, 1, 80, 16)
    """
    starts = np.array([first_mel(frame - AHEAD) for frame in range(frames)])
    places = np.clip(starts[:, None] + np.arange(FRAMES), 0, mel.shape[1] - 1)
    return np.ascontiguousarray(mel[:, places].transpose(1, 0, 2)[:, None])
