"""Idle motion for factors without a driver: natural blinks, saccades and fixations, and slight head motion.

Every function computes frames [start, stop) from the seed alone. So the cost depends on the length of the window, and
adjacent windows equal one long window. Time is divided into cells. Each cell has one event, drawn from a generator with
the seed (seed, kind, cell).
"""

from __future__ import annotations

import numpy as np

from thgen.schema import FPS

BLINK_CELL = 4.0  # s; a blink starts 1 to 3 s after the cell, so blinks are 2 to 6 s apart
BLINK_SECONDS = (0.15, 0.30)  # shortest and longest blink
CLOSING = 0.35  # part of a blink in which the lid closes; it opens more slowly
CLOSED = 0.10  # part of a blink in which the lid stays closed

GAZE_CELL = 1.3  # s; a saccade starts 0.2 to 1.1 s after the cell, so fixations last 0.4 to 2.2 s
GAZE_SPREAD = (3.0, 1.6)  # standard deviation of a fixation's yaw and pitch, degrees
GAZE_LIMIT = (7.0, 4.0)  # largest yaw and pitch of a fixation, degrees
SACCADE_SECONDS = 0.05
GAZE_HOME = 0.35  # part of the fixations that are near the photo's own gaze

POSE_AMPLITUDE = (1.6, 1.0, 0.8, 0.006, 0.004, 0.003)  # yaw, pitch, roll in degrees; x, y, z in crop half-widths
POSE_HERTZ = (0.06, 0.13, 0.23, 0.37)  # frequencies of the sines
POSE_EASE = 1.0  # s from the photo's own pose to the full amplitude

_BLINK, _GAZE, _POSE = 1, 2, 3  # kinds of events; they never share random numbers


def _generator(seed: int, kind: int, cell: int) -> np.random.Generator:
    return np.random.default_rng((abs(int(seed)), kind, cell + 1))


def _times(start: int, stop: int) -> np.ndarray:
    return np.arange(start, stop, dtype=np.float64) / FPS


def _smooth(x: np.ndarray) -> np.ndarray:
    """Ease from 0 to 1 over [0, 1], flat at both ends."""
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3 - 2 * x)


def blinks(seed: int, start: int, stop: int) -> np.ndarray:
    """Opening of both lids in frames [start, stop): float32 [n 2], 1 = the photo's own opening, 0 = closed."""
    times = _times(start, stop)
    opened = np.ones(len(times))
    if len(times):
        for cell in range(int(times[0] // BLINK_CELL) - 1, int(times[-1] // BLINK_CELL) + 1):
            if cell < 0:
                continue
            random = _generator(seed, _BLINK, cell)
            begin = cell * BLINK_CELL + random.uniform(1.0, 3.0)
            length = random.uniform(*BLINK_SECONDS)
            phase = (times - begin) / length
            down, up = _smooth(phase / CLOSING), _smooth((phase - CLOSING - CLOSED) / (1 - CLOSING - CLOSED))
            opened = np.minimum(opened, 1 - down + up)
    return np.repeat(opened[:, None], 2, axis=1).astype(np.float32)


def _fixation(seed: int, cell: int) -> tuple[float, np.ndarray]:
    """Time of the saccade in this cell (s), and its target: degrees [2] relative to the photo's own gaze."""
    if cell < 0:
        return cell * GAZE_CELL, np.zeros(2)
    random = _generator(seed, _GAZE, cell)
    moment = cell * GAZE_CELL + random.uniform(0.2, 1.1)
    home = random.random() < GAZE_HOME
    target = np.clip(random.normal(size=2) * GAZE_SPREAD, np.negative(GAZE_LIMIT), GAZE_LIMIT)
    return moment, target * (0.1 if home else 1.0)


def saccades(seed: int, start: int, stop: int) -> np.ndarray:
    """Gaze relative to the photo's own in frames [start, stop): float32 [n 2], yaw and pitch in degrees."""
    times = _times(start, stop)
    gaze = np.zeros((len(times), 2))
    for cell in sorted({int(t // GAZE_CELL) for t in times}):
        inside = (times // GAZE_CELL).astype(int) == cell
        _, before = _fixation(seed, cell - 1)
        moment, after = _fixation(seed, cell)
        share = _smooth((times[inside] - moment) / SACCADE_SECONDS)[:, None]
        gaze[inside] = before + share * (after - before)
    return gaze.astype(np.float32)


def idle_pose(seed: int, start: int, stop: int) -> np.ndarray:
    """Head motion in frames [start, stop): float32 [n 6], to be added to the photo's own pose. Frame 0 is zero.

    A sum of slow sines, in degrees and crop half-widths as in schema.
    """
    times = _times(start, stop)
    random = _generator(seed, _POSE, 0)
    phase = random.uniform(0, 2 * np.pi, (len(POSE_HERTZ), 6))
    hertz = np.array(POSE_HERTZ)[:, None] * random.uniform(0.8, 1.25, (len(POSE_HERTZ), 6))
    weight = 1 / np.arange(1, len(POSE_HERTZ) + 1)[:, None]
    waves = weight * np.sin(2 * np.pi * hertz * times[:, None, None] + phase)
    pose = waves.sum(axis=1) / weight.sum() * 1.5 * np.array(POSE_AMPLITUDE)
    return (pose * _smooth(times / POSE_EASE)[:, None]).astype(np.float32)
