"""Phones with times -> mouth shapes over time, with coarticulation.

Each phone has target positions of a few articulators (`Viseme`). Jaw, rounding, spreading and lip raising are blended
after Cohen & Massaro, "Modeling coarticulation in synthetic visual speech" (1993): a phone dominates in its own
interval, and its influence fades exponentially before and after it. A consonant that does not need an articulator has a
small weight there, so that the rounding of a neighbouring vowel spreads over it. Two gestures are not blended but added
on top: closed lips (p b m), and the lower lip at the upper teeth (f v).

At the end the articulators become FaceKit weights. Lip gaps are in % of the distance between the outer eye corners,
measured on FaceKit. The neutral mouth has a gap of 0.9, jawOpen adds 32.4, and mouthClose subtracts 41.7. As in ARKit,
mouthClose closes the lips of an open jaw: 0.78 mouthClose cancel 1 jawOpen. `OPENING` has the other shapes.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thgen.schema import FPS, LIP_COEFFICIENTS

# Change of the gap between the inner lips per unit of weight, in % of the outer-canthal distance. Measured on FaceKit's
# landmarks (mean of 61-67, 62-66, 63-65); test_speech.py checks it.
OPENING = {
    "jawForward": 1.24, "jawLeft": -0.26, "jawOpen": 32.42, "jawRight": -0.26, "mouthClose": -41.72,
    "mouthFunnel": 12.14, "mouthLeft": -0.52, "mouthLowerDown_L": 3.27, "mouthLowerDown_R": 3.27,
    "mouthPress_L": -1.22, "mouthPress_R": -1.22, "mouthPucker": -1.45, "mouthRight": -0.52, "mouthRollLower": -2.76,
    "mouthRollUpper": 1.77, "mouthShrugLower": -7.17, "mouthShrugUpper": 5.12, "mouthStretch_L": -0.20,
    "mouthStretch_R": -0.20, "mouthUpperUp_L": 3.92, "mouthUpperUp_R": 3.92,
}  # fmt: skip
OPENING_WEIGHTS = np.array([OPENING[name] for name in LIP_COEFFICIENTS], np.float32)
NEUTRAL_GAP = 0.9  # %: gap of the neutral mouth
CLOSED_CHANGE = -0.5  # %: change of the gap at closed lips; tighter than neutral, but the lips do not intersect


def mouth_opening(lips: np.ndarray) -> np.ndarray:
    """Gap between the inner lips from lip coefficients, relative to the neutral mouth.

    lips: [... 21] in the order of schema.LIP_COEFFICIENTS. Returns [...] in % of the outer-canthal distance: 0 for the
    neutral mouth, about 8 to 14 for an open vowel.

    >>> mouth_opening(np.zeros(21)).item()
    0.0
    """
    return lips @ OPENING_WEIGHTS


@dataclass(frozen=True)
class Phone:
    """One speech sound: IPA `symbol` (empty for a pause) from `start` to `end` in seconds.

    release: time at which the closure of a stop opens; the breath follows until `end`. None: at `end`.
    """

    symbol: str
    start: float
    end: float
    release: float | None = None


@dataclass(frozen=True)
class Viseme:
    """Target positions of the articulators, each 0 to 1, and weights of these targets (`hold_jaw`, `hold_lips`)."""

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
    # An open jaw shows a little of the lower teeth; rounded lips cover them. Rounding has a larger weight.
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

# Time constants in s with which the influence of a phone fades before and after its interval.
_FADE = {"jaw": (0.055, 0.06), "round": (0.13, 0.08), "other": (0.07, 0.07)}
_GROUPS = {"jaw": "jaw", "pucker": "round", "funnel": "round", "spread": "other", "lower": "other", "upper": "other"}
_STRESS = {"ˈ": 1.12, "ˌ": 1.0}
_UNSTRESSED = 0.85
# (least duration of the full gesture, duration of its ramps) in s. A closure lasts longer than a video frame, so that
# it is visible at 25 fps.
_GESTURE = {"close": (0.046, 0.05), "tuck": (0.046, 0.06)}
_OPENS = (0.16, 0.04)  # s before speech: the mouth begins to open, and is free to move
_CLOSES = (0.05, 0.2)  # s after speech: the mouth begins to close, and is closed
_JAW_OPEN = 0.52  # jawOpen of a fully open vowel in lively speech


def segments(symbol: str) -> list[str]:
    """The letters of an IPA phone that have a viseme: one, or two for diphthongs and affricates; none for a pause.

    >>> segments("tʃ"), segments("ˈɑː"), segments("")
    (['t', 'ʃ'], ['ɑ'], [])
    """
    letters = [c for c in unicodedata.normalize("NFD", symbol) if c in _VISEMES]
    return letters[:2]


@dataclass(frozen=True)
class _Target:
    """A viseme in an interval in s. gain: factor on the opening of the jaw."""

    start: float
    end: float
    release: float
    viseme: Viseme
    gain: float


def _targets(phones: Sequence[Phone]) -> list[_Target]:
    """Articulatory targets in order of time. A diphthong or an affricate becomes two."""
    out = []
    for phone in phones:
        letters = segments(phone.symbol)
        if phone.symbol and not letters:
            continue  # a mark without a sound, such as a single palatalisation
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
    """Maximum of plateaus with cosine ramps, [T], for spans (start, end, height).

    least: least length of a plateau, ramp: length of a ramp, both in s.
    """
    level = np.zeros(len(times))
    for start, end, height in spans:
        missing = max(0.0, least - (end - start)) / 2
        outside = np.maximum(start - missing - times, times - end - missing).clip(0)
        level = np.maximum(level, height * 0.5 * (1 + np.cos(np.pi * np.minimum(outside / ramp, 1))))
    return level


def _spoken(targets: list[_Target], times: np.ndarray) -> np.ndarray:
    """1 in speech, 0 in silence, [T]. It rises shortly before the sound and falls after it."""
    spoken = np.zeros(len(times))
    (early, opened), (late, closed) = _OPENS, _CLOSES
    for t in targets:
        if t.viseme is not _PAUSE:
            rise = np.clip((times - t.start + early) / (early - opened), 0, 1)
            fall = np.clip((t.end + closed - times) / (closed - late), 0, 1)
            spoken = np.maximum(spoken, np.minimum(rise, fall))
    return spoken


def articulate(phones: Sequence[Phone], times: np.ndarray) -> dict[str, np.ndarray]:
    """Positions of the articulators, each [T] from about 0 to 1, at `times` [T] in s."""
    targets = _targets(phones)
    if not any(t.viseme is not _PAUSE for t in targets):
        return {name: np.zeros(len(times)) for name in (*_GROUPS, *_GESTURE)}
    starts = np.array([t.start for t in targets])[:, None]
    ends = np.array([t.end for t in targets])[:, None]
    gains = np.array([t.gain for t in targets])
    pause = np.array([t.viseme is _PAUSE for t in targets])
    # A short pause between words hardly closes the mouth, a long one closes it.
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
    """Articulators, each [T] -> lip coefficients, float32 [T 21] in [0, 1]. gain: size of mouth movements in vowels."""
    close, tuck = tracks["close"], tracks["tuck"]
    free = (1 - close) * (1 - 0.8 * tuck)  # lips in a gesture cannot move up or down as well
    weights = dict.fromkeys(LIP_COEFFICIENTS, np.zeros(len(close)))
    # With the lip at the teeth the jaw must be nearly closed, also beside open vowels.
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
    # mouthClose removes the remaining opening, in proportion to the closure.
    left = np.maximum(mouth_opening(lips) - CLOSED_CHANGE, 0)
    lips[:, LIP_COEFFICIENTS.index("mouthClose")] = close * left / -OPENING["mouthClose"]
    return lips.clip(0, 1)


def frame_times(frames: int, fps: float = FPS) -> np.ndarray:
    """Times of frames, [T] in s: the middle of the interval in which a frame is on the screen."""
    return (np.arange(frames) + 0.5) / fps


def lip_track(phones: Sequence[Phone], frames: int, fps: float = FPS, gain: float = 1.0) -> np.ndarray:
    """Lip coefficients of phones, float32 [frames 21], in the order of schema.LIP_COEFFICIENTS.

    phones: in order of time. gain: see `to_coefficients`.

    >>> lips = lip_track([Phone("", 0, 0.4), Phone("ɑ", 0.4, 0.6), Phone("", 0.6, 1)], frames=25)
    >>> lips.shape, bool(mouth_opening(lips)[12] > 5), lips[0].any().item()  # open in the vowel, closed at the start
    ((25, 21), True, False)
    """
    return to_coefficients(articulate(phones, frame_times(frames, fps)), gain)
