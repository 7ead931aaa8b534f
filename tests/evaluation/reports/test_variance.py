"""One factor driven at a time: what is asked for, what is measured, what the table says of it."""

import numpy as np
import pytest
import torch

from thgen import schema
from thgen.evaluation.reports import variance
from thgen.evaluation.reports.variance import FACTORS, only, performances
from thgen.face.look import Looker
from thgen.methods.base import Identity
from thgen.methods.rig.method import Rig
from thgen.schema import COEFFICIENT_INDEX
from thgen.synth.head.ellipsoid import ellipsoid_head
from thgen.synth.head.model import State

pytest.importorskip("espeakng_loader")


def test_a_state_takes_one_factor_and_leaves_the_others():
    still = State.neutral()
    moved = State(np.arange(57, dtype=np.float32) / 57 + 0.1, np.ones(6, np.float32), np.ones((2, 2), np.float32))
    seen = {f: only(f, still, moved) for f in FACTORS}
    assert (seen["pose"].pose == 1).all() and (seen["pose"].coefficients == 0).all()
    assert (seen["gaze"].gaze == 1).all() and (seen["gaze"].pose == 0).all()
    owned = [set(np.flatnonzero(seen[f].coefficients)) for f in ("lip", "blink", "expression")]
    assert COEFFICIENT_INDEX["jawOpen"] in owned[0] and COEFFICIENT_INDEX["eyeBlink_L"] in owned[1]
    assert not owned[0] & owned[1] and not owned[1] & owned[2] and not owned[0] & owned[2]


def test_renders_with_one_factor_change_only_where_it_lies():
    act = next(iter(performances(1, 25, 96, ellipsoid_head())))
    assert set(act.alone) == set(FACTORS) and act.driver.shape == (25, 96, 96, 3)
    assert len(act.speech.samples) >= 25 * 640
    moved = {f: np.abs(frames.astype(float) - act.photo).mean(0).mean(-1) for f, frames in act.alone.items()}
    assert moved["pose"].mean() > 3 * moved["lip"].mean() > 0
    rows = np.arange(96)[:, None]
    height = {f: (m * rows).sum() / m.sum() for f, m in moved.items() if m.sum()}
    assert height["lip"] > height["gaze"], "the mouth lies below the eyes"
    again = next(iter(performances(1, 25, 96, ellipsoid_head())))
    np.testing.assert_array_equal(act.alone["lip"], again.alone["lip"])


@pytest.fixture(scope="module")
def rig():
    torch.set_num_threads(1)
    return Rig.load(torch.device("cpu"))


def test_only_the_driven_factor_has_a_target(rig):
    own = {name: torch.zeros(1, factor.size) for name, factor in schema.FACTORS.items()}
    own["blink"] += 100
    tracks = {n: v + torch.linspace(0, 1, 8)[:, None] for n, v in own.items()}
    found = variance.driven(rig, Identity(torch.zeros(1), own, {}), "pose", tracks, "stay")
    assert found["pose"].std(0).max() > 0.1
    assert all(found[n].std(0).max() == 0 for n in own if n != "pose")


def test_the_table_has_the_method_and_the_renders(rig):
    looker = Looker(rig.guide.analyser, torch.device("cpu"))
    report = variance.measure(rig, looker, 1, 9, 128, "stay", mesh=ellipsoid_head())
    assert [row[""].split(":")[0] for row in report.rows] == ["rig"] * 5 + ["renders"] * 5
    pose = report.rows[1]
    assert pose["drives pose"] > pose["drives lip"] >= 0
    assert pose["own : leak"] == pytest.approx(pose["drives pose"] / max(
        pose[f"drives {f}"] for f in FACTORS if f != "pose"))  # fmt: skip
