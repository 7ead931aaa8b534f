"""Scores of lips on a real recording, by its phones and silences, because it has no true lip motion to compare.

The phones come from pocketsphinx's English acoustic model, so scores of other languages are rough.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from thgen.audio import log_mel
from thgen.errors import AssetError
from thgen.evaluation.metrics.lips import CLOSED_BELOW
from thgen.schema import FPS, LIP_COEFFICIENTS, SAMPLES_PER_FRAME
from thgen.synth.voice.visemes import mouth_opening

# Classes of pocketsphinx's phones by what the lips have to do. A phone may be in several classes.
PHONE_CLASSES = {
    "closing": ("P", "B", "M"),
    "other_consonants": ("T", "D", "N", "S", "Z", "K", "G", "L", "TH", "DH", "NG", "HH", "Y"),
    "open_vowels": ("AA", "AE", "AH", "AO", "AW", "AY", "EH"),
    "narrow_vowels": ("IY", "IH", "UW", "UH"),
    "rounded": ("UW", "W", "OW", "UH"),
    "spread": ("IY", "EH", "AE", "IH"),
    "labiodental": ("F", "V"),
    "silence": ("SIL",),
}
Phone = tuple[str, float, float]  # name, start and end in seconds


def quiet_frames(samples: np.ndarray, frames: int, below_db: float = 35.0, at_least: float = 0.24) -> np.ndarray:
    """Frames inside of silences, bool [frames]: the level is `below_db` under the voice for `at_least` seconds.

    Only the level counts; the encoder's own voice activity detection is not used. samples: float32 [L], 16 kHz mono.
    """
    size = SAMPLES_PER_FRAME
    padded = np.pad(samples, (0, max(0, frames * size - len(samples))))[: frames * size].reshape(frames, size)
    level = 10 * np.log10((padded.astype(np.float64) ** 2).mean(1) + 1e-12)
    low = level < log_mel.voice_level(samples) - below_db
    edges = np.flatnonzero(np.diff(np.concatenate(([0], low.astype(int), [0]))))
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        if end - start < at_least * FPS:
            low[start:end] = False
    return np.asarray(low)


def silence_opening(opening: np.ndarray, quiet: np.ndarray) -> dict[str, float]:
    """Mouth opening in silence, in % of the speaking range (5th to 95th percentile of the other frames).

    opening: [T]; quiet: bool [T]. `mean` over the silent frames, `worst` is their 95th percentile; NaN without silence.
    The first and last frame of each silence do not count, because the mouth still moves there.
    """
    spoken = opening[~quiet]
    inner = quiet & np.roll(quiet, 1) & np.roll(quiet, -1)
    if not inner.any() or not len(spoken):
        return {"mean": float("nan"), "worst": float("nan")}
    span = float(np.percentile(spoken, 95) - np.percentile(spoken, 5)) + 1e-9
    size = np.abs(opening[inner])
    return {"mean": float(100 * size.mean() / span), "worst": float(100 * np.percentile(size, 95) / span)}


def english_phones(samples: np.ndarray) -> list[Phone]:
    """Phones that pocketsphinx's phone loop recognises. samples: float32 [L], 16 kHz mono. Raises AssetError."""
    try:
        from pocketsphinx import Decoder, get_model_path
    except ImportError:
        raise AssetError("Recognising phones needs pocketsphinx: pip install -e '.[eval]'.") from None
    folder = Path(get_model_path()) / "en-us"
    decoder = Decoder(
        hmm=str(folder / "en-us"), allphone=str(folder / "en-us-phone.lm.bin"),
        lw=2.0, beam=1e-20, pbeam=1e-20, loglevel="FATAL",
    )  # fmt: skip
    decoder.start_utt()
    decoder.process_raw((np.clip(samples, -1, 1) * 32767).astype(np.int16).tobytes(), full_utt=True)
    decoder.end_utt()
    return [(s.word, s.start_frame / 100, (s.end_frame + 1) / 100) for s in decoder.seg()]


def phone_scores(samples: np.ndarray, lips: np.ndarray) -> dict[str, float]:
    """What the lips do during each class of phones. samples: float32 [L], 16 kHz mono; lips: coefficients [T 21].

    closed_<class>   share of the phones with at least one closed frame (CLOSED_BELOW)
    opening_<class>  mean opening, in % of the outer-canthal distance
    pucker_<class>   mean rounding: weight of mouthPucker plus that of mouthFunnel
    tuck_<class>     mean over the phones of the largest weight of mouthRollLower
    NaN: the recording has no such phone. Raises AssetError without pocketsphinx.
    """
    phones = english_phones(samples)
    opening = mouth_opening(lips)
    rounding = lips[:, [LIP_COEFFICIENTS.index(n) for n in ("mouthPucker", "mouthFunnel")]].sum(1)
    tuck = lips[:, LIP_COEFFICIENTS.index("mouthRollLower")]
    out: dict[str, float] = {}
    for name in ("closing", "other_consonants", "open_vowels"):
        least = _per_phone(phones, name, opening, np.min)
        out[f"closed_{name}"] = _mean([float(value < CLOSED_BELOW) for value in least])
    for name in ("open_vowels", "narrow_vowels", "other_consonants", "closing", "silence"):
        out[f"opening_{name}"] = _mean(_per_phone(phones, name, opening, np.mean))
    for name in ("rounded", "spread"):
        out[f"pucker_{name}"] = _mean(_per_phone(phones, name, rounding, np.mean))
    for name in ("labiodental", "other_consonants"):
        out[f"tuck_{name}"] = _mean(_per_phone(phones, name, tuck, np.max))
    return out


def _per_phone(
    phones: list[Phone], name: str, track: np.ndarray, summary: Callable[[np.ndarray], np.floating]
) -> list[float]:
    """The summary of track [T] over each phone of a class."""
    values = []
    for phone, start, end in phones:
        # Frame t stands for the instant (t + 1/2) / 25 s. A very short phone gets the frame nearest to its middle.
        first, stop = round(start * FPS), min(round(end * FPS), len(track))
        first = min(first, int((start + end) / 2 * FPS))
        if phone in PHONE_CLASSES[name] and first < len(track):
            values.append(float(summary(track[first : max(stop, first + 1)])))
    return values


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
