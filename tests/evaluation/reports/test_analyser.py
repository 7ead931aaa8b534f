from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr

from tests.evaluation.stand_in import Constant
from thgen.evaluation.metrics.motion import action_units
from thgen.evaluation.reports.analyser import _report, measure, unit_correlation
from thgen.evaluation.scenes.conditions import CONDITIONS
from thgen.face.look import Looker
from thgen.schema import ACTION_UNITS
from thgen.synth.head.ellipsoid import ellipsoid_head
from thgen.synth.head.keypoints import build_layout
from thgen.synth.head.model import neck_weight


def truth(n: int = 6) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    keypoints = rng.uniform(-0.5, 0.5, (n, 70, 3))
    keypoints[:, 36, :2], keypoints[:, 45, :2] = (-0.25, 0), (0.25, 0)
    return {
        "keypoints": keypoints,
        "pose": rng.uniform(-20, 20, (n, 6)),
        "gaze": rng.uniform(-10, 10, (n, 2, 2)),
        "openness": rng.uniform(40, 100, (n, 2)),
        "coefficients": rng.uniform(0, 1, (n, 57)),
    }


def errors(seen: dict[str, np.ndarray], true: dict[str, np.ndarray]) -> dict[str, float]:
    return {row["what"]: row["error"] for row in _report(seen, true, {"in fog": [1.0, 3.0]}, 3).rows}


def test_a_perfect_analyser_has_no_error() -> None:
    true = truth()
    seen = {**true, "pose": true["pose"][:, :3], "face": np.ones(6)}
    found = errors(seen, true)
    assert found["landmarks (68)"] == 0 == found["all keypoints"] == found["yaw"] == found["eye openness"]
    assert found["action units, correlation, mean of 23"] == pytest.approx(1)
    assert found["action units, mean of 23"] == 0 and found["gaze, open eyes"] == pytest.approx(0, abs=1e-3)
    assert found["taken for a face"] == 100
    assert sum(name.startswith("… AU") for name in found) == len(ACTION_UNITS)


def test_correlation_of_units_against_scipy() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.uniform(0, 1, (2, 30, 57))
    expected = [pearsonr(x, y).statistic for x, y in zip(action_units(a).T, action_units(b).T, strict=True)]
    assert np.allclose(unit_correlation(a, b), expected)
    assert np.isnan(unit_correlation(0 * a, b)).all()


def test_known_errors_are_told_in_their_units() -> None:
    true = truth()
    seen = {**true, "pose": true["pose"][:, :3] + [3, 0, 0], "openness": true["openness"] - 10, "face": np.zeros(6)}
    seen["keypoints"] = true["keypoints"] + np.array([0.05, 0, 0])  # a tenth of the distance between the eyes
    found = errors(seen, true)
    assert found["landmarks (68)"] == pytest.approx(10) and found["… mouth"] == pytest.approx(10)
    assert found["yaw"] == pytest.approx(3) and found["pitch"] == 0
    assert found["eye openness"] == pytest.approx(10) and found["taken for a face"] == 0


def test_errors_are_told_apart_by_how_far_the_head_is_turned() -> None:
    true = truth()
    true["pose"][:, 0] = [0, 10, -20, 20, 40, -40]
    seen = {**true, "pose": true["pose"][:, :3], "face": np.ones(6)}
    seen["keypoints"] = true["keypoints"] + np.array([0.05, 0, 0]) * (np.arange(6) >= 4)[:, None, None]
    found = errors(seen, true)
    assert found["… turned by 0° to 15°"] == found["… turned by 15° to 30°"] == 0
    assert found["… turned by more than 30°"] == pytest.approx(10)
    assert found["… in fog"] == 2


def test_it_reads_renders_and_tells_a_bad_analyser_from_a_good_one() -> None:
    mesh = ellipsoid_head()
    keypoints = len(build_layout(mesh, neck_weight).index)
    report = measure(Looker(Constant(keypoints), torch.device("cpu")), identities=1, frames=2, mesh=mesh)
    found = {row["what"]: row for row in report.rows}
    assert found["landmarks (68)"]["unit"] == "% inter-ocular" and float(found["landmarks (68)"]["error"] or 0) > 10
    # It says "straight ahead" and "at rest" of everybody, and must score as those who do.
    assert found["gaze, open eyes"]["error"] == found["gaze, always straight ahead"]["error"]
    assert found["action units, mean of 23"]["error"] == found["action units, always zero"]["error"]
    assert found["taken for a face"]["error"] == 100
    assert all(f"… {name}" in found for name in CONDITIONS)
