"""Voice activity: which video frames belong to speech, and how far the mouth may open in them.

silero-vad gives a probability of speech every 32 ms. Its answer becomes spans, with a margin on both sides. The level
then removes the pauses that silero-vad reports too late.
"""

from __future__ import annotations

import functools

import numpy as np
from scipy.ndimage import distance_transform_edt

from thgen.audio.log_mel import FLOOR_DB, HOP, checked_samples, hop_levels, voice_level
from thgen.schema import SAMPLE_RATE, SAMPLES_PER_FRAME

_STEP = 512  # samples per probability of silero-vad
_ON, _OFF = 0.5, 0.3  # probability: a span must reach ON once, and ends below OFF
_SHORT_GAP, _SHORT_SPAN = 0.20, 0.06  # s: shorter gaps are closed, shorter spans are dropped
_BEFORE, _AFTER = 0.14, 0.12  # s: margin around a span, so that no plosive is cut
_DETECTOR_DB = -22.0  # dB re full scale: level that a recording is brought to, since silero-vad misses quiet voices
_GAIN_DB = (-20.0, 30.0)  # dB: limits of that gain, so that noise stays noise

# silero-vad reports the end of speech late, so a long quiet gap counts as silence whatever it says.
_GAP_SECONDS = 0.2  # s: least length of such a gap; closures of plosives are shorter
_GAP_OVER_FLOOR_DB = 8.0  # dB: threshold above the noise floor (5th percentile of the levels)
_GAP_UNDER_VOICE_DB = (45.0, 30.0)  # dB: the threshold is at most this far below the voice, and at least this far
_GAP_AFTER, _GAP_BEFORE = 0.05, 0.1  # s: start and end of the gap that still belong to the speech around it
_FADE_FRAMES = 3  # video frames (120 ms) over which the mouth gate opens and closes


@functools.cache
def _voice_detector() -> object:
    # Importing silero_vad sets torch to one thread. Restore the number: it is the caller's choice.
    import torch

    threads = torch.get_num_threads()
    from silero_vad import load_silero_vad

    torch.set_num_threads(threads)
    return load_silero_vad(sequence=True)


def voice_probability(samples: np.ndarray) -> np.ndarray:
    """Probability of speech by silero-vad for every 512 samples, float32 [ceil(L / 512)].

    samples: [L] at 16 kHz. Raises AudioError if the samples are empty or not finite.
    """
    samples = checked_samples(samples)
    level = voice_level(samples)
    if level <= FLOOR_DB:
        return np.zeros(-(-len(samples) // _STEP), np.float32)
    low, high = _GAIN_DB
    gain = np.float32(10 ** (min(max(_DETECTOR_DB - level, low), high) / 20))
    return _voice_detector().audio_forward(np.clip(samples * gain, -1, 1))  # type: ignore[attr-defined]


def _runs(active: np.ndarray) -> list[tuple[int, int]]:
    """(first, one past the last) index of every run of True in bool [n]."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], active.astype(np.int8), [0]))))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def speech_spans(samples: np.ndarray) -> list[tuple[float, float]]:
    """(start, end) in seconds of each span of speech, in order, margins included.

    samples: [L] at 16 kHz. Raises AudioError if the samples are empty or not finite.
    """
    probability = voice_probability(samples)
    sure, possible = probability >= _ON, probability >= _OFF
    step = _STEP / SAMPLE_RATE
    spans: list[tuple[float, float]] = []
    for a, b in _runs(possible):
        if not sure[a:b].any():
            continue
        if spans and a * step - spans[-1][1] < _SHORT_GAP:
            spans[-1] = (spans[-1][0], b * step)
        else:
            spans.append((a * step, b * step))
    end = len(samples) / SAMPLE_RATE
    return [(max(a - _BEFORE, 0.0), min(b + _AFTER, end)) for a, b in spans if b - a >= _SHORT_SPAN]


def silent_gaps(samples: np.ndarray) -> list[tuple[float, float]]:
    """(start, end) in seconds of each gap that is silent by its level, without the margins for the speech around it.

    samples: [L] at 16 kHz. Raises AudioError if the samples are empty or not finite.
    """
    levels, voice = hop_levels(checked_samples(samples)), voice_level(samples)
    lowest, highest = (voice - under for under in _GAP_UNDER_VOICE_DB)
    threshold = min(max(float(np.percentile(levels, 5)) + _GAP_OVER_FLOOR_DB, lowest), highest)
    gaps, rate = [], SAMPLE_RATE / HOP
    for a, b in _runs(levels < threshold):
        if (b - a) / rate >= _GAP_SECONDS:
            start = a / rate + (_GAP_AFTER if a else 0.0)
            end = b / rate - (_GAP_BEFORE if b < len(levels) else 0.0)
            gaps.append((start, end))
    return gaps


def speech_mask(samples: np.ndarray, frames: int) -> np.ndarray:
    """Whether each video frame belongs to speech, bool [frames].

    samples: float32 [L] at 16 kHz. Raises AudioError if the samples are empty or not finite.
    """
    mask, rate = np.zeros(frames, bool), SAMPLE_RATE / SAMPLES_PER_FRAME
    for start, end in speech_spans(samples):
        mask[int(start * rate) : int(np.ceil(end * rate))] = True
    for start, end in silent_gaps(samples):
        mask[int(np.ceil(start * rate)) : int(end * rate)] = False
    return mask


def mouth_gate(mask: np.ndarray) -> np.ndarray:
    """How far the mouth may open, float32 [T] in [0, 1]: 1 in speech, exactly 0 in silence, a cosine fade between them.

    The fades lie outside the speech, so that speech keeps its full opening. The mouth is closed 3 frames (120 ms) away
    from speech. mask: bool [T] from `speech_mask`.

    >>> mouth_gate(np.array([0, 0, 0, 1, 1, 0], bool)).round(2).tolist()
    [0.0, 0.25, 0.75, 1.0, 1.0, 0.75]
    """
    if not mask.any():
        return np.zeros(len(mask), np.float32)
    distance = distance_transform_edt(~mask)  # frames to the nearest frame of speech
    return (0.5 + 0.5 * np.cos(np.pi * np.minimum(distance / _FADE_FRAMES, 1))).astype(np.float32)
