"""Helpers for the face track of a driving clip: a steady crop, gaps without a face, and smoothing without lag."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from scipy.signal import savgol_filter

from thgen.errors import ClipError
from thgen.face.crop import Square
from thgen.schema import FPS

# The crop's square does not move until the face leaves these margins, like a camera on a tripod.
SLACK_SHIFT = 0.10  # part of the side
SLACK_ZOOM = 0.12  # natural logarithm of the ratio of sides

MAX_LOST = 0.30  # part of all frames that may show no face
MAX_GAP = 1.0  # seconds in a row that may show no face

# A crop moves if one of a hundred of its cells, GRID x GRID, changes by this many levels of 255. Of the first
# second of seven real clips of speakers this percentile is 67 to 162. Of still pictures that were coded as a video it
# is 1, with camera noise of 6 levels 4.
STILL_LEVELS, STILL_PERCENTILE, GRID = 8.0, 99.0, 32


class Motion:
    """Whether anything moves in a track of crops: the range of each cell's brightness over time."""

    def __init__(self) -> None:
        self._low: np.ndarray | None = None
        self._high: np.ndarray | None = None

    def see(self, image: np.ndarray) -> None:
        """The next crop, uint8 RGB [S S 3]."""
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        cells = cv2.resize(grey, (GRID, GRID), interpolation=cv2.INTER_AREA).astype(np.float32)
        self._low = cells if self._low is None else np.minimum(self._low, cells)
        self._high = cells if self._high is None else np.maximum(self._high, cells)

    @property
    def still(self) -> bool:
        """True if nothing moved, or if there was no crop."""
        if self._low is None or self._high is None:
            return True
        return bool(np.percentile(self._high - self._low, STILL_PERCENTILE) < STILL_LEVELS)


def steady(square: Square, wanted: Square) -> Square:
    """`square` after the smallest move that brings `wanted` within the margins: no jumps and no jitter."""
    zoom = math.log(wanted.side / square.side)
    side = wanted.side / math.exp(min(max(zoom, -SLACK_ZOOM), SLACK_ZOOM))
    slack = SLACK_SHIFT * side
    x = wanted.x - min(max(wanted.x - square.x, -slack), slack)
    y = wanted.y - min(max(wanted.y - square.y, -slack), slack)
    return Square(x, y, side)


def check_gaps(valid: np.ndarray, fps: float = FPS) -> None:
    """Raises ClipError if too few frames show the face. valid bool [T]: whether each frame does.

    A gap may last one second, and all gaps together 30 % of the frames. Interpolation over more would invent motion.
    """
    valid = np.asarray(valid, bool)
    if not valid.any():
        raise ClipError("No frame of the driving clip shows a human face; use a clip of one face turned to the camera.")
    lost = 1 - valid.mean()
    edges = np.flatnonzero(np.diff(np.concatenate([[0], ~valid, [0]]).astype(int)))
    starts, ends = edges[::2], edges[1::2]
    longest = int((ends - starts).max()) if len(starts) else 0
    if longest > MAX_GAP * fps:
        start = float(starts[(ends - starts).argmax()]) / fps
        raise ClipError(
            f"The driving clip shows no face for {longest / fps:.1f} s from {start:.1f} s on; "
            f"use a clip, or cut it so, that the face is never away for more than {MAX_GAP:g} s."
        )
    if lost > MAX_LOST:
        raise ClipError(
            f"The driving clip shows no face in {lost:.0%} of its frames; use one with a face in at least "
            f"{1 - MAX_LOST:.0%} of them."
        )


def stop_at_gap(valid: Sequence[bool], fps: float = FPS) -> None:
    """Raises ClipError as soon as the current gap is longer than `check_gaps` allows. Call it after every frame.

    The clip cannot become valid after that, and a search through a clip without faces takes minutes.
    valid: one entry per frame so far.
    """
    longest = int(MAX_GAP * fps) + 1
    if len(valid) < longest or any(valid[-longest:]):
        return
    start = (len(valid) - longest) / fps
    raise ClipError(
        f"The driving clip shows no human face for more than {MAX_GAP:g} s from {start:.1f} s on; use a clip, or cut "
        "it so, that the face is never away for longer."
    )


def fill_gaps(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Linear interpolation of the rows of values float [T ...] where valid bool [T] is False.

    Rows before the first and after the last valid row repeat that row.
    """
    values, valid = np.asarray(values, np.float64), np.asarray(valid, bool)
    frames = np.arange(len(valid))
    flat = values.reshape(len(valid), -1)
    columns = [np.interp(frames, frames[valid], flat[valid, d]) for d in range(flat.shape[1])]
    return np.stack(columns, axis=1).reshape(values.shape)


def smooth(values: np.ndarray, seconds: float = 0.2, fps: float = FPS) -> np.ndarray:
    """values float [T ...] smoothed by a local quadratic (Savitzky & Golay 1964), which keeps peaks such as blinks.

    seconds: length of the window. It is symmetric, so there is no lag. If the clip is shorter, so is the window. A
    window below 5 frames changes nothing, because a quadratic fits three points exactly.
    """
    values = np.asarray(values, np.float64)
    window = min(round(seconds * fps) | 1, len(values) - 1 + len(values) % 2)
    return values if window < 5 else savgol_filter(values, window, polyorder=2, axis=0, mode="interp")
