"""What each encoder of GC-AVT sees of a frame (section 3.2 and figure 2): functions of uint8 RGB pictures."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from thgen.face_parts.geometry import turned
from thgen.face_parts.mouth import SIDE, mouth_crop
from thgen.face_parts.mouth_swap import SHRINK, other_moment, swap_mouth
from thgen.face_parts.organs import MARGIN, cover_organs
from thgen.training.data.pixelwise import Look, looking

SHIFT = 8  # frames to the other moment at inference: the middle of those of the training (deviation 3)
PLAIN = Look()
T = TypeVar("T")


@dataclass(frozen=True)
class Seen:
    """A frame: image uint8 RGB [S S 3]; landmarks [68 2+] in its coordinates; keep float32 [S S] in [0, 1], 1 where the
    person is."""

    image: np.ndarray
    landmarks: np.ndarray
    keep: np.ndarray


def identity_input(seen: Seen) -> np.ndarray:
    """The person without the background, uint8 [S S 3]: input of E_i, and the target of the reconstruction."""
    return looking(seen.image, seen.keep, PLAIN)


def content_input(seen: Seen, degrees: float = 0.0, look: Look = PLAIN, side: int = SIDE) -> np.ndarray:
    """Input of E_c, uint8 [side side 3]: the mouth, turned clockwise."""
    keep = mouth_crop(seen.keep, seen.landmarks, degrees, side)
    return looking(mouth_crop(seen.image, seen.landmarks, degrees, side), keep, look)


def expression_input(
    seen: Seen, other: Seen | None, degrees: float = 0.0, look: Look = PLAIN, shrink: float = SHRINK
) -> np.ndarray:
    """Input of E_e, uint8 [S S 3]: the frame with the mouth of another moment, turned clockwise.

    other: of the same clip; None: the frame keeps its own mouth (table 3, "w/o time-shift"). shrink: see `swap_mouth`.
    """
    image = seen.image
    if other is not None:
        image = swap_mouth(other.image, seen.image, other.landmarks, seen.landmarks, shrink)
    return looking(turned(image, degrees), turned(seen.keep, degrees), look)


def pose_input(seen: Seen, margin: float = MARGIN, look: Look = PLAIN) -> np.ndarray:
    """Input of E_p, uint8 [S S 3]: the head whose organs are covered. margin: see `organ_mask`."""
    covered = cover_organs(seen.image, seen.landmarks, margin)
    return looking(covered, seen.keep, look)


def with_other_moment(items: Iterable[T], shift: int = SHIFT) -> Iterator[tuple[T, T]]:
    """Each item of a clip, and the one `shift` later, or earlier at the end of the clip. It holds 2 shift + 1 items."""
    source, window, first = iter(items), deque[T](), 0
    total: int | None = None
    number = 0
    while total is None or number < total:
        while total is None and first + len(window) <= number + shift:
            try:
                window.append(next(source))
            except StopIteration:
                total = first + len(window)
        if total is not None and number >= total:
            return
        other = other_moment(number, shift, total if total is not None else number + shift + 1)
        yield window[number - first], window[other - first]
        if number - first >= shift:
            window.popleft()
            first += 1
        number += 1
