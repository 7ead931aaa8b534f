"""People who speak: methods side by side."""

import numpy as np
import pytest
import torch

from tests.evaluation.stand_in import Constant
from tests.fake_method import FakeMethod
from tests.hidden import recorded_voices
from thgen.__main__ import main
from thgen.errors import ControlError
from thgen.evaluation.reports import talk
from thgen.evaluation.subject import Subject
from thgen.face.observe import Observer
from thgen.synth.head.ellipsoid import ellipsoid_head

SIZE = 64


def test_a_factor_that_the_method_lacks_cannot_be_held(fake):
    with pytest.raises(ControlError, match="no factor 'mood'"):
        talk.measure([fake], fake.observer, 1, 10, SIZE, ("mood",), ellipsoid_head())


@pytest.fixture
def fake():
    return Subject(FakeMethod(), Observer(Constant(70), torch.device("cpu")))


@pytest.mark.parametrize("what", ["talk", "variance", "table"])
def test_missing_voices_are_named_before_anything_is_rendered(what, tmp_path, capsys):
    with recorded_voices(False):
        assert main(["evaluate", what, "--voices", "all", "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.count("package-of-") == 15, "all of the set, not the first that is drawn"
    assert not list(tmp_path.iterdir())


@pytest.mark.weights
def test_the_truth_is_nearest_and_its_own_distance_is_zero(rig):
    pytest.importorskip("espeakng_loader")
    report = talk.measure([rig], rig.observer, 1, 10, 96, mesh=ellipsoid_head())
    assert report.settings["voices"] == "espeak" and report.name == "talk"
    rows = {row[""]: row for row in report.rows}
    assert list(rows) == [talk.COPY, "rig", talk.TRUE]
    assert rows[talk.TRUE]["FD"] == pytest.approx(0, abs=1e-6) and rows[talk.COPY]["FD"] > 1e-4
    assert rows[talk.COPY]["lips r"] is None, "a photo's lips do not move"
    assert rows["rig"].pop("MS-SSIM") is not None, "a column, though 96 px are too small for it"
    assert all(np.isfinite(v) for v in rows["rig"].values() if not isinstance(v, str))
