"""Phones with times -> mouth shapes over time, with coarticulation.

Each phone asks for a position of a few articulators (`Viseme`). Jaw, rounding, spreading and lip raising are blended
after Cohen & Massaro, "Modeling coarticulation in synthetic visual speech" (1993): a phone dominates inside its own
interval and its influence fades exponentially outside it, ahead of time as well as behind. Consonants that do not
care about an articulator have a small weight there, so a neighbouring vowel's rounding spreads over them. Two
gestures are no compromise and are put on top: closed lips (p b m) and the lower lip at the upper teeth (f v).

The articulators become FaceKit weights at the end. Measured on that head, as a share of the distance between the outer
eye corners: the inner lips are 0.9 % apart in the neutral mouth, jawOpen adds 32.4, mouthClose takes 41.7 away (as
ARKit's: it closes the lips of an open jaw, so 0.78 mouthClose cancel 1 jawOpen), the others as in `OPENING`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thgen.schema import FPS, LIP_COEFFICIENTS

# Change of the inner-lip gap per unit of weight, in % of the outer-canthal distance, measured on FaceKit's landmarks
# (mean of 61-67, 62-66, 63-65); test_speech.py measures it again. The neutral mouth is NEUTRAL_GAP open.
OPENING = {
    "jawForward": 1.24, "jawLeft": -0.26, "jawOpen": 32.42, "jawRight": -0.26, "mouthClose": -41.72,
    "mouthFunnel": 12.14, "mouthLeft": -0.52, "mouthLowerDown_L": 3.27, "mouthLowerDown_R": 3.27,
    "mouthPress_L": -1.22, "mouthPress_R": -1.22, "mouthPucker": -1.45, "mouthRight": -0.52, "mouthRollLower": -2.76,
    "mouthRollUpper": 1.77, "mouthShrugLower": -7.17, "mouthShrugUpper": 5.12, "mouthStretch_L": -0.20,
    "mouthStretch_R": -0.20, "mouthUpperUp_L": 3.92, "mouthUpperUp_R": 3.92,
}  # fmt: skip
OPENING_WEIGHTS = np.array([OPENING[name] for name in LIP_COEFFICIENTS], np.float32)
NEUTRAL_GAP = 0.9
CLOSED_CHANGE = -0.5  # what closed lips ask for: a little tighter than neutral, short of the lips passing through


def mouth_opening(lips: np.ndarray) -> np.ndarray:
    """Inner-lip gap that lip coefficients imply, beyond the neutral mouth.

    lips: [... 21] in the order of schema.LIP_COEFFICIENTS. Returns [...] in % of the outer-canthal distance; 0 is the
    neutral mouth, about 8 to 14 an open vowel.
    """
    return lips @ OPENING_WEIGHTS


@dataclass(frozen=True)
class Phone:
    """One speech sound: IPA `symbol` (empty for a pause) from `start` to `end` in seconds.

    `release` is the instant at which a stop's closure bursts; the rest, up to `end`, is its breath. None: at `end`.
    """

    symbol: str
    start: float
    end: float
    release: float | None = None


@dataclass(frozen=True)
class Viseme:
    """What a phone asks of the articulators, each 0 to 1, and how strongly (the `hold_` weights)."""

    jaw: float = 0.25
    pucker: float = 0.0
    funnel: float = 0.0
    spread: float = 0.0
    lower: float = 0.0
    upper: float = 0.0
    close: float = 0.0
    tuck: float = 0.0
    hold_jaw: float = 1.0
    hold_lips: float = 1.0


def _vowel(jaw: float, pucker: float = 0.0, funnel: float = 0.0, spread: float = 0.0) -> Viseme:
    # An open jaw shows the lower teeth a little; rounded lips cover them, and insist on their rounding.
    rounding = max(pucker, funnel)
    bare = max(0.0, 1 - 1.5 * rounding)
    return Viseme(jaw, pucker, funnel, spread, lower=0.3 * bare, upper=0.15 * bare, hold_lips=1 + 0.8 * rounding)


_PAUSE = Viseme(0.0)
_VISEMES: dict[str, Viseme] = {}
for _symbols, _viseme in (
    ("aäɶ", _vowel(1.0, spread=0.15)),
    ("ɑ", _vowel(0.95)),
    ("æ", _vowel(0.85, spread=0.35)),
    ("ɐʌɜɞ", _vowel(0.7, spread=0.05)),
    ("ɛœ", _vowel(0.62, spread=0.3)),
    ("eø", _vowel(0.45, spread=0.4)),
    ("iɪɨᵻɯ", _vowel(0.22, spread=0.6)),
    ("yʏ", _vowel(0.18, pucker=0.8, funnel=0.15)),
    ("ɒɔ", _vowel(0.62, pucker=0.25, funnel=0.5)),
    ("oɤɵ", _vowel(0.42, pucker=0.55, funnel=0.4)),
    ("uʊʉ", _vowel(0.2, pucker=0.9, funnel=0.2)),
    ("əɘɚɝ", _vowel(0.42)),
    ("pbmɓɱʙ", Viseme(0.12, close=1.0, hold_jaw=0.6, hold_lips=0.1)),
    ("fvʋⱱ", Viseme(0.2, tuck=1.0, hold_jaw=1.2, hold_lips=0.25)),
    ("βɸ", Viseme(0.12, pucker=0.2, close=0.6, hold_jaw=0.6, hold_lips=0.2)),
    ("wʍɥ", Viseme(0.12, pucker=1.0, funnel=0.15, hold_jaw=1.2, hold_lips=2.5)),
    ("szɕʑʂʐ", Viseme(0.08, spread=0.25, lower=0.35, upper=0.15, hold_jaw=1.0, hold_lips=0.35)),
    ("ʃʒʄ", Viseme(0.1, pucker=0.3, funnel=0.6, lower=0.3, hold_jaw=1.0, hold_lips=0.9)),
    ("θðɬɮ", Viseme(0.2, spread=0.15, lower=0.35, upper=0.1, hold_jaw=0.7, hold_lips=0.3)),
    ("tdnlɾɫʈɖɳɭɗ", Viseme(0.16, spread=0.1, lower=0.2, hold_jaw=0.6, hold_lips=0.15)),
    ("cɟɲʎjçʝ", Viseme(0.16, spread=0.45, lower=0.15, hold_jaw=0.6, hold_lips=0.4)),
    ("ɹrʁɻʀɽ", Viseme(0.22, pucker=0.3, funnel=0.25, hold_jaw=0.5, hold_lips=0.45)),
    ("kɡgŋqɢxɣχhɦħʕɠɴ", Viseme(0.28, hold_jaw=0.2, hold_lips=0.08)),
    ("ʔ", Viseme(0.3, hold_jaw=0.05, hold_lips=0.02)),
):
    _VISEMES.update(dict.fromkeys(_symbols, _viseme))
VOWELS = frozenset("aäɶɑæɐʌɜɞɛœeøiɪɨᵻɯyʏɒɔoɤɵuʊʉəɘɚɝ")
BILABIALS = frozenset("pbm")
LABIODENTALS = frozenset("fv")

# Influence outside a phone's own interval fades with these time constants, ahead and behind, in seconds.
_FADE = {"jaw": (0.055, 0.06), "round": (0.13, 0.08), "other": (0.07, 0.07)}
_GROUPS = {"jaw": "jaw", "pucker": "round", "funnel": "round", "spread": "other", "lower": "other", "upper": "other"}
_STRESS = {"ˈ": 1.12, "ˌ": 1.0}
_UNSTRESSED = 0.85
# A closure lasts longer than a video frame, so that each one is seen at 25 fps; lips take a little time to meet.
_GESTURE = {"close": (0.046, 0.05), "tuck": (0.046, 0.06)}  # least plateau, ramp; seconds
_OPENS, _CLOSES = (0.16, 0.04), (0.05, 0.2)  # around speech: opens before it, closed again after it; seconds
_JAW_OPEN = 0.52  # jawOpen of a fully open vowel in lively speech


def segments(symbol: str) -> list[str]:
    """The letters of an IPA phone that have a viseme: one, or two for diphthongs and affricates; none for a pause."""
    letters = [c for c in unicodedata.normalize("NFD", symbol) if c in _VISEMES]
    return letters[:2]


@dataclass(frozen=True)
class _Target:
    start: float
    end: float
    release: float
    viseme: Viseme
    gain: float


def _targets(phones: Sequence[Phone]) -> list[_Target]:
    """The articulatory targets in order of time; diphthongs and affricates become two."""
    out = []
    for phone in phones:
        letters = segments(phone.symbol)
        if phone.symbol and not letters:
            continue  # a mark such as a lone palatalisation: the neighbours decide
        if not letters:
            out.append(_Target(phone.start, phone.end, phone.end, _PAUSE, 0.0))
            continue
        gain = 1.0
        if letters[0] in VOWELS:
            gain = next((_STRESS[c] for c in phone.symbol if c in _STRESS), _UNSTRESSED)
        middle = phone.start + 0.55 * (phone.end - phone.start)
        edges = [phone.start, middle, phone.end] if len(letters) == 2 else [phone.start, phone.end]
        release = phone.end if phone.release is None else phone.release
        out += [
            _Target(a, b, max(min(b, release), a), _VISEMES[c], gain)
            for c, a, b in zip(letters, edges, edges[1:], strict=False)
        ]
    return out


def _gesture(times: np.ndarray, spans: list[tuple[float, float, float]], least: float, ramp: float) -> np.ndarray:
    """Plateaus of given heights over (start, end, height) spans with cosine ramps; the highest wins. [T]"""
    level = np.zeros(len(times))
    for start, end, height in spans:
        missing = max(0.0, least - (end - start)) / 2
        outside = np.maximum(start - missing - times, times - end - missing).clip(0)
        level = np.maximum(level, height * 0.5 * (1 + np.cos(np.pi * np.minimum(outside / ramp, 1))))
    return level


def _spoken(targets: list[_Target], times: np.ndarray) -> np.ndarray:
    """1 where there is speech, 0 in silence, [T]; the mouth may open a little before the sound."""
    spoken = np.zeros(len(times))
    (early, opened), (late, closed) = _OPENS, _CLOSES
    for t in targets:
        if t.viseme is not _PAUSE:
            rise = np.clip((times - t.start + early) / (early - opened), 0, 1)
            fall = np.clip((t.end + closed - times) / (closed - late), 0, 1)
            spoken = np.maximum(spoken, np.minimum(rise, fall))
    return spoken


def articulate(phones: Sequence[Phone], times: np.ndarray) -> dict[str, np.ndarray]:
    """Articulator positions, each [T] in about 0 to 1, at `times` [T] in seconds."""
    targets = _targets(phones)
    if not any(t.viseme is not _PAUSE for t in targets):
        return {name: np.zeros(len(times)) for name in (*_GROUPS, *_GESTURE)}
    starts = np.array([t.start for t in targets])[:, None]
    ends = np.array([t.end for t in targets])[:, None]
    gains = np.array([t.gain for t in targets])
    pause = np.array([t.viseme is _PAUSE for t in targets])
    # A short pause between words hardly closes the mouth; a long one does.
    rest = np.clip((ends - starts)[:, 0] / 0.25, 0.2, 1.0)
    tracks = {}
    for name, group in _GROUPS.items():
        ahead, behind = _FADE[group]
        reach = np.exp(-np.maximum(starts - times, 0) / ahead - np.maximum(times - ends, 0) / behind)
        hold = np.array([t.viseme.hold_jaw if name == "jaw" else t.viseme.hold_lips for t in targets])
        weight = np.where(pause, rest, hold)[:, None] * reach
        wanted = np.array([getattr(t.viseme, name) for t in targets]) * (gains if name == "jaw" else 1.0)
        tracks[name] = (weight * wanted[:, None]).sum(0) / (weight.sum(0) + 1e-9)
    for name, (least, ramp) in _GESTURE.items():
        spans = [(t.start, t.release, getattr(t.viseme, name)) for t in targets if getattr(t.viseme, name) > 0]
        tracks[name] = _gesture(times, spans, least, ramp)
    spoken = _spoken(targets, times)
    return {name: track * spoken for name, track in tracks.items()}


def to_coefficients(tracks: dict[str, np.ndarray], gain: float = 1.0) -> np.ndarray:
    """Articulators -> lip coefficients, float32 [T 21] in [0, 1]; `gain` scales how far the mouth moves in vowels."""
    close, tuck = tracks["close"], tracks["tuck"]
    free = (1 - close) * (1 - 0.8 * tuck)  # lips that are held cannot also be drawn up or down
    weights = dict.fromkeys(LIP_COEFFICIENTS, np.zeros(len(close)))
    # Where the lip is at the teeth the jaw must be nearly shut, whatever the vowels beside it want.
    weights["jawOpen"] = _JAW_OPEN * gain * tracks["jaw"] * (1 - 0.55 * close) * (1 - tuck) + 0.09 * tuck * (1 - close)
    weights["jawForward"] = 0.15 * tracks["funnel"]
    weights["mouthPucker"] = 0.75 * tracks["pucker"] * (1 - 0.4 * tuck)
    weights["mouthFunnel"] = 0.5 * tracks["funnel"] * free
    weights["mouthRollLower"] = 0.36 * tuck + 0.1 * close
    weights["mouthRollUpper"] = 0.08 * close
    weights["mouthShrugLower"] = 0.06 * close
    for side in "LR":
        weights[f"mouthStretch_{side}"] = 0.35 * gain * tracks["spread"] * (1 - 0.5 * close)
        weights[f"mouthLowerDown_{side}"] = 0.5 * gain * tracks["lower"] * free
        weights[f"mouthUpperUp_{side}"] = 0.35 * gain * tracks["upper"] * free + 0.15 * tuck * (1 - close)
        weights[f"mouthPress_{side}"] = 0.25 * close
    lips = np.stack([weights[name] for name in LIP_COEFFICIENTS], 1).astype(np.float32)
    # mouthClose takes away whatever opening is left, in proportion to the closure.
    left = np.maximum(mouth_opening(lips) - CLOSED_CHANGE, 0)
    lips[:, LIP_COEFFICIENTS.index("mouthClose")] = close * left / -OPENING["mouthClose"]
    return lips.clip(0, 1)


def frame_times(frames: int, fps: float = FPS) -> np.ndarray:
    """The instant that each frame shows, [T] seconds: the middle of the interval in which it is on the screen."""
    return (np.arange(frames) + 0.5) / fps


def lip_track(phones: Sequence[Phone], frames: int, fps: float = FPS, gain: float = 1.0) -> np.ndarray:
    """Lip coefficients of a spoken text, float32 [frames 21], in the order of schema.LIP_COEFFICIENTS."""
    return to_coefficients(articulate(phones, frame_times(frames, fps)), gain)
