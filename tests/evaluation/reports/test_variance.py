"""One factor driven at a time: the report of one method."""

from argparse import ArgumentParser

import pytest
import torch

from tests.evaluation.stand_in import Constant
from tests.fake_method import FakeMethod
from thgen.errors import ControlError
from thgen.evaluation.reports import variance
from thgen.evaluation.scenes.speakers import STATE_FACTORS
from thgen.evaluation.subject import Subject
from thgen.face.observe import Observer
from thgen.synth.head.ellipsoid import ellipsoid_head


@pytest.fixture
def fake():
    return Subject(FakeMethod(), Observer(Constant(70), torch.device("cpu")))


def test_zero_is_refused_where_it_means_nothing(fake):
    with pytest.raises(ControlError, match="canonical position"):
        variance.measure(fake, 1, 9, 64, "zero", mesh=ellipsoid_head())


def test_the_flag_of_version_0_1_is_understood():
    parser = ArgumentParser()
    variance.add_arguments(parser)
    assert parser.parse_args(["--undriven", "zero"]).undriven == "zero"
    assert parser.parse_args(["--others", "zero"]).undriven == "zero"
    assert parser.parse_args([]).undriven == "stay"


@pytest.mark.weights
def test_the_table_has_the_method_and_the_renders(rig):
    pytest.importorskip("espeakng_loader")
    report = variance.measure(rig, 1, 9, 128, "stay", mesh=ellipsoid_head())
    assert report.name == "variance_rig"
    assert [row[""].split(":")[0] for row in report.rows] == ["rig"] * 5 + ["renders"] * 5
    pose = report.rows[1]
    assert pose["drives pose"] > pose["drives lip"] >= 0
    assert pose["own : leak"] == pytest.approx(pose["drives pose"] / max(
        pose[f"drives {f}"] for f in STATE_FACTORS if f != "pose"))  # fmt: skip
