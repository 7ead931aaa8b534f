"""One slider at a time: what is asked of the method and of the renderer, and what the table says of it."""

import numpy as np
import pytest
import torch

from tests.evaluation.stand_in import Constant
from tests.fake_method import FakeMethod
from thgen.errors import ControlError
from thgen.evaluation.reports import sliders
from thgen.evaluation.reports.sliders import ASKED, stills
from thgen.evaluation.subject import Subject
from thgen.face.observe import Observer
from thgen.methods import METHODS
from thgen.methods.base import Decoded, Identity
from thgen.schema import FACTORS
from thgen.synth.head.ellipsoid import ellipsoid_head

COUNT = 1 + sum(len(values) for values in ASKED.values())


class Watched(FakeMethod):
    def __init__(self):
        super().__init__()
        self.asked = []

    def decode(self, identity, window, sliders=None):
        self.asked.append(window)
        return Decoded(torch.zeros(1, 3, 8, 8), torch.zeros(1, 1, 8, 8))


def test_a_still_is_asked_for_one_slider_at_a_time():
    own = {name: torch.full((1, factor.size), 0.1) for name, factor in FACTORS.items()}
    own["blink"] = own["blink"] * 1000
    method = Watched()
    made = stills(Subject(method, Observer(Constant(70), torch.device("cpu"))), Identity(torch.zeros(1), own, {}))
    assert len(made) == len(method.asked) == COUNT
    assert all(torch.equal(method.asked[0][name], own[name]) for name in own), "first the photo as it is"
    for window in method.asked[1:]:
        assert sum(not torch.equal(window[name], own[name]) for name in own) == 1
    assert max((w["gaze"] - own["gaze"]).abs().max() for w in method.asked) == pytest.approx(20)


def test_a_method_without_sliders_is_refused():
    method = Watched()
    method.declaration = METHODS["pd_fgc.paper"]
    with pytest.raises(ControlError, match="no sliders"):
        sliders.measure(Subject(method, Observer(Constant(70), torch.device("cpu"))), 1, 64, ellipsoid_head())


@pytest.mark.weights
def test_the_table_has_a_row_for_each_value(rig):
    report = sliders.measure(rig, 1, 96, ellipsoid_head())
    assert [row["slider"] for row in report.rows] == [s for s, values in ASKED.items() for _ in values]
    assert all(np.isfinite([row["result, read"], row["render, read"], row["PSNR eyes"]]).all() for row in report.rows)
    yaw = {row["asked"]: row["result, read"] for row in report.rows if row["slider"] == "pose.yaw"}
    assert yaw["-20 °"] < yaw["20 °"], "the head turns the way that the slider says"
