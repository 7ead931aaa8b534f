"""Life of its own, for what nothing drives: natural blinks, saccades and fixations, and a slightly moving head.

Every function is random access: frames [start, stop) are computed from the seed alone, so a window of a long track
costs no more than its own length, and windows laid end to end equal the whole. Time is cut into cells; each cell draws
its one event from a generator seeded by (seed, kind, cell).
"""

from __future__ import annotations

import numpy as np

from thgen.schema import FPS

BLINK_CELL = 4.0  # s; with an event between 1 and 3 s in its cell, blinks lie 2 to 6 s apart
BLINK_SECONDS = (0.15, 0.30)
CLOSING = 0.35  # share of a blink in which the lid falls; it rises more slowly
CLOSED = 0.10  # share in which it stays down

GAZE_CELL = 1.3  # s; with a saccade between 0.2 and 1.1 s in its cell, fixations last 0.4 to 2.2 s
GAZE_SPREAD = (3.0, 1.6)  # degrees, standard deviation of a fixation's yaw and pitch
GAZE_LIMIT = (7.0, 4.0)  # degrees
SACCADE_SECONDS = 0.05
GAZE_HOME = 0.35  # share of fixations that return to the photo's own gaze

POSE_AMPLITUDE = (1.6, 1.0, 0.8, 0.006, 0.004, 0.003)  # yaw, pitch, roll in degrees; x, y, z in crop half-widths
POSE_HERTZ = (0.06, 0.13, 0.23, 0.37)
POSE_EASE = 1.0  # s in which the head leaves the photo's own pose

_BLINK, _GAZE, _POSE = 1, 2, 3  # kinds, so that the three never share random numbers


def _generator(seed: int, kind: int, cell: int) -> np.random.Generator:
    return np.random.default_rng((abs(int(seed)), kind, cell + 1))


def _times(start: int, stop: int) -> np.ndarray:
    return np.arange(start, stop, dtype=np.float64) / FPS


def _smooth(x: np.ndarray) -> np.ndarray:
    """Ease from 0 to 1 over [0, 1], flat at both ends."""
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3 - 2 * x)


def blinks(seed: int, start: int, stop: int) -> np.ndarray:
    """How far both lids are open during frames [start, stop): float32 [n 2], 1 = the photo's own, 0 = closed."""
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
    """When the eyes jump in this cell (s), and where to: degrees [2] beside the photo's own gaze."""
    if cell < 0:
        return cell * GAZE_CELL, np.zeros(2)
    random = _generator(seed, _GAZE, cell)
    moment = cell * GAZE_CELL + random.uniform(0.2, 1.1)
    home = random.random() < GAZE_HOME
    target = np.clip(random.normal(size=2) * GAZE_SPREAD, np.negative(GAZE_LIMIT), GAZE_LIMIT)
    return moment, target * (0.1 if home else 1.0)


def saccades(seed: int, start: int, stop: int) -> np.ndarray:
    """Gaze beside the photo's own during frames [start, stop): float32 [n 2], degrees of yaw and pitch."""
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
    """Slight motion of the head during frames [start, stop): float32 [n 6], added to the photo's own pose.

    Degrees and crop half-widths as in schema. A sum of slow sines; frame 0 is the photo's own pose exactly.
    """
    times = _times(start, stop)
    random = _generator(seed, _POSE, 0)
    phase = random.uniform(0, 2 * np.pi, (len(POSE_HERTZ), 6))
    hertz = np.array(POSE_HERTZ)[:, None] * random.uniform(0.8, 1.25, (len(POSE_HERTZ), 6))
    weight = 1 / np.arange(1, len(POSE_HERTZ) + 1)[:, None]
    waves = weight * np.sin(2 * np.pi * hertz * times[:, None, None] + phase)
    pose = waves.sum(axis=1) / weight.sum() * 1.5 * np.array(POSE_AMPLITUDE)
    return (pose * _smooth(times / POSE_EASE)[:, None]).astype(np.float32)
