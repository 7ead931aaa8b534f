"""Rendered people that no training used, with their truth. Needs the FaceKit head; AssetError says where to get it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from thgen.synth.clip import ClipSource, ClipTruth
from thgen.synth.head.facekit import HeadMesh, load_facekit
from thgen.synth.motion import random_states

# Number of the first person: `thgen render --seed S` gives its person i the number S * 1000003 + i, which is
# smaller for every S below 1,899.
FIRST_IDENTITY = 1_900_000_000
FLOW_SIZE = 128  # px of the true flow
PARTNER = 50_000_000  # the number of a person's driver is the person's number plus this


@dataclass(frozen=True)
class HeldOut:
    """One unseen person (`clip`, whose frame 0 is the photo) and another one in the same states (`driver`)."""

    identity: int
    clip: ClipTruth
    driver: ClipTruth | None


def clip_source(size: int, flow_size: int, mesh: HeadMesh | None = None) -> ClipSource:
    """Renders clips in crops of `size` px, without the flaws of cameras. mesh: another head than FaceKit's.

    Limits OpenCV to one thread. Raises AssetError.
    """
    cv2.setNumThreads(1)
    return ClipSource(mesh or load_facekit(), size, flow_size, imaging=False)


def held_out(
    count: int, frames: int, size: int, flow_size: int, drivers: bool = True, mesh: HeadMesh | None = None
) -> Iterator[HeldOut]:
    """`count` people in 1 + `frames` independent states each, crops of `size` px; the same ones at every call.

    drivers: each comes with a second person in the same states, through another camera. Raises AssetError.
    """
    source = clip_source(size, flow_size, mesh)
    for i in range(count):
        rng = np.random.default_rng((FIRST_IDENTITY, i))
        states = random_states(rng, 1 + frames)
        clip = source.clip(source.performer(FIRST_IDENTITY + i), states, rng)
        driver = source.clip(source.performer(FIRST_IDENTITY + PARTNER + i), states, rng) if drivers else None
        yield HeldOut(i, clip, driver)


def flow_size(size: int) -> int:
    """px of the true flow for renders of `size` px, which must be a multiple of it."""
    return FLOW_SIZE if size % FLOW_SIZE == 0 else size
