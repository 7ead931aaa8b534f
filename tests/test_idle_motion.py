"""Idle motion has natural statistics, depends on the seed alone, and allows random access."""

import numpy as np
import pytest

from thgen import idle_motion as live
from thgen.schema import FPS

KINDS = [live.blinks, live.saccades, live.idle_pose]
MINUTES = 10 * 60 * FPS


@pytest.mark.parametrize("kind", KINDS)
def test_windows_equal_the_whole(kind):
    whole = kind(7, 0, 1000)
    assert whole.dtype == np.float32 and len(whole) == 1000
    for start, stop in ((0, 16), (16, 17), (90, 333), (984, 1000)):
        assert np.array_equal(kind(7, start, stop), whole[start:stop])
    assert kind(7, 50, 50).shape == (0, whole.shape[1])


@pytest.mark.parametrize("kind", KINDS)
def test_seeds(kind):
    assert np.array_equal(kind(3, 0, 500), kind(3, 0, 500))
    assert not np.array_equal(kind(3, 0, 500), kind(4, 0, 500))


@pytest.mark.parametrize("kind", KINDS)
def test_a_late_window_costs_no_more_than_an_early_one(kind, monkeypatch):
    """The cost is counted in cells of random numbers and in frames."""
    generator, times = live._generator, live._times
    cells, frames = [], []
    monkeypatch.setattr(live, "_generator", lambda *key: cells.append(key) or generator(*key))
    monkeypatch.setattr(live, "_times", lambda start, stop: frames.append(stop - start) or times(start, stop))
    for start in (10**3, 10**7):
        cells.clear()
        frames.clear()
        kind(1, start, start + 16)
        assert 1 <= len(cells) <= 4 and sum(frames) == 16, "a window touches two cells at most, and what they follow"


@pytest.mark.parametrize("kind", KINDS)
def test_it_begins_as_the_photo_is(kind):
    first = kind(5, 0, 1)[0]
    assert np.allclose(first, 1 if kind is live.blinks else 0, atol=1e-6)


def closures(opened: np.ndarray) -> list[tuple[int, int]]:
    """(first, past the last) frame of each run below 98 %."""
    shut = np.concatenate([[False], opened < 0.98, [False]]).astype(int)
    steps = np.diff(shut)
    return list(zip(np.flatnonzero(steps == 1), np.flatnonzero(steps == -1), strict=True))


def test_blinks():
    """2 to 6 s apart, 150 to 300 ms long, all the way down, faster down than up, both eyes alike."""
    opened = live.blinks(11, 0, MINUTES)
    assert np.array_equal(opened[:, 0], opened[:, 1]) and opened.min() >= 0 and opened.max() <= 1
    events = closures(opened[:, 0])
    gaps = np.diff([a for a, _ in events]) / FPS
    assert gaps.min() >= 2 - 0.1 and gaps.max() <= 6 + 0.1 and gaps.std() > 0.4 and 3.5 < gaps.mean() < 4.5
    lengths = np.array([b - a for a, b in events]) / FPS
    assert lengths.min() >= 0.08 and lengths.max() <= 0.34
    depth = np.array([opened[a:b, 0].min() for a, b in events])
    assert (depth < 0.25).all() and (depth < 0.05).mean() > 0.5
    bottom = np.array([np.argmin(opened[a:b, 0]) / (b - a) for a, b in events])
    assert bottom.mean() < 0.45


def test_saccades():
    """Quick saccades between fixations of 0.2 to 3 s, within the limits, often near the photo's own gaze."""
    gaze = live.saccades(11, 0, MINUTES)
    assert (np.abs(gaze) <= np.array(live.GAZE_LIMIT) + 1e-5).all()
    assert (gaze.std(axis=0) > 0.8).all() and (np.abs(gaze.mean(axis=0)) < 0.5).all()
    moving = np.abs(np.diff(gaze, axis=0)).max(axis=1) > 1e-3
    jumps = np.flatnonzero(np.diff(np.concatenate([[0], moving.astype(int)])) == 1)
    gaps = np.diff(jumps) / FPS
    assert gaps.min() > 0.3 and gaps.max() < 5 and moving.mean() < 0.12
    runs = np.diff(np.flatnonzero(np.diff(np.concatenate([[0], moving, [0]]).astype(int))))[::2]
    assert runs.max() <= 3  # frames that one jump takes


def test_idle_pose():
    """The motion is slight and smooth."""
    pose = live.idle_pose(11, 0, MINUTES)
    assert (pose.std(axis=0)[:3] > 0.2).all() and (np.abs(pose).max(axis=0)[:3] < 4).all()
    assert np.abs(pose[:, 3:]).max() < 0.02
    assert np.abs(np.diff(pose[:, :3], axis=0)).max() < 0.25
    jerk = np.abs(np.diff(pose[:, :3], n=2, axis=0)).max()
    assert jerk < 0.02
