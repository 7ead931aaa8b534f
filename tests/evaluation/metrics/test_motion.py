from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from scipy.stats import pearsonr

from thgen.evaluation.metrics import motion
from thgen.facs import intensities_of
from thgen.schema import ACTION_UNITS, AU_MAX, COEFFICIENT_INDEX


@pytest.fixture
def face() -> np.ndarray:
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (4, 68, 2))
    points[:, 36], points[:, 45] = (-0.25, 0), (0.25, 0)  # half a unit between the eyes
    return points


def test_equal_motions_have_no_error(face: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    angles, gaze, openness = rng.uniform(-30, 30, (4, 3)), rng.uniform(-20, 20, (4, 2, 2)), rng.uniform(0, 100, (4, 2))
    coefficients, flow = rng.uniform(0, 1, (4, 57)), rng.normal(size=(4, 8, 8, 2))
    assert motion.landmark_distance(face, face) == 0 == motion.mouth_distance(face, face)
    assert (motion.pose_error(angles, angles) == 0).all()
    assert motion.gaze_error(gaze, gaze) == pytest.approx(0, abs=1e-4)
    assert motion.openness_error(openness, openness) == 0
    assert (motion.action_unit_error(coefficients, coefficients) == 0).all()
    assert motion.flow_error(flow, flow) == 0


def test_landmark_distance_worked_example(face: np.ndarray) -> None:
    moved = face + np.array([0.03, 0.04])  # 0.05 of 0.5: a tenth
    assert motion.landmark_distance(moved, face) == pytest.approx(10)
    assert motion.landmark_distance(moved * 7, face * 7) == pytest.approx(10)  # whatever the size of the face


def test_landmark_distances_in_px_are_those_of_papers(face: np.ndarray) -> None:
    """0.05 half-widths of a crop of 200 px are 5 px, whatever the distance between the eyes."""
    moved = face + np.array([0.03, 0.04])
    assert motion.landmark_distance(moved, face, size=200) == pytest.approx(5)
    assert motion.landmark_distance(moved * 2, face * 2, size=200) == pytest.approx(10)
    assert motion.mouth_distance(moved, face, size=200) == pytest.approx(0, abs=1e-9)
    wider = face.copy()
    wider[:, 48:68] = face[:, 48:68].mean(1, keepdims=True) + 1.1 * (
        face[:, 48:68] - face[:, 48:68].mean(1, keepdims=True)
    )
    spread = np.linalg.norm(face[:, 48:68] - face[:, 48:68].mean(1, keepdims=True), axis=-1).mean()
    assert motion.mouth_distance(wider, face, size=200) == pytest.approx(100 * 0.1 * spread)


def test_mouth_distance_ignores_where_the_mouth_is_but_not_its_shape(face: np.ndarray) -> None:
    moved = face.copy()
    moved[:, 48:68] += [0.2, 0.1]
    assert motion.mouth_distance(moved, face) == pytest.approx(0)
    assert motion.landmark_distance(moved, face) > 10
    opened = face.copy()
    opened[:, 48:58, 1] -= 0.05
    opened[:, 58:68, 1] += 0.05
    assert motion.mouth_distance(opened, face) == pytest.approx(10)


def test_pose_error_goes_the_short_way_round() -> None:
    assert np.allclose(motion.pose_error(np.array([[179.0, 5, 0]]), np.array([[-179.0, 2, 0]])), [2, 3, 0])


def test_gaze_error_is_the_angle_between_lines_of_sight() -> None:
    """Against scipy: the same two rotations of the forward axis."""
    rng = np.random.default_rng(2)
    a, b = rng.uniform(-30, 30, (20, 2)), rng.uniform(-30, 30, (20, 2))

    def sight(gaze: np.ndarray) -> np.ndarray:
        return Rotation.from_euler("YX", gaze * [1, -1], degrees=True).apply([0, 0, 1])

    angle = np.rad2deg(np.arccos((sight(a) * sight(b)).sum(1)))
    assert motion.gaze_error(a, b) == pytest.approx(angle.mean())
    assert motion.gaze_error(np.array([[10.0, 0]]), np.array([[0.0, 0]])) == pytest.approx(10)


def test_action_unit_error_is_in_intensities() -> None:
    true, predicted = np.zeros((3, 57)), np.zeros((3, 57))
    predicted[:, COEFFICIENT_INDEX["mouthSmile_L"]] = 1  # one side of AU12: half of its intensity
    errors = dict(zip(ACTION_UNITS, motion.action_unit_error(predicted, true), strict=True))
    assert errors.pop(12) == pytest.approx(AU_MAX / 2)
    assert not any(errors.values())


def test_correlation_of_action_units_against_scipy() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.uniform(0, 1, (2, 30, 57))
    expected = [pearsonr(x, y).statistic for x, y in zip(intensities_of(a).T, intensities_of(b).T, strict=True)]
    assert np.allclose(motion.action_unit_correlation(a, b), expected)
    assert np.isnan(motion.action_unit_correlation(0 * a, b)).all()


def test_lip_gap_is_in_percent_of_the_distance_between_the_eyes() -> None:
    points = np.zeros((1, 68, 2))
    points[0, 36], points[0, 45] = (-1, 0), (1, 0)
    points[0, [65, 66, 67]] = (0, 0.5)
    assert motion.lip_gap(points) == pytest.approx([25])


def test_mean_deviation_worked_example() -> None:
    """Two clips of two frames; each frame is 5 and 1 away from the mean of its clip."""
    clips = [np.array([[0.0, 0.0], [6.0, 8.0]]), np.array([[1.0, 0.0], [3.0, 0.0]])]
    assert motion.mean_deviation(clips) == pytest.approx((5 + 1) / 2)
    assert motion.mean_deviation([np.ones((4, 3))]) == 0


def test_flow_error_is_percent_of_the_half_width_and_obeys_its_mask() -> None:
    true = np.zeros((4, 4, 2))
    flow = true.copy()
    flow[0] = (0.03, 0.04)
    mask = np.zeros((4, 4), bool)
    mask[0] = True
    assert motion.flow_error(flow, true) == pytest.approx(1.25)
    assert motion.flow_error(flow, true, mask) == pytest.approx(5)
    assert motion.flow_error(flow, true, ~mask) == 0


def test_shapes_must_agree(face: np.ndarray) -> None:
    with pytest.raises(ValueError, match="one shape"):
        motion.landmark_distance(face, face[:2])
