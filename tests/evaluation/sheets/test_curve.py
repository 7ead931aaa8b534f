from __future__ import annotations

import argparse
import time

import numpy as np
import pytest

from thgen.errors import AssetError
from thgen.evaluation.sheets import curve

tensorboard = pytest.importorskip("torch.utils.tensorboard")
START = 1_700_000_000.0


@pytest.fixture
def folder(tmp_path):
    """Eight validations ten minutes apart, with a night between the fourth and the fifth; the loss falls to 0.2."""
    writer, now = tensorboard.SummaryWriter(str(tmp_path / "tensorboard")), START
    for k in range(1, 9):
        now += 600 if k != 5 else 30_000
        writer.add_scalar("train/total", 1.0 / k, 100 * k, walltime=now - 1)
        writer.add_scalar("validation/l1", 0.2 + 0.3 / k, 100 * k, walltime=now)
        writer.add_scalar("validation/flow", 1.0 / k, 100 * k, walltime=now)
    writer.close()
    time.sleep(0.01)
    return tmp_path


def ask(folder, **more):
    return curve.run(argparse.Namespace(**{"run": folder, "score": [], "sheet": None, **more}))


def test_hours_leave_out_the_pauses(folder):
    hours, scores = curve.read(folder)
    assert list(hours) == [100 * k for k in range(1, 9)]
    assert hours[800] == pytest.approx(6 * 600 / 3600, abs=0.02), "seven steps of ten minutes, less the night's"
    assert scores["l1"] == pytest.approx(0.2 + 0.3 / np.arange(1, 9))


def test_report_shows_the_scores_and_a_forecast_between_the_last_one_and_the_floor(folder):
    report = ask(folder, score=["l1"])
    assert report.rows[0]["when"] == "step 100" and set(report.rows[0]) == {"when", "hours", "l1"}
    assert [r["when"] for r in report.rows[-3:]] == [f"{t} times as long?" for t in (2, 5, 10)]
    last, ahead = report.rows[7]["l1"], [r["l1"] for r in report.rows[-3:]]
    assert last > ahead[0] > ahead[2] > 0.15


def test_forecast_finds_a_power_law():
    hours = np.linspace(0.5, 4, 8)
    assert curve.forecast(hours, 0.3 + 0.2 * hours**-0.7, 20.0) == pytest.approx(0.3 + 0.2 * 20**-0.7, abs=0.005)
    assert curve.forecast(hours[:3], hours[:3], 9.0) is None


def test_pictures_are_drawn_and_bad_folders_named(folder, tmp_path):
    ask(folder, sheet=tmp_path / "new" / "curve.png")
    assert (tmp_path / "new" / "curve.png").stat().st_size > 2000
    with pytest.raises(AssetError, match="no validation scores"):
        ask(tmp_path / "new")
    with pytest.raises(AssetError, match="flow"):
        ask(folder, score=["psnr"])
