"""Unseen rendered people who speak, and the people whom they drive, with their truth. Needs the FaceKit head."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from thgen.evaluation.scenes.held_out import FIRST_IDENTITY, PARTNER, clip_source
from thgen.schema import (
    BLINK_COEFFICIENTS,
    COEFFICIENT_INDEX,
    EXPRESSION_COEFFICIENTS,
    LIP_COEFFICIENTS,
    SAMPLES_PER_FRAME,
)
from thgen.synth.clip import ClipTruth
from thgen.synth.head.facekit import HeadMesh
from thgen.synth.head.performer import State
from thgen.synth.motion import track_states
from thgen.synth.voice.speech import Speech

STATE_FACTORS = ("lip", "pose", "blink", "gaze", "expression")  # factors that `with_factor` can copy from another state
OWNED = {"lip": LIP_COEFFICIENTS, "blink": BLINK_COEFFICIENTS, "expression": EXPRESSION_COEFFICIENTS}


@dataclass(frozen=True)
class Talk:
    """One person's clip, and the voice in it: float32 [L], 16 kHz mono, as long as the clip."""

    clip: ClipTruth
    voice: np.ndarray


@dataclass(frozen=True)
class Performance:
    """One unseen person, and another one who drives it.

    photo      uint8 [S S 3], of the person who is driven, at rest
    landmarks  [68 2+] of the photo in crop coordinates
    driver     frames uint8 [T S S 3] of the other person
    voice      of the other person, float32 [L], 16 kHz mono, as long as the frames
    alone      factor -> the driven person rendered with this factor alone taken from the driver, some of the frames,
               uint8 [N S S 3]
    """

    photo: np.ndarray
    landmarks: np.ndarray
    driver: np.ndarray
    voice: np.ndarray
    alone: dict[str, np.ndarray]


def talks(
    people: Iterable[int], frames: int, size: int, mesh: HeadMesh | None = None, voices: str = "espeak"
) -> Iterator[Talk]:
    """The people of these numbers, below PARTNER, the same ones at every call. voices: one of voice_sets.VOICE_SETS.
    Raises AssetError."""
    source = clip_source(size, size, mesh)
    for i in people:
        rng = np.random.default_rng((FIRST_IDENTITY, 9, i))
        states, speech, _ = track_states(rng, frames, voices)
        clip = source.clip(source.performer(FIRST_IDENTITY + 2 * PARTNER + i), states, rng)
        yield Talk(clip, cut_to(speech, frames))


def performances(
    people: Iterable[int], frames: int, size: int, every: int, mesh: HeadMesh | None = None, voices: str = "espeak"
) -> Iterator[Performance]:
    """The people of these numbers, below PARTNER, the same ones at every call. Of `alone`, every `every`-th frame is
    rendered.

    voices: one of voice_sets.VOICE_SETS. Raises AssetError.
    """
    source = clip_source(size, size, mesh)
    for i in people:
        rng = np.random.default_rng((FIRST_IDENTITY, 7, i))
        states, speech, _ = track_states(rng, frames, voices)
        person = source.performer(FIRST_IDENTITY + i)
        rest = State.neutral()
        seed = (FIRST_IDENTITY, 8, i)  # all renders of this person get the same camera
        alone = {}
        for name in STATE_FACTORS:
            moved = [with_factor(rest, state, name) for state in states[::every]]
            alone[name] = source.clip(person, [rest, *moved], np.random.default_rng(seed))
        driver = source.clip(source.performer(FIRST_IDENTITY + PARTNER + i), states, rng)
        first = alone["lip"]
        yield Performance(
            first.frames[0], first.keypoints[0, :68], driver.frames, cut_to(speech, frames),
            {name: clip.frames[1:] for name, clip in alone.items()},
        )  # fmt: skip


def with_factor(state: State, other: State, factor: str) -> State:
    """`state` with one factor (of STATE_FACTORS) of `other`."""
    if factor == "pose":
        return replace(state, pose=other.pose)
    if factor == "gaze":
        return replace(state, gaze=other.gaze)
    own = [COEFFICIENT_INDEX[name] for name in OWNED[factor]]
    coefficients = state.coefficients.copy()
    coefficients[own] = other.coefficients[own]
    return replace(state, coefficients=coefficients)


def cut_to(speech: Speech, frames: int) -> np.ndarray:
    """The voice for so many frames, float32 [L], 16 kHz mono; silence where the speech ends earlier."""
    samples = speech.samples[: frames * SAMPLES_PER_FRAME]
    return np.pad(samples, (0, frames * SAMPLES_PER_FRAME - len(samples))).astype(np.float32)
