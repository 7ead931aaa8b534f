"""Each condition does to a picture what its name says, the same at every call."""

from __future__ import annotations

import numpy as np
import pytest

from thgen.evaluation.metrics.appearance import gradient_energy
from thgen.evaluation.scenes.conditions import CONDITIONS


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(60, 200, (96, 96, 3), dtype=np.uint8)


def apply(name: str, picture: np.ndarray) -> np.ndarray:
    return CONDITIONS[name](picture, np.random.default_rng(1))


@pytest.mark.parametrize("name", list(CONDITIONS))
def test_shape_kind_and_repeatability(name: str, picture: np.ndarray) -> None:
    out = apply(name, picture)
    assert out.shape == picture.shape and out.dtype == np.uint8
    assert not np.array_equal(out, picture)
    assert np.array_equal(out, apply(name, picture))


def test_each_does_what_its_name_says(picture: np.ndarray) -> None:
    everywhere = np.ones((96, 96), bool)
    grey = apply("grey", picture)
    assert (grey[..., 0] == grey[..., 1]).all() and (grey[..., 1] == grey[..., 2]).all()
    assert apply("a fifth of the light", picture).mean() == pytest.approx(picture.mean() / 5, abs=1)
    differs = (apply("a third covered", picture) != picture).any(-1).mean()
    assert 0.08 < differs < 0.12  # a third of each side
    small = apply("a sixth of the size", picture)
    assert gradient_energy(small, everywhere) < 0.2 * gradient_energy(picture, everywhere)
    assert (apply("noise of 25 levels", picture) - picture.astype(float)).std() == pytest.approx(25, abs=1)
    assert np.abs(apply("JPEG quality 8", picture) - picture.astype(float)).mean() > 10
