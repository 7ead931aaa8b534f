from __future__ import annotations

import numpy as np
import pytest
import torch

from thgen.analyser.network import Analyser
from thgen.evaluation.metrics.features import face_features, frechet_distance
from thgen.face.observe import Observer


def test_frechet_distance_of_two_clouds() -> None:
    rng = np.random.default_rng(0)
    cloud = rng.normal(size=(4000, 3))
    assert frechet_distance(cloud, cloud) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(cloud, cloud + np.array([3, 0, 4])) == pytest.approx(25, rel=1e-6)
    assert frechet_distance(cloud, 2 * cloud) == pytest.approx(3, rel=0.05), "(2 - 1)^2 for each of three axes"


def test_features_depend_on_the_square_around_the_landmarks_alone() -> None:
    torch.manual_seed(0)
    points = [[70, 71, 42, 43], [72, 73, 36, 37]]
    analyser = Analyser(80, points, [74, 75, 48, 49, 50], channels=(8, 16, 16, 24, 32), hidden=48)
    observer = Observer(analyser, torch.device("cpu"))
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 96, 96, 3), dtype=np.uint8)
    landmarks = rng.uniform(-0.2, 0.2, (2, 68, 2))
    plain = face_features(observer, images, landmarks)
    outside = images.copy()
    outside[:, :8] = 0
    np.testing.assert_array_equal(face_features(observer, outside, landmarks), plain)
    inside = images.copy()
    inside[0, 40:56, 40:56] = 0
    changed = face_features(observer, inside, landmarks)
    assert np.abs(changed[0] - plain[0]).max() > 1e-3 and (changed[1] == plain[1]).all()
