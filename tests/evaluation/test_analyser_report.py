from __future__ import annotations

import numpy as np
import pytest
import torch

from thgen.evaluation.analyser_report import _report, measure
from thgen.networks.analyser import Analyser
from thgen.preprocess.look import Looker
from thgen.schema import ACTION_UNITS


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
    return {row["what"]: row["error"] for row in _report(seen, true, 3).rows}


def test_a_perfect_analyser_has_no_error() -> None:
    true = truth()
    seen = {**true, "pose": true["pose"][:, :3], "face": np.ones(6)}
    found = errors(seen, true)
    assert found["landmarks (68)"] == 0 == found["all keypoints"] == found["yaw"] == found["eye openness"]
    assert found["action units, mean of 23"] == 0 and found["gaze, open eyes"] == pytest.approx(0, abs=1e-3)
    assert found["taken for a face"] == 100
    assert sum(name.startswith("… AU") for name in found) == len(ACTION_UNITS)


def test_known_errors_are_told_in_their_units() -> None:
    true = truth()
    seen = {**true, "pose": true["pose"][:, :3] + [3, 0, 0], "openness": true["openness"] - 10, "face": np.zeros(6)}
    seen["keypoints"] = true["keypoints"] + np.array([0.05, 0, 0])  # a tenth of the distance between the eyes
    found = errors(seen, true)
    assert found["landmarks (68)"] == pytest.approx(10) and found["… mouth"] == pytest.approx(10)
    assert found["yaw"] == pytest.approx(3) and found["pitch"] == 0
    assert found["eye openness"] == pytest.approx(10) and found["taken for a face"] == 0


@pytest.mark.facekit
def test_it_runs_on_renders_with_an_untrained_network() -> None:
    torch.manual_seed(0)
    looker = Looker(Analyser(430, (8, 8, 8, 8, 8), 16), torch.device("cpu"))
    report = measure(looker, identities=1, frames=2)
    assert report.rows[0]["unit"] == "% inter-ocular" and float(report.rows[0]["error"] or 0) > 5
