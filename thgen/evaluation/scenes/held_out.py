"""Rendered people that no training has seen, with their truth. Needs the FaceKit head (AssetError says where from)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from thgen.schema import SAMPLES_PER_FRAME
from thgen.synth.clip import ClipSource, ClipTruth
from thgen.synth.head.facekit import HeadMesh, load_facekit
from thgen.synth.motion import random_states
from thgen.synth.voice.speech import Speech

# `thgen render --seed S` draws identity i from S * 1000003 + i: no plausible S comes near these.
FIRST_IDENTITY = 1_900_000_000
PARTNER = 50_000_000  # distance to the identity that drives in cross-driving


def spoken(speech: Speech, frames: int) -> np.ndarray:
    """What is said in so many frames, float32 [L] at 16 kHz; silence where speech ends earlier."""
    samples = speech.samples[: frames * SAMPLES_PER_FRAME]
    return np.pad(samples, (0, frames * SAMPLES_PER_FRAME - len(samples))).astype(np.float32)


@dataclass(frozen=True)
class HeldOut:
    """One unseen person (`clip`; frame 0 is the source photo) and another one in the same states (`driver`)."""

    identity: int
    clip: ClipTruth
    driver: ClipTruth | None


def held_out(
    count: int, frames: int, size: int, flow_size: int, drivers: bool = True, mesh: HeadMesh | None = None
) -> Iterator[HeldOut]:
    """`count` people in 1 + `frames` independent states each, crops of `size` px; always the same ones.

    With `drivers` each comes with a second person in the same states, seen by another camera. mesh: another head than
    FaceKit's. Raises AssetError.
    """
    cv2.setNumThreads(1)
    source = ClipSource(mesh or load_facekit(), size, flow_size, imaging=False)
    for i in range(count):
        rng = np.random.default_rng((FIRST_IDENTITY, i))
        states = random_states(rng, 1 + frames)
        clip = source.clip(source.performer(FIRST_IDENTITY + i), states, rng)
        driver = source.clip(source.performer(FIRST_IDENTITY + PARTNER + i), states, rng) if drivers else None
        yield HeldOut(i, clip, driver)
