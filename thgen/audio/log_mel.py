"""16 kHz mono samples -> log-mel, level and voice activity, all in one pass over blocks of constant size.

Alignment, stated once: sample 0 and video frame 0 start together. Video frame t is on the screen during samples
[640 t, 640 (t + 1)) and stands for their middle. The mel hop is 160 samples (100 Hz), so that frame owns mel columns
4 t .. 4 t + 3; column m is centred on sample 160 m + 80, and the four centres lie evenly about the frame's middle.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np

from thgen.errors import AudioError
from thgen.schema import SAMPLE_RATE, SAMPLES_PER_FRAME

HOP = 160
MEL_PER_FRAME = SAMPLES_PER_FRAME // HOP
MEL_BINS = 80
_WINDOW, _FFT = 400, 512
_LOW_HZ, _HIGH_HZ = 60.0, 7600.0
# Levels are powers of a hop in dB re full scale; anything quieter than this is silence.
_FLOOR_DB = -100.0
_LEVEL_STEP_DB = 0.5
# Log-mel in dB re the voice's level is mapped from [-60, 20] to [-1, 1].
_RANGE_DB = (-60.0, 20.0)

# Voice activity: speech starts above one threshold, ends below a lower one; short gaps and blips are ignored.
_VAD_STEP = 512
_VAD_ON, _VAD_OFF = 0.5, 0.3
_VAD_GAP, _VAD_BLIP = 0.20, 0.06
_VAD_BEFORE, _VAD_AFTER = 0.14, 0.12
# The detector is slow to see an end. A gap this long and this quiet is silence whatever it says: under the noise floor
# (5th percentile) plus 8 dB, but at least 30 and at most 45 dB under the voice. Closures of plosives are shorter.
_GAP_SECONDS, _GAP_OVER_FLOOR_DB, _GAP_UNDER_VOICE_DB = 0.2, 8.0, (45.0, 30.0)
_GAP_AFTER, _GAP_BEFORE = 0.05, 0.1  # of the gap that still belong to the speech before and after it
_FADE_FRAMES = 3


def _checked(samples: np.ndarray) -> np.ndarray:
    if samples.ndim != 1 or not len(samples):
        raise AudioError("The audio is empty: give at least a fraction of a second of one channel.")
    if not np.isfinite(samples).all():
        raise AudioError("The audio holds samples that are not numbers: export it again.")
    return samples.astype(np.float32, copy=False)


def mel_filters() -> np.ndarray:
    """Triangular filters even on Slaney's mel scale, each row summing to one, float32 [80, 257].

    As librosa.filters.mel(norm=None) but for the rows' sums; own code, since importing librosa takes seconds.
    """
    # Linear below 1 kHz (66.7 Hz per mel), logarithmic above (a factor of 6.4 in 27 mels).
    knee, slope = 15.0, np.log(6.4) / 27.0
    edges = np.array([_LOW_HZ, _HIGH_HZ])
    low, high = np.where(edges < 1000, edges / (200 / 3), knee + np.log(np.maximum(edges, 1) / 1000) / slope)
    mels = np.linspace(low, high, MEL_BINS + 2)
    hertz = np.where(mels < knee, mels * (200 / 3), 1000 * np.exp(slope * (mels - knee)))
    frequency = np.fft.rfftfreq(_FFT, 1 / SAMPLE_RATE)
    rising = (frequency - hertz[:-2, None]) / np.diff(hertz)[:-1, None]
    falling = (hertz[2:, None] - frequency) / np.diff(hertz)[1:, None]
    filters = np.maximum(0, np.minimum(rising, falling))
    return (filters / filters.sum(1, keepdims=True)).astype(np.float32)


@functools.cache
def _analysis() -> tuple[np.ndarray, np.ndarray]:
    return np.hanning(_WINDOW).astype(np.float32), mel_filters()


def _hop_levels(samples: np.ndarray) -> np.ndarray:
    """Level of every hop in dB re full scale, float32 [ceil(L / 160)], at least the floor."""
    block = HOP * 10_000
    levels = []
    for start in range(0, len(samples), block):
        part = samples[start : start + block]
        part = np.pad(part, (0, -len(part) % HOP)).reshape(-1, HOP)
        levels.append(10 * np.log10((part.astype(np.float64) ** 2).mean(1) + 1e-12))
    return np.maximum(np.concatenate(levels), _FLOOR_DB).astype(np.float32)


def voice_level(samples: np.ndarray) -> float:
    """Level of the voice in dB re full scale: half of the sound's energy lies in hops that are louder.

    It depends neither on how much silence there is nor on a single click. One pass over blocks and a histogram.
    samples: [L] at 16 kHz. Silence gives the floor, -100. Raises AudioError if empty, or not finite.
    """
    levels = _hop_levels(_checked(samples))
    heard = levels[levels > _FLOOR_DB]
    if not len(heard):
        return _FLOOR_DB
    step = ((heard - _FLOOR_DB) / _LEVEL_STEP_DB).astype(int)
    energy = np.cumsum(np.bincount(step, weights=10 ** (heard.astype(np.float64) / 10)))
    return _FLOOR_DB + _LEVEL_STEP_DB * (int(np.searchsorted(energy, energy[-1] / 2)) + 0.5)


def log_mel(samples: np.ndarray, frames: int, level: float, start: int = 0) -> np.ndarray:
    """Log-mel columns of video frames `start` .. `start + frames`, float32 [80, 4 * frames], mostly in [-1, 1].

    samples: float32 [L], the whole sound (columns before its start and after its end are those of silence);
    level: from `voice_level` of the whole sound, so that any split into pieces gives the same columns.
    """
    window, filters = _analysis()
    first = start * SAMPLES_PER_FRAME + HOP // 2 - _WINDOW // 2
    count = frames * MEL_PER_FRAME
    last = first + (count - 1) * HOP + _WINDOW
    piece = samples[max(first, 0) : max(last, 0)]
    left = min(max(-first, 0), last - first)
    piece = np.pad(piece, (left, last - first - left - len(piece)))
    columns = np.lib.stride_tricks.sliding_window_view(piece, _WINDOW)[::HOP] * window
    power = np.abs(np.fft.rfft(columns, _FFT, axis=1)).T.astype(np.float32) ** 2 / (window**2).sum()
    decibel = 10 * np.log10(filters @ power + 1e-12) - max(level, _FLOOR_DB + 20)
    low, high = _RANGE_DB
    return (2 * (decibel.clip(low, high + 20) - low) / (high - low) - 1).astype(np.float32)


def mel_chunks(samples: np.ndarray, frames: int, size: int, context: int) -> Iterator[tuple[int, int, np.ndarray]]:
    """The log-mel of a sound in overlapping chunks of constant cost.

    Yields (t0, t1, mel): new video frames t0 .. t1 (at most `size`), and the columns of `context` frames more on either
    side where the video has them, [80, 4 * (t1 - t0 + contexts)]. Raises AudioError if the sound is empty.
    """
    level = voice_level(samples)
    for t0 in range(0, frames, size):
        t1 = min(t0 + size, frames)
        left, right = max(t0 - context, 0), min(t1 + context, frames)
        yield t0, t1, log_mel(samples, right - left, level, left)


@functools.cache
def _voice_detector() -> object:
    # silero_vad sets torch to one thread when it is imported; that is not its decision to make.
    import torch

    threads = torch.get_num_threads()
    from silero_vad import load_silero_vad

    torch.set_num_threads(threads)
    return load_silero_vad(sequence=True)


def voice_probability(samples: np.ndarray) -> np.ndarray:
    """Probability of speech by silero-vad per 512 samples, float32 [ceil(L / 512)]."""
    samples = _checked(samples)
    level = voice_level(samples)
    if level <= _FLOOR_DB:
        return np.zeros(-(-len(samples) // _VAD_STEP), np.float32)
    # The detector misses very quiet recordings, so all are brought to one level (within limits: noise stays noise).
    gain = np.float32(10 ** (min(max(-22.0 - level, -20.0), 30.0) / 20))
    return _voice_detector().audio_forward(np.clip(samples * gain, -1, 1))  # type: ignore[attr-defined]


def _runs(active: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], active.astype(np.int8), [0]))))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def speech_spans(samples: np.ndarray) -> list[tuple[float, float]]:
    """(start, end) in seconds of each stretch of speech, in order, with a margin so that no plosive is cut."""
    probability = voice_probability(samples)
    sure, maybe = probability >= _VAD_ON, probability >= _VAD_OFF
    step = _VAD_STEP / SAMPLE_RATE
    spans: list[tuple[float, float]] = []
    for a, b in _runs(maybe):
        if not sure[a:b].any():
            continue
        if spans and a * step - spans[-1][1] < _VAD_GAP:
            spans[-1] = (spans[-1][0], b * step)
        else:
            spans.append((a * step, b * step))
    end = len(samples) / SAMPLE_RATE
    return [(max(a - _VAD_BEFORE, 0.0), min(b + _VAD_AFTER, end)) for a, b in spans if b - a >= _VAD_BLIP]


def silent_gaps(samples: np.ndarray) -> list[tuple[float, float]]:
    """(start, end) in seconds of each stretch that is silent by its level, less a margin for the speech around it."""
    levels, voice = _hop_levels(_checked(samples)), voice_level(samples)
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
    """Whether each video frame belongs to speech, bool [frames]. samples: float32 [L] at 16 kHz. Raises AudioError."""
    mask, rate = np.zeros(frames, bool), SAMPLE_RATE / SAMPLES_PER_FRAME
    for start, end in speech_spans(samples):
        mask[int(start * rate) : int(np.ceil(end * rate))] = True
    for start, end in silent_gaps(samples):
        mask[int(np.ceil(start * rate)) : int(end * rate)] = False
    return mask


def mouth_gate(mask: np.ndarray) -> np.ndarray:
    """How far the mouth may open, float32 [T] in [0, 1]: 1 in speech, exactly 0 in silence, smooth fades between.

    The fades lie outside the speech, so nothing of it is cut; the mouth is shut three frames (120 ms) away from it.
    mask: bool [T] from `speech_mask`.
    """
    if not mask.any():
        return np.zeros(len(mask), np.float32)
    index = np.arange(len(mask))
    speech = np.flatnonzero(mask)
    after = np.searchsorted(speech, index).clip(0, len(speech) - 1)
    distance = np.minimum(np.abs(speech[after] - index), np.abs(speech[(after - 1).clip(0)] - index))
    return (0.5 + 0.5 * np.cos(np.pi * np.minimum(distance / _FADE_FRAMES, 1))).astype(np.float32)
