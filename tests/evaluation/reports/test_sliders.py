"""One slider at a time: what is asked of method and renderer, and what the table says of it."""

import numpy as np
import pytest
import torch

from thgen.evaluation.reports import sliders
from thgen.evaluation.reports.sliders import ASKED, asked_of, told
from thgen.face.look import Looker
from thgen.methods.base import Identity
from thgen.methods.rig.method import Rig
from thgen.schema import FACTORS
from thgen.synth.head.ellipsoid import ellipsoid_head


def test_a_render_moves_by_what_its_slider_says():
    assert told("gaze.yaw", -20).gaze.tolist() == [[-20, 0], [-20, 0]]
    turned = told("pose.roll", 12)
    assert turned.pose.tolist() == [0, 0, 12, 0, 0, 0] and not turned.coefficients.any()
    open_eyes, closed = (told("blink.openness", v).coefficients for v in (100, 0))
    assert not open_eyes.any() and (closed > 0).sum() == 2


def test_a_still_is_asked_for_one_slider_at_a_time():
    own = {name: torch.full((1, factor.size), 0.1) for name, factor in FACTORS.items()}
    own["blink"] = own["blink"] * 1000
    target = asked_of(Identity(torch.zeros(1), own, {}))
    count = 1 + sum(len(values) for values in ASKED.values())
    assert {len(v) for v in target.values()} == {count}
    assert all(torch.equal(target[n][0], own[n][0]) for n in own), "first the photo as it is"
    for k in range(1, count):
        assert sum(not torch.equal(target[n][k], own[n][0]) for n in own) == 1
    assert (target["gaze"] - own["gaze"]).abs().max() == pytest.approx(20)


def test_the_table_has_a_row_for_each_value():
    torch.set_num_threads(1)
    rig = Rig.load(torch.device("cpu"))
    looker = Looker(rig.guide.analyser, torch.device("cpu"))
    report = sliders.measure(rig, looker, 1, 96, ellipsoid_head())
    assert [row["slider"] for row in report.rows] == [s for s, values in ASKED.items() for _ in values]
    assert all(np.isfinite([row["result, read"], row["render, read"], row["PSNR eyes"]]).all() for row in report.rows)
    yaw = {row["asked"]: row["result, read"] for row in report.rows if row["slider"] == "pose.yaw"}
    assert yaw["-20 °"] < yaw["20 °"], "a head that is told to turn is seen to"
