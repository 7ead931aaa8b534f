from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.evaluation.stand_in import Constant
from thgen.evaluation.reports.analyser import measure, report_of
from thgen.evaluation.scenes.conditions import CONDITIONS
from thgen.face.observe import Observer
from thgen.schema import ACTION_UNITS
from thgen.synth.head.ellipsoid import ellipsoid_head
from thgen.synth.head.keypoints import build_layout
from thgen.synth.head.performer import neck_weight


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


def errors(read: dict[str, np.ndarray], true: dict[str, np.ndarray]) -> dict[str, float]:
    return {row["what"]: row["error"] for row in report_of(read, true, {"in fog": [1.0, 3.0]}, 3).rows}


def test_a_perfect_analyser_has_no_error() -> None:
    true = truth()
    read = {**true, "pose": true["pose"][:, :3], "face": np.ones(6)}
    table = errors(read, true)
    assert table["landmarks (68)"] == 0 == table["all keypoints"] == table["yaw"] == table["eye openness"]
    assert table["action units, correlation, mean of 23"] == pytest.approx(1)
    assert table["action units, mean of 23"] == 0 and table["gaze, open eyes"] == pytest.approx(0, abs=1e-3)
    assert table["taken for a face"] == 100
    assert sum(name.startswith("… AU") for name in table) == len(ACTION_UNITS)


def test_known_errors_have_their_units() -> None:
    true = truth()
    read = {**true, "pose": true["pose"][:, :3] + [3, 0, 0], "openness": true["openness"] - 10, "face": np.zeros(6)}
    read["keypoints"] = true["keypoints"] + np.array([0.05, 0, 0])  # a tenth of the distance between the eyes
    table = errors(read, true)
    assert table["landmarks (68)"] == pytest.approx(10) and table["… mouth"] == pytest.approx(10)
    assert table["yaw"] == pytest.approx(3) and table["pitch"] == 0
    assert table["eye openness"] == pytest.approx(10) and table["taken for a face"] == 0


def test_errors_are_also_given_by_how_far_the_head_is_turned() -> None:
    true = truth()
    true["pose"][:, 0] = [0, 10, -20, 20, 40, -40]
    read = {**true, "pose": true["pose"][:, :3], "face": np.ones(6)}
    read["keypoints"] = true["keypoints"] + np.array([0.05, 0, 0]) * (np.arange(6) >= 4)[:, None, None]
    table = errors(read, true)
    assert table["… turned by 0° to 15°"] == table["… turned by 15° to 30°"] == 0
    assert table["… turned by more than 30°"] == pytest.approx(10)
    assert table["… in fog"] == 2


def test_an_analyser_that_always_answers_the_same_scores_as_the_constant_answers() -> None:
    mesh = ellipsoid_head()
    keypoints = len(build_layout(mesh, neck_weight).index)
    report = measure(Observer(Constant(keypoints), torch.device("cpu")), identities=1, frames=2, mesh=mesh)
    table = {row["what"]: row for row in report.rows}
    assert table["landmarks (68)"]["unit"] == "% inter-ocular" and float(table["landmarks (68)"]["error"] or 0) > 10
    assert table["gaze, open eyes"]["error"] == table["gaze, always straight ahead"]["error"]
    assert table["action units, mean of 23"]["error"] == table["action units, always zero"]["error"]
    assert table["taken for a face"]["error"] == 100
    assert all(f"… {name}" in table for name in CONDITIONS)
