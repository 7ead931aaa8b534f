"""The analyser reads a result where the truth is, in the units of the schema."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.evaluation.stand_in import Constant
from thgen.evaluation.metrics.readings import in_crop, read_at, read_factors, square_of
from thgen.face.crop import ANALYSER
from thgen.face.observe import Observer
from thgen.schema import EXPRESSION_COEFFICIENTS, LIP_COEFFICIENTS


@pytest.fixture
def observer() -> Observer:
    return Observer(Constant(70), torch.device("cpu"))


@pytest.fixture
def landmarks() -> np.ndarray:
    """A box of landmarks, 1 wide and 0.8 high, centred at (0.2, 0)."""
    points = np.zeros((70, 3))
    points[:68, 0] += np.linspace(-0.3, 0.7, 68)
    points[:68, 1] += np.linspace(-0.4, 0.4, 68)
    points[68:] = 9  # dense keypoints do not count
    return points


def test_the_square_follows_the_analysers_framing(landmarks: np.ndarray) -> None:
    square = square_of(landmarks, 200)
    assert square.side == pytest.approx(ANALYSER.scale * 100)
    assert (square.x, square.y) == pytest.approx((120, 100 - ANALYSER.lift * square.side))


def test_a_look_happens_there_and_its_points_come_back_in_crop_coordinates(observer, landmarks) -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    observation = read_at(observer, image, landmarks)
    assert observation.square == square_of(landmarks, 200)
    points = in_crop(observation, 200)
    expected = observation.square.from_normalised(observation.analysis.keypoints[0].numpy())
    np.testing.assert_allclose((points[:, :2] + 1) * 100, expected[:, :2])


def test_factors_have_the_shapes_of_the_schema(observer, landmarks) -> None:
    read = read_factors(observer, np.zeros((3, 64, 64, 3), np.uint8), landmarks)
    shapes = {name: values.shape for name, values in read.items()}
    assert shapes == {"lip": (3, len(LIP_COEFFICIENTS)), "pose": (3, 3), "blink": (3, 2), "gaze": (3, 2),
                      "expression": (3, len(EXPRESSION_COEFFICIENTS))}  # fmt: skip
    assert (read["blink"] == 100).all() and not read["gaze"].any()
