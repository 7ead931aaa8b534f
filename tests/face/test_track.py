from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
from scipy.ndimage import shift

from thgen.errors import ClipError
from thgen.face.crop import Square
from thgen.face.track import Motion, check_gaps, fill_gaps, smooth, steady, stop_at_gap


def test_the_square_stands_still_within_its_margins() -> None:
    square = Square(100, 100, 200)
    assert np.allclose(astuple(steady(square, Square(110, 95, 205))), astuple(square))


def test_the_square_follows_without_jumps_and_keeps_the_face_inside() -> None:
    square, path = Square(100, 100, 200), []
    for x in np.linspace(100, 300, 101):
        wanted = Square(float(x), 100, 200)
        square = steady(square, wanted)
        path.append(square.x)
        assert abs(wanted.x - square.x) <= 0.1 * 200 + 1e-9
    assert np.abs(np.diff(path)).max() <= 2 + 1e-9
    assert path[5] == 100 and path[-1] == pytest.approx(280)


def test_the_square_grows_with_a_nearing_face() -> None:
    square = steady(Square(0, 0, 100), Square(0, 0, 200))
    assert square.side == pytest.approx(200 / np.exp(0.12))


def test_gaps_that_may_be_filled_pass() -> None:
    valid = np.ones(100, bool)
    valid[40:65] = False  # exactly a second
    check_gaps(valid)


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        (slice(0, 100), "No frame"),
        (slice(40, 66), "no face for 1.0 s from 1.6 s on"),
        (slice(0, 100, 3), "no face in 34% of its frames"),
    ],
)
def test_gaps_that_may_not_be_filled_are_named(lost: slice, message: str) -> None:
    valid = np.ones(100, bool)
    valid[lost] = False
    with pytest.raises(ClipError, match=message):
        check_gaps(valid)


def test_watching_ends_at_a_gap_that_is_too_long() -> None:
    valid: list[bool] = []
    for shows_face in [True] * 40 + [False] * 25:
        valid.append(shows_face)
        stop_at_gap(valid)
    with pytest.raises(ClipError, match=r"no human face for more than 1 s from 1\.6 s on"):
        stop_at_gap([*valid, False])
    stop_at_gap([*valid, True])
    with pytest.raises(ClipError, match=r"from 0\.0 s on"):
        stop_at_gap([False] * 26)


def test_gaps_are_filled_linearly_and_held_at_the_ends() -> None:
    values = np.array([[9, 9], [1, 10], [9, 9], [3, 30], [9, 9.0]])
    valid = np.array([False, True, False, True, False])
    assert np.allclose(fill_gaps(values, valid), [[1, 10], [1, 10], [2, 20], [3, 30], [3, 30]])


def test_smoothing_has_no_lag_and_takes_out_noise() -> None:
    t = np.arange(100)
    clean = np.sin(2 * np.pi * t / 50)[:, None] * [1.0, 2.0]
    noisy = clean + np.random.default_rng(0).normal(0, 0.1, clean.shape)
    out = smooth(noisy)
    assert np.abs(out - clean).mean() < 0.75 * np.abs(noisy - clean).mean()
    errors = {lag: np.abs(out[5:-5] - shift(clean, (lag, 0), order=1)[5:-5]).mean() for lag in (-2, -1, 0, 1, 2)}
    assert min(errors, key=errors.get) == 0


def test_a_blink_keeps_its_time_and_most_of_its_depth() -> None:
    openness = np.full(41, 100.0)
    openness[18:23] = [60, 15, 0, 15, 60]
    out = smooth(openness)
    assert out.argmin() == 20 and out.min() < 12
    assert np.allclose(out, out[::-1])


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5])
def test_short_clips_pass(frames: int) -> None:
    values = np.arange(frames * 2.0).reshape(frames, 2)
    assert smooth(values).shape == (frames, 2)
    assert np.allclose(smooth(values), values)  # a straight line is its own smoothing


def test_quadratics_are_kept_exactly() -> None:
    t = np.arange(30.0)
    assert np.allclose(smooth(0.3 * t**2 - t), 0.3 * t**2 - t)


def test_a_blink_is_motion_and_the_noise_of_a_camera_is_none() -> None:
    rng = np.random.default_rng(0)
    face = rng.integers(40, 200, (256, 256, 3)).astype(np.float32)
    still, blink = Motion(), Motion()
    assert still.still, "nothing was seen"
    for number in range(25):
        noisy = (face + 6 * rng.standard_normal(face.shape)).clip(0, 255).astype(np.uint8)
        still.see(noisy)
        if number == 12:
            noisy[100:118, 60:100] = noisy[100:118, 150:190] = 30  # both eyes, in one frame
        blink.see(noisy)
    assert still.still and not blink.still
