from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from thgen.evaluation.reports.ablation import NO_LAYERS, PARTS, measure, variants
from thgen.evaluation.subject import Subject
from thgen.face.finder import FaceFinder
from thgen.io.photo import read_photo
from thgen.pipeline import Targets
from thgen.schema import LIP_COEFFICIENTS
from thgen.synth.head.ellipsoid import ellipsoid_head

PORTRAIT = Path(__file__).parents[3] / "examples/portrait_1.png"
pytestmark = pytest.mark.weights


def test_each_part_is_off_in_its_own_row_and_in_no_other(rig):
    finder = FaceFinder(rig.observer.analyser)
    identity = rig.method.encode_photos([finder.crop(read_photo(PORTRAIT), 0, 128)])
    factors = {name: value.clone() for name, value in identity.own.items()}
    factors["pose"][:, 0] += 15
    factors["lip"][:, LIP_COEFFICIENTS.index("jawOpen")] = 0.7  # the photo does not show the inside of the mouth
    target = Targets(factors)
    made = {
        name: Subject(method, rig.observer).pictures_and_flow(identity, target, 64)
        for name, method in variants(rig.method).items()
    }
    whole, flow = rig.pictures_and_flow(identity, target, 64)
    names = list(PARTS)
    assert (made[names[0]][0] == whole).all()
    moved = {name: np.abs(flow).mean() for name, (_, flow) in made.items()}
    assert moved["without the keypoints' flow"] < 0.5 * moved[names[0]]
    assert 0 < np.abs(made["without the network's correction"][1] - flow).mean() < moved[names[0]]
    for name in ("without paint", "paint alone"):
        assert (made[name][1] == flow).all(), "the flow is as it was"
        assert np.abs(made[name][0].astype(int) - whole).max() > 5
    detail = {name: np.abs(np.diff(image[0].astype(float), axis=1)).mean() for name, (image, _) in made.items()}
    assert detail["paint alone"] < detail["without paint"], "paint is smooth, the photo is not"


def test_report_has_a_row_per_part(rig):
    report = measure(rig, 1, 1, 128, mesh=ellipsoid_head())
    assert [row[""] for row in report.rows] == [*PARTS, NO_LAYERS]
    assert len({row["PSNR dB"] for row in report.rows}) > 3
