from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.evaluation.stand_in import Constant
from tests.fake_method import FakeMethod
from thgen.evaluation.reports.reenact import COPY, CROSS, ROWS, SELF, TRUE, measure, warp
from thgen.evaluation.reports.reenact import FLOW as CEILING
from thgen.evaluation.subject import Subject
from thgen.face.observe import Observer
from thgen.methods.base import Decoded
from thgen.synth.head.ellipsoid import ellipsoid_head

SIZE = 64


class Still(FakeMethod):
    """A method that always answers with its photo, whatever drives it."""

    def decode(self, identity, window, sliders=None) -> Decoded:
        count = len(window["pose"])
        return Decoded(identity.image.expand(count, -1, -1, -1), torch.zeros(count, 1, SIZE, SIZE))


def test_warp_follows_the_flow() -> None:
    source = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    flow = np.zeros((32, 32, 2), np.float32)
    assert (warp(source, flow) == source).all()
    flow[..., 0] = 2 / 16  # two pixels: target(p) = source(p + 2)
    assert (warp(source, flow)[:, :-2] == source[:, 2:]).all()


def test_a_still_picture_scores_exactly_as_the_floor_and_the_ceiling_above_it() -> None:
    torch.set_num_threads(1)
    observer = Observer(Constant(70), torch.device("cpu"))
    report = measure(Subject(Still(), observer), 2, 2, SIZE, mesh=ellipsoid_head())
    rows = {row[""]: row for row in report.rows}
    assert list(rows) == list(ROWS)
    floor, ceiling, true = (rows[name] for name in (COPY, CEILING, TRUE))
    for name in (SELF, CROSS):
        for key in ("PSNR dB", "SSIM", "LMD %", "pose °"):
            assert rows[name][key] == pytest.approx(floor[key])
        assert np.isnan(rows[name]["EPE %"]), "the method has no flow"
    assert ceiling["PSNR dB"] > floor["PSNR dB"] + 1 and ceiling["SSIM"] > floor["SSIM"]
    assert ceiling["EPE %"] == 0 == true["EPE %"] and floor["EPE %"] > 0.5
    assert true["SSIM"] == pytest.approx(1)
    assert report.name == "reenact_rig" and "2 rendered people" in report.protocol


def test_self_is_driven_by_values_and_cross_by_changes(monkeypatch) -> None:
    asked = []
    plain = Subject.reenact

    def reenact(self, identity, states, motion):
        asked.append((motion, states["pose"][:, 0].tolist()))
        return plain(self, identity, states, motion)

    monkeypatch.setattr(Subject, "reenact", reenact)
    measure(Subject(Still(), Observer(Constant(70), torch.device("cpu"))), 1, 2, SIZE, mesh=ellipsoid_head())
    assert [motion for motion, _ in asked] == ["absolute", "relative"]
    assert asked[0][1] != asked[1][1], "another person drives"
    assert all(len(states) == 3 for _, states in asked), "the first state is that of the photo"
