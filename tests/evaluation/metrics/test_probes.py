"""Linear probes: they find what is there, in people whom they have not seen, and nothing by chance."""

from __future__ import annotations

import numpy as np
import pytest

from thgen.evaluation.metrics.probes import explained, explained_by_chance, identified, ridge

PEOPLE, FRAMES = 12, 20


def people(rng: np.random.Generator, width: int, own: float = 0.0) -> list[np.ndarray]:
    """Random rows [FRAMES width] of each person, around a centre of its own of spread `own`."""
    return [rng.normal(size=(FRAMES, width)) + own * rng.normal(size=width) for _ in range(PEOPLE)]


def test_what_is_linear_is_read_whole_and_what_is_not_there_is_not() -> None:
    rng = np.random.default_rng(0)
    codes = people(rng, 8)
    there = [code[:, :2] @ np.array([[3.0, 1.0], [0.0, 200.0]]) + 5 for code in codes]
    absent = people(rng, 2)
    assert explained(codes, there) > 0.99
    assert explained(codes, absent) < 0.05
    assert explained_by_chance(codes, there) < 0.05


def test_noise_costs_its_share() -> None:
    rng = np.random.default_rng(1)
    codes = people(rng, 3)
    truths = [code[:, :1] + rng.normal(size=(FRAMES, 1)) for code in codes]
    assert explained(codes, truths) == pytest.approx(0.5, abs=0.1)


def test_knowing_who_it_is_does_not_help_with_a_stranger() -> None:
    """The code names the person, and the truth differs from person to person only: a probe that had seen the person
    would be right."""
    rng = np.random.default_rng(2)
    codes = [np.eye(PEOPLE)[[n]].repeat(FRAMES, 0) for n in range(PEOPLE)]
    truths = [np.full((FRAMES, 1), rng.normal()) for _ in range(PEOPLE)]
    assert explained(codes, truths) < 0.05


def test_a_rare_outlier_does_not_ruin_a_probe() -> None:
    rng = np.random.default_rng(3)
    codes = people(rng, 3)
    truths = [code[:, :1] for code in codes]
    codes = [np.concatenate([code, 1e-4 * rng.normal(size=(FRAMES, 1))], 1) for code in codes]
    codes[4][3, 3] = 1000  # a column that hardly varies elsewhere
    assert explained(codes, truths) > 0.9


def test_people_are_named_where_the_code_tells_them_apart() -> None:
    rng = np.random.default_rng(4)
    assert identified(people(rng, 16, own=5.0)) > 0.95
    assert identified(people(rng, 16)) == pytest.approx(1 / PEOPLE, abs=0.08)


def test_the_second_half_alone_is_named() -> None:
    """Codes that agree within each half of a person's clip, but not between the halves, name nobody."""
    rng = np.random.default_rng(5)
    codes = [np.concatenate([np.tile(rng.normal(size=16), (FRAMES // 2, 1)) for _ in range(2)]) for _ in range(PEOPLE)]
    assert identified(codes) < 0.4


def test_too_few_people_or_frames_are_not_a_number() -> None:
    rng = np.random.default_rng(6)
    codes = people(rng, 4)
    assert np.isnan(explained(codes[:1], codes[:1])) and np.isnan(identified(codes[:1]))
    assert np.isnan(identified([code[:3] for code in codes]))
    assert np.isnan(explained(codes, [np.ones((FRAMES, 1))] * PEOPLE)), "a constant has nothing to explain"
    assert np.isfinite(explained(codes[:2], codes[:2]))


@pytest.mark.parametrize("width", [4, 60])  # fewer and more columns than rows
def test_ridge_solves_the_normal_equations(width: int) -> None:
    rng = np.random.default_rng(7)
    x, y, new = rng.normal(size=(30, width)), rng.normal(size=(30, 2)), rng.normal(size=(5, width))
    z, shown = ((part - x.mean(0)) / x.std(0) for part in (x, new))
    for strength, found in zip((0.1, 10.0), ridge(x, y, new, np.array([0.1, 10.0])), strict=True):
        weights = np.linalg.solve(z.T @ z + strength * 30 * np.eye(width), z.T @ (y - y.mean(0)))
        np.testing.assert_allclose(found, (y.mean(0) + shown @ weights).clip(y.min(0), y.max(0)), atol=1e-9)
