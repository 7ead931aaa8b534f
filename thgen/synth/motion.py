"""What performers do: single random states for training pairs, and tracks at 25 fps for clips."""

from __future__ import annotations

import numpy as np

from thgen import live
from thgen.schema import (
    ACTION_UNITS,
    AU_MAX,
    BLINK_COEFFICIENTS,
    COEFFICIENT_INDEX,
    COEFFICIENTS,
    EMOTIONS,
    EXPRESSION_COEFFICIENTS,
    FPS,
    LIP_COEFFICIENTS,
)
from thgen.synth.head import BLINK_CLOSED, State
from thgen.synth.speech import Speech, random_speech

POSE_SPREAD = np.array([19.0, 11.0, 9.0, 0.5, 0.4, 1.2])  # degrees and cm
POSE_LIMIT = np.array([50.0, 32.0, 30.0, 2.0, 1.5, 4.0])
GAZE_SPREAD, GAZE_LIMIT = np.array([11.0, 7.0]), np.array([32.0, 24.0])


def au_coefficients(units: dict[int, float]) -> np.ndarray:
    """Action units (0-5) -> coefficients [57], both sides alike."""
    out = np.zeros(len(COEFFICIENTS), np.float32)
    for unit, intensity in units.items():
        for stem in ACTION_UNITS[unit][1]:
            for name in COEFFICIENTS:
                if name in (stem, f"{stem}_L", f"{stem}_R"):
                    out[COEFFICIENT_INDEX[name]] += intensity / AU_MAX
    return out


def _random_lips(rng: np.random.Generator) -> dict[str, float]:
    """A mouth in mid-speech: an opening, often a rounding, a closure or a spread."""
    lips: dict[str, float] = {}
    if rng.random() < 0.75:
        lips["jawOpen"] = rng.beta(1.1, 2.8) * (1.0 if rng.random() < 0.2 else 0.7)
    kind = rng.random()
    if kind < 0.2:  # closed lips over an open jaw: bilabials
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
    for name in names:
        stem = name.removesuffix("_L").removesuffix("_R")
        if stem in values:
            side = 1.0 if stem == name else 1 + 0.1 * rng.standard_normal()
            out[COEFFICIENT_INDEX[name]] = np.clip(values[stem] * side, 0, 1.2)


def random_state(rng: np.random.Generator, intensity: float = 1.0) -> State:
    """A state drawn independently: pose, gaze, blink, expression and lips. intensity in [0, 1] scales all of it."""
    out = np.zeros(len(COEFFICIENTS), np.float32)
    _fill(out, LIP_COEFFICIENTS, _random_lips(rng), rng)
    units = {}
    if rng.random() < 0.4:
        emotion = list(EMOTIONS)[rng.integers(len(EMOTIONS))]
        units = {k: v * rng.uniform(0.2, 1.1) for k, v in EMOTIONS[emotion].items()}
    expression = au_coefficients(units)
    for name in EXPRESSION_COEFFICIENTS:
        expression[COEFFICIENT_INDEX[name]] *= 1 + 0.15 * rng.standard_normal()
    stems = {n.removesuffix("_L").removesuffix("_R") for n in EXPRESSION_COEFFICIENTS}
    extra = {s: rng.beta(1.2, 1.6) for s in sorted(stems) if rng.random() < 0.16}
    _fill(expression, EXPRESSION_COEFFICIENTS, extra, rng)
    out = np.clip(out + expression, 0, 1.2) * intensity
    draw = rng.random()
    blink = rng.beta(1, 0.8) * BLINK_CLOSED if draw < 0.3 else rng.uniform(0, 0.25) if draw < 0.6 else 0.0
    for name in BLINK_COEFFICIENTS:
        wink = rng.random() < 0.08
        out[COEFFICIENT_INDEX[name]] = rng.random() * BLINK_CLOSED if wink else blink
    pose = np.clip(rng.standard_normal(6) * POSE_SPREAD, -POSE_LIMIT, POSE_LIMIT) * intensity
    gaze = np.clip(rng.standard_normal(2) * GAZE_SPREAD, -GAZE_LIMIT, GAZE_LIMIT)
    vergence = np.array([[-1.0, 0], [1.0, 0]]) * rng.uniform(0, 3)  # the left eye turns towards -x to converge
    return State(out, pose.astype(np.float32), (gaze + vergence).astype(np.float32))


def blend(a: State, b: State, t: float) -> State:
    """The state a share t of the way from a to b."""
    mix = lambda x, y: (x + t * (y - x)).astype(np.float32)  # noqa: E731
    return State(mix(a.coefficients, b.coefficients), mix(a.pose, b.pose), mix(a.gaze, b.gaze))


def random_states(rng: np.random.Generator, count: int, pairs: bool = False) -> list[State]:
    """A reference (often calm, as photos are) and count - 1 states around it, half of them near to it. With `pairs`
    every second of these is the one before it a frame's time later."""
    reference = random_state(rng, rng.choice([0.15, 0.5, 1.0]))
    states = [reference]
    for number in range(1, count):
        other = random_state(rng)
        near = rng.random()
        if pairs and number % 2 == 0:
            states.append(blend(states[-1], other, rng.uniform(0.03, 0.12)))
            continue
        if near < 0.25:  # speech: the head hardly moves, the mouth and the lids do
            pose = reference.pose + 0.15 * (other.pose - reference.pose)
            other = State(other.coefficients, pose.astype(np.float32), other.gaze)
        elif near < 0.5:
            other = blend(reference, other, rng.uniform(0.2, 0.6))
        states.append(other)
    return states


def _head_track(rng: np.random.Generator, seed: int, frames: int) -> np.ndarray:
    """Head pose [frames 6] in degrees and cm: idle motion, wide and slow turns, a lean."""
    times = np.arange(frames) / FPS
    track = rng.standard_normal(6) * POSE_SPREAD * 0.4 + np.zeros((frames, 6))
    for hertz in (0.07, 0.17, 0.41):
        wave = np.sin(2 * np.pi * hertz * rng.uniform(0.7, 1.3) * times + rng.uniform(0, 2 * np.pi))
        track += wave[:, None] * rng.standard_normal(6) * POSE_SPREAD * 0.35
    idle = live.idle_pose(seed, 0, frames)
    track[:, :3] += idle[:, :3]
    return np.clip(track, -POSE_LIMIT, POSE_LIMIT)


def _emotion_track(rng: np.random.Generator, frames: int) -> tuple[np.ndarray, list[str]]:
    """Expression [frames 57]: one of the 8 classes for seconds at a time, crossing over in half a second."""
    track = np.zeros((frames, len(COEFFICIENTS)), np.float32)
    names, at, before = [], 0, np.zeros(len(COEFFICIENTS), np.float32)
    while at < frames:
        name = str(rng.choice(list(EMOTIONS)))
        intensity = rng.uniform(0.2, 1.0)
        goal = np.clip(au_coefficients({k: v * intensity for k, v in EMOTIONS[name].items()}), 0, 1)
        length = int(rng.uniform(2, 6) * FPS)
        ease = np.clip(np.arange(min(length, frames - at)) / (0.5 * FPS), 0, 1)[:, None]
        track[at : at + len(ease)] = before + ease * ease * (3 - 2 * ease) * (goal - before)
        names.append(name)
        before, at = goal, at + length
    return track, names


def track_states(rng: np.random.Generator, frames: int) -> tuple[list[State], Speech, list[str]]:
    """A performance of `frames` at 25 fps: speech with its lips, blinks, saccades, head motion and emotions."""
    seed = int(rng.integers(2**31))
    speech = random_speech(rng, frames / FPS)
    coefficients, emotions = _emotion_track(rng, frames)
    coefficients[:, [COEFFICIENT_INDEX[n] for n in LIP_COEFFICIENTS]] += speech.lips(frames)
    blink = (1 - live.blinks(seed, 0, frames)) * BLINK_CLOSED
    for side, name in enumerate(sorted(BLINK_COEFFICIENTS, key=lambda n: n[-1])):
        coefficients[:, COEFFICIENT_INDEX[name]] = blink[:, side]
    pose = _head_track(rng, seed, frames)
    gaze = live.saccades(seed, 0, frames) * 1.5
    states = [
        State(coefficients[t], pose[t].astype(np.float32), np.repeat(gaze[t][None], 2, 0).astype(np.float32))
        for t in range(frames)
    ]
    return states, speech, emotions
