"""Random motion of performers: single states for training pairs, and tracks at 25 fps for clips."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from thgen import idle_motion
from thgen.facs import coefficients_of
from thgen.schema import (
    AU_MAX,
    BLINK_COEFFICIENTS,
    COEFFICIENT_INDEX,
    COEFFICIENTS,
    EMOTIONS,
    EXPRESSION_COEFFICIENTS,
    FPS,
    LIP_COEFFICIENTS,
    SAMPLES_PER_FRAME,
    stem_of,
)
from thgen.synth.head.performer import BLINK_CLOSED, State
from thgen.synth.voice.speech import Speech, random_speech

# (action units, weight) that often occur together in spontaneous expressions. The order follows studies of DISFA and
# BP4D, the weights are ours. Other units are drawn one by one.
COMBINATIONS: tuple[tuple[tuple[int, ...], float], ...] = (
    ((6, 12), 5.0), ((1, 2), 3.0), ((4, 7), 2.5), ((6, 7, 12), 2.0), ((1, 2, 5), 1.5), ((1, 4), 1.5), ((10, 12), 1.5),
    ((15, 17), 1.5), ((17, 24), 1.0), ((9, 10), 1.0), ((14,), 1.0), ((4, 9, 10), 0.7), ((1, 4, 15), 0.7), ((2,), 0.5),
    ((20,), 0.5), ((12, 14), 0.5),
)  # fmt: skip
ONE_SIDED = 0.12  # share of expressions that are much weaker on one side of the face
# Grimaces: ranges of shape weights, by name without side, and their weight in the draw. Random lips and action units
# reach such mouths and eyes too rarely: an analyser trained without them read real openings a third too small.
Ranges = dict[str, tuple[float, float]]
GRIMACES_MOUTH: tuple[tuple[Ranges, float], ...] = (
    ({"jawOpen": (0.7, 1.2), "mouthUpperUp": (0, 0.9), "mouthLowerDown": (0, 1.0),
      "mouthStretch": (0, 0.5)}, 3.0),  # shout
    ({"jawOpen": (0.3, 0.9), "mouthSmile": (0.6, 1.1), "mouthUpperUp": (0.1, 0.9), "mouthLowerDown": (0, 0.6),
      "cheekSquint": (0.2, 1.0)}, 3.0),  # laugh
    ({"jawOpen": (0.9, 1.2), "mouthFunnel": (0, 0.5), "eyeSquint": (0.3, 1.0)}, 1.5),  # yawn
    ({"jawOpen": (0.4, 1.1), "mouthStretch": (0.6, 1.0), "mouthLowerDown": (0, 0.8)}, 1.5),
    ({"jawOpen": (0.4, 1.1), "mouthFunnel": (0.4, 1.0), "mouthPucker": (0.1, 1.0)}, 1.5),
    ({"jawOpen": (0, 0.12), "mouthSmile": (0.6, 1.1), "mouthUpperUp": (0.2, 0.8),
      "mouthLowerDown": (0.1, 0.8)}, 2.0),  # grin
    ({"mouthSmile": (0.7, 1.1), "mouthPress": (0, 0.4), "cheekSquint": (0, 1.0)}, 2.0),  # closed smile
    ({"mouthPucker": (0.7, 1.1), "mouthFunnel": (0, 0.4)}, 1.5),  # kiss
    ({"jawOpen": (0, 0.15), "mouthUpperUp": (0.5, 1.0), "mouthLowerDown": (0.5, 1.0), "mouthStretch": (0.2, 0.9),
      "noseSneer": (0, 1.0)}, 1.0),  # bared teeth
    ({"mouthPress": (0.5, 1.0), "mouthRollLower": (0.2, 1.0), "mouthRollUpper": (0.2, 1.0)}, 1.0),
    ({"cheekPuff": (0.5, 1.0), "mouthPress": (0.2, 0.8)}, 0.7),
    ({"mouthFrown": (0.6, 1.1), "mouthShrugLower": (0.3, 1.0)}, 1.0),
)  # fmt: skip
GRIMACES_EYES: tuple[tuple[Ranges, float], ...] = (
    ({"eyeSquint": (0.5, 1.1), "cheekSquint": (0, 1.0), "browDown": (0, 0.8)}, 2.0),
    ({"eyeWide": (0.5, 1.1)}, 1.5),
    ({"eyeWide": (0.4, 1.1), "browInnerUp": (0.4, 1.1), "browOuterUp": (0.4, 1.1)}, 1.5),
    ({"browInnerUp": (0.5, 1.1), "browOuterUp": (0.5, 1.1)}, 1.5),
    ({"browDown": (0.5, 1.1), "eyeSquint": (0, 0.5)}, 1.5),
)
GRIMACING = 0.3  # share of states with a grimace of the mouth, and, independently, of the eyes
LOPSIDED = 0.25  # share of grimaces that one side of the face makes weakly or not at all
BROW_LIFTED, WINKING, SHUT = 0.05, 0.05, 0.05  # shares of states with one lifted brow, a wink, both eyes shut
SQUINTING, SQUINT_SPREAD = 0.04, np.array([10.0, 3.0])  # share of states with crossed or diverged eyes; degrees per eye
BLINKS = [COEFFICIENT_INDEX[name] for name in BLINK_COEFFICIENTS]
# Gestures of a track: shares of grimaces of the mouth and of the eyes, lifted brows, winks; s of rise and fall, and of
# the time between them; share of the drawn size.
GESTURES = (0.35, 0.35, 0.15, 0.15)
GESTURE_EASE, GESTURE_HELD, GESTURE_SIZE = (0.1, 0.4), (0.0, 0.8), (0.4, 1.0)
NOD_CELL = 1.2  # s: in each interval of this length, the loudest syllable may come with a nod
BLINK_WITH_SACCADE = 8.0  # degrees: a gaze shift of this size often comes with a blink
POSE_SPREAD = np.array([19.0, 11.0, 9.0, 0.5, 0.4, 1.2])  # yaw, pitch, roll in degrees; x, y, z in cm
POSE_LIMIT = np.array([50.0, 32.0, 30.0, 2.0, 1.5, 4.0])
GAZE_SPREAD, GAZE_LIMIT = np.array([11.0, 7.0]), np.array([32.0, 24.0])  # yaw, pitch in degrees


def _random_lips(rng: np.random.Generator) -> dict[str, float]:
    """Lip coefficients of a mouth during speech, by name without side. Often rounded, closed or spread."""
    lips: dict[str, float] = {}
    if rng.random() < 0.75:
        lips["jawOpen"] = rng.beta(1.1, 2.8) * (1.0 if rng.random() < 0.2 else 0.7)
    kind = rng.random()
    if kind < 0.2:  # lips that are closed while the jaw is open: bilabials
        lips["mouthClose"] = lips.get("jawOpen", 0) * rng.uniform(0.6, 1.05)
        lips["mouthPress"] = rng.uniform(0, 0.6)
    elif kind < 0.45:
        lips["mouthPucker"], lips["mouthFunnel"] = rng.beta(1.2, 1.5), rng.beta(1, 2)
    elif kind < 0.65:
        lips["mouthStretch"] = rng.beta(1.2, 2)
    for name in ("mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthLowerDown",
                 "mouthUpperUp", "mouthPress", "mouthFunnel"):  # fmt: skip
        if rng.random() < 0.18:
            lips[name] = rng.beta(1, 1.8)
    for name in ("jawLeft", "jawRight", "jawForward", "mouthLeft", "mouthRight"):
        if rng.random() < 0.06:
            lips[name] = rng.beta(1, 2)
    return lips


def _fill(out: np.ndarray, names: tuple[str, ...], values: dict[str, float], rng: np.random.Generator) -> None:
    """Write values (by name without side) into coefficients `out` [57], in place. Both sides differ by about 10 %."""
    for name in names:
        stem = stem_of(name)
        if stem in values:
            side = 1.0 if stem == name else 1 + 0.1 * rng.standard_normal()
            out[COEFFICIENT_INDEX[name]] = np.clip(values[stem] * side, 0, 1.2)


def _grimace(rng: np.random.Generator, kinds: tuple[tuple[Ranges, float], ...]) -> np.ndarray:
    """Coefficients [57] of one of the kinds, drawn by their weights. Some are LOPSIDED."""
    out = np.zeros(len(COEFFICIENTS), np.float32)
    weight = np.array([w for _, w in kinds])
    chosen = kinds[rng.choice(len(kinds), p=weight / weight.sum())][0]
    _fill(out, COEFFICIENTS, {stem: rng.uniform(*span) for stem, span in chosen.items()}, rng)
    if rng.random() < LOPSIDED:
        out[_one_side(rng)] *= rng.uniform(0, 0.4)
        if "mouth" in "".join(chosen):
            out[COEFFICIENT_INDEX[str(rng.choice(["mouthLeft", "mouthRight"]))]] = rng.uniform(0, 0.7)
    return out


def _one_side(rng: np.random.Generator) -> list[int]:
    """Numbers of the coefficients of the left or the right side of the face."""
    side = str(rng.choice(["_L", "_R"]))
    return [i for i, name in enumerate(COEFFICIENTS) if name.endswith(side)]


def _one_brow(rng: np.random.Generator) -> np.ndarray:
    """Coefficients [57] of one lifted brow. The other stays or is lowered."""
    out = np.zeros(len(COEFFICIENTS), np.float32)
    lifted, other = rng.permutation(["L", "R"])
    out[COEFFICIENT_INDEX[f"browOuterUp_{lifted}"]] = rng.uniform(0.5, 1.1)
    out[COEFFICIENT_INDEX[f"browInnerUp_{lifted}"]] = rng.uniform(0, 0.8)
    out[COEFFICIENT_INDEX[f"browDown_{other}"]] = rng.uniform(0, 0.7)
    return out


def _wink(rng: np.random.Generator) -> np.ndarray:
    """Coefficients [57] of a wink, which squeezes its side of the face. The other eye may close a little."""
    out = np.zeros(len(COEFFICIENTS), np.float32)
    shut, other = rng.permutation(["L", "R"])
    out[COEFFICIENT_INDEX[f"eyeBlink_{shut}"]] = BLINK_CLOSED * rng.uniform(0.85, 1.05)
    out[COEFFICIENT_INDEX[f"eyeBlink_{other}"]] = rng.uniform(0, 0.3)
    for stem in ("eyeSquint", "cheekSquint", "mouthSmile"):
        out[COEFFICIENT_INDEX[f"{stem}_{shut}"]] += rng.uniform(0, 0.7)
    return out


def _close_lids(out: np.ndarray, rng: np.random.Generator) -> None:
    """Draw the blink weights of the coefficients `out` [57], in place. A wink squeezes its side of the face."""
    draw = rng.random()
    blink = rng.beta(1, 0.8) * BLINK_CLOSED if draw < 0.3 else rng.uniform(0, 0.25) if draw < 0.6 else 0.0
    if rng.random() < SHUT:
        blink = BLINK_CLOSED * rng.uniform(0.95, 1.05)
    for name in BLINK_COEFFICIENTS:
        wink = rng.random() < 0.08
        out[COEFFICIENT_INDEX[name]] = rng.random() * BLINK_CLOSED if wink else blink
    if rng.random() < WINKING:
        out[BLINKS] = 0
        out += _wink(rng)


def _random_gaze(rng: np.random.Generator) -> np.ndarray:
    """Gaze [2 2] in degrees: both eyes look at one near or far point, but for a few that are SQUINTING."""
    gaze = np.clip(rng.standard_normal(2) * GAZE_SPREAD, -GAZE_LIMIT, GAZE_LIMIT)
    vergence = np.array([[-1.0, 0], [1.0, 0]]) * rng.uniform(0, 3)  # to converge, the left eye turns towards -x
    if rng.random() < SQUINTING:
        vergence = rng.standard_normal((2, 2)) * SQUINT_SPREAD
    return np.clip(gaze + vergence, -GAZE_LIMIT - 3, GAZE_LIMIT + 3).astype(np.float32)


def random_state(rng: np.random.Generator, intensity: float = 1.0) -> State:
    """A random state: pose, gaze, blink, expression and lips. intensity, 0 to 1: scale of pose, expression and lips."""
    out = np.zeros(len(COEFFICIENTS), np.float32)
    if rng.random() < GRIMACING:
        out += _grimace(rng, GRIMACES_MOUTH)
    else:
        _fill(out, LIP_COEFFICIENTS, _random_lips(rng), rng)
    if rng.random() < GRIMACING:
        out += _grimace(rng, GRIMACES_EYES)
    if rng.random() < BROW_LIFTED:
        out += _one_brow(rng)
    units: dict[int, float] = {}
    if rng.random() < 0.4:
        emotion = list(EMOTIONS)[rng.integers(len(EMOTIONS))]
        units = {k: v * rng.uniform(0.2, 1.1) for k, v in EMOTIONS[emotion].items()}
    elif rng.random() < 0.5:
        share = np.array([weight for _, weight in COMBINATIONS])
        strength = 5 * rng.beta(1.3, 1.8)
        for unit in COMBINATIONS[rng.choice(len(COMBINATIONS), p=share / share.sum())][0]:
            units[unit] = float(np.clip(strength * rng.uniform(0.6, 1.3), 0, AU_MAX))
    expression = coefficients_of(units)
    if units and rng.random() < ONE_SIDED:
        expression[_one_side(rng)] *= rng.uniform(0, 0.5)
    for name in EXPRESSION_COEFFICIENTS:
        expression[COEFFICIENT_INDEX[name]] *= 1 + 0.15 * rng.standard_normal()
    stems = {stem_of(n) for n in EXPRESSION_COEFFICIENTS}
    extra = {s: rng.beta(1.2, 1.6) for s in sorted(stems) if rng.random() < 0.1}
    _fill(expression, EXPRESSION_COEFFICIENTS, extra, rng)
    out = np.clip(out + expression, 0, 1.2) * intensity
    _close_lids(out, rng)
    pose = np.clip(rng.standard_normal(6) * POSE_SPREAD, -POSE_LIMIT, POSE_LIMIT) * intensity
    return State(np.clip(out, 0, 1.2), pose.astype(np.float32), _random_gaze(rng))


def blend(a: State, b: State, t: float) -> State:
    """Linear interpolation of two states: a at t = 0, b at t = 1."""
    mix = lambda x, y: (x + t * (y - x)).astype(np.float32)  # noqa: E731
    return State(mix(a.coefficients, b.coefficients), mix(a.pose, b.pose), mix(a.gaze, b.gaze))


def random_states(rng: np.random.Generator, count: int, pairs: bool = False) -> list[State]:
    """`count` states. The first is the reference, often calm as in photos; about half of the others are near to it.

    pairs: every second one of the others is the state before it, one frame later.
    """
    reference = random_state(rng, rng.choice([0.15, 0.5, 1.0]))
    states = [reference]
    for number in range(1, count):
        other = random_state(rng)
        near = rng.random()
        if pairs and number % 2 == 0:
            states.append(blend(states[-1], other, rng.uniform(0.03, 0.12)))
            continue
        if near < 0.25:  # as in speech: mouth and lids move, the head hardly does
            pose = reference.pose + 0.15 * (other.pose - reference.pose)
            other = State(other.coefficients, pose.astype(np.float32), other.gaze)
        elif near < 0.5:
            other = blend(reference, other, rng.uniform(0.2, 0.6))
        states.append(other)
    return states


def _head_track(rng: np.random.Generator, seed: int, frames: int) -> np.ndarray:
    """Head pose [frames 6] in degrees and cm: a constant offset, slow wide turns and idle motion."""
    times = np.arange(frames) / FPS
    track = rng.standard_normal(6) * POSE_SPREAD * 0.4 + np.zeros((frames, 6))
    for hertz in (0.07, 0.17, 0.41):
        wave = np.sin(2 * np.pi * hertz * rng.uniform(0.7, 1.3) * times + rng.uniform(0, 2 * np.pi))
        track += wave[:, None] * rng.standard_normal(6) * POSE_SPREAD * 0.35
    idle = idle_motion.idle_pose(seed, 0, frames)
    track[:, :3] += idle[:, :3]
    return np.clip(track, -POSE_LIMIT, POSE_LIMIT)


EMOTION_SECONDS = (2.0, 6.0)  # for which an emotion of a track lasts
EMOTION_EASE = 0.5  # seconds: within this time a track changes to its next emotion, from neutral to its first one


def emotion_at(names: Sequence[str], frame: int) -> str | None:
    """The emotion of a track that its names tell of a frame; None where they do not tell it: during the first change,
    and after the shortest first emotion if there is a second one.

    >>> [emotion_at(("happy", "sad"), frame) for frame in (0, 12, 13, 49, 50)]
    [None, None, 'happy', 'happy', None]
    """
    if not names or frame < EMOTION_EASE * FPS or (len(names) > 1 and frame >= EMOTION_SECONDS[0] * FPS):
        return None
    return names[0]


def _emotion_track(rng: np.random.Generator, frames: int) -> tuple[np.ndarray, list[str]]:
    """Coefficients [frames 57] of emotions, and their names. See EMOTION_SECONDS and EMOTION_EASE."""
    track = np.zeros((frames, len(COEFFICIENTS)), np.float32)
    names, at, before = [], 0, np.zeros(len(COEFFICIENTS), np.float32)
    while at < frames:
        name = str(rng.choice(list(EMOTIONS)))
        intensity = rng.uniform(0.2, 1.0)
        goal = np.clip(coefficients_of({k: v * intensity for k, v in EMOTIONS[name].items()}), 0, 1)
        length = int(rng.uniform(*EMOTION_SECONDS) * FPS)
        ease = np.clip(np.arange(min(length, frames - at)) / (EMOTION_EASE * FPS), 0, 1)[:, None]
        track[at : at + len(ease)] = before + ease * ease * (3 - 2 * ease) * (goal - before)
        names.append(name)
        before, at = goal, at + length
    return track, names


def _nods(rng: np.random.Generator, speech: Speech, frames: int) -> np.ndarray:
    """Change of pitch in degrees, [frames], at most 0: short nods on some of the loudest syllables."""
    loud = np.zeros(frames)
    power = speech.samples[: frames * SAMPLES_PER_FRAME].astype(np.float64) ** 2
    blocks = np.pad(power, (0, frames * SAMPLES_PER_FRAME - len(power))).reshape(frames, -1)
    loud[:] = np.sqrt(blocks.mean(1))
    track, cell = np.zeros(frames), int(NOD_CELL * FPS)
    for start in range(0, frames, cell):
        part = loud[start : start + cell]
        if part.max() > 0.5 * loud.max() > 0 and rng.random() < 0.5:
            peak = start + int(part.argmax())
            track -= rng.uniform(1, 5) * np.exp(-0.5 * ((np.arange(frames) - peak - 1) / rng.uniform(2, 4)) ** 2)
    return track


def _saccade_blinks(rng: np.random.Generator, gaze: np.ndarray) -> np.ndarray:
    """Lid closure [frames], 0 to 1, of blinks that come with large shifts of the gaze [frames 2] in degrees."""
    jump = np.linalg.norm(np.diff(gaze, axis=0, prepend=gaze[:1]), axis=1)
    closed = np.zeros(len(gaze))
    for t in np.flatnonzero(jump > BLINK_WITH_SACCADE):
        if rng.random() < 0.5:
            closed = np.maximum(closed, np.exp(-0.5 * ((np.arange(len(gaze)) - t - 1) / 1.3) ** 2))
    return closed


def _gesture(rng: np.random.Generator) -> np.ndarray:
    """Coefficients [57] of a random gesture: a grimace of mouth or eyes, one lifted brow or a wink."""
    kind = rng.choice(4, p=GESTURES)
    if kind == 0:
        return _grimace(rng, GRIMACES_MOUTH)
    if kind == 1:
        return _grimace(rng, GRIMACES_EYES)
    return _one_brow(rng) if kind == 2 else _wink(rng)


def _gesture_track(rng: np.random.Generator, frames: int, rate: float) -> np.ndarray:
    """Coefficients [frames 57] of gestures that come and go. rate: of them per second, on average."""
    track, t = np.zeros((frames, len(COEFFICIENTS)), np.float32), np.arange(frames) / FPS
    at = float(rng.exponential(1 / rate))
    while at < frames / FPS:
        rise, held, fall = rng.uniform(*GESTURE_EASE), rng.uniform(*GESTURE_HELD), rng.uniform(*GESTURE_EASE)
        shown = np.clip(np.minimum((t - at) / rise, (at + rise + held + fall - t) / fall), 0, 1)
        track += (shown * shown * (3 - 2 * shown))[:, None] * _gesture(rng) * rng.uniform(*GESTURE_SIZE)
        at += rise + held + fall + float(rng.exponential(1 / rate))
    return track


def track_states(
    rng: np.random.Generator, frames: int, voices: str = "espeak", gestures: float = 0.0
) -> tuple[list[State], Speech, list[str]]:
    """A performance of `frames` frames at 25 fps: states, speech, and names of its emotions.

    The states have lips that follow the speech, blinks, saccades, head motion and expressions. voices: one of
    voice.sets.VOICE_SETS. gestures: grimaces, lifted brows and winks per second, beside the speech; 0 = none, and the
    same performance as without this argument. Raises AssetError if the drawn voice is not installed.
    """
    seed = int(rng.integers(2**31))
    coefficients, emotions = _emotion_track(rng, frames)
    speech = random_speech(rng, frames / FPS, emotion=emotions[0], voices=voices)
    coefficients[:, [COEFFICIENT_INDEX[n] for n in LIP_COEFFICIENTS]] += speech.lips(
        frames, gain=float(rng.uniform(0.75, 1.25))
    )
    gaze = idle_motion.saccades(seed, 0, frames) * rng.uniform(1, 4)
    blink = np.maximum(1 - idle_motion.blinks(seed, 0, frames), _saccade_blinks(rng, gaze)[:, None]) * BLINK_CLOSED
    for side, name in enumerate(sorted(BLINK_COEFFICIENTS, key=lambda n: n[-1])):
        coefficients[:, COEFFICIENT_INDEX[name]] = blink[:, side]
    pose = _head_track(rng, seed, frames)
    pose[:, 1] += _nods(rng, speech, frames)
    if gestures:
        coefficients += _gesture_track(rng, frames, gestures)
        coefficients[:, BLINKS] = np.minimum(coefficients[:, BLINKS], BLINK_CLOSED * 1.05)
        coefficients = coefficients.clip(0, 1.2)
    states = [
        State(coefficients[t], pose[t].astype(np.float32), np.repeat(gaze[t][None], 2, 0).astype(np.float32))
        for t in range(frames)
    ]
    return states, speech, emotions
