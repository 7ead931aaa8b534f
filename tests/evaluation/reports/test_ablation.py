from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from thgen.evaluation.reports.ablation import NO_SCENE, PARTS, measure, variants
from thgen.evaluation.reports.reenact import decode
from thgen.face.finder import FaceFinder
from thgen.face.look import Looker
from thgen.methods.rig.method import Rig
from thgen.schema import LIP_COEFFICIENTS
from thgen.synth.head.ellipsoid import ellipsoid_head


@pytest.fixture(scope="module")
def rig():
    torch.set_num_threads(1)
    return Rig.load(torch.device("cpu"))


def test_each_part_is_off_in_its_own_row_and_in_no_other(rig):
    photo = np.asarray(Image.open("examples/portrait_1.png").convert("RGB"))
    identity = rig.encode_photo(FaceFinder(rig.guide.analyser).crop(photo, 0, 128).image)
    target = {name: value.clone() for name, value in identity.own.items()}
    target["pose"][:, 0] += 15
    target["lip"][:, LIP_COEFFICIENTS.index("jawOpen")] = 0.7  # the photo does not show the inside of the mouth
    seen = {name: decode(method, identity, target, 64) for name, method in variants(rig).items()}
    whole, flow = decode(rig, identity, target, 64)
    names = list(PARTS)
    assert (seen[names[0]][0] == whole).all()
    moved = {name: np.abs(flow).mean() for name, (_, flow) in seen.items()}
    assert moved["without the keypoints' flow"] < 0.5 * moved[names[0]]
    assert 0 < np.abs(seen["without the network's correction"][1] - flow).mean() < moved[names[0]]
    for name in ("without paint", "paint alone"):
        assert (seen[name][1] == flow).all(), "the flow is as it was"
        assert np.abs(seen[name][0].astype(int) - whole).max() > 5
    detail = {name: np.abs(np.diff(image[0].astype(float), axis=1)).mean() for name, (image, _) in seen.items()}
    assert detail["paint alone"] < detail["without paint"], "paint is smooth, the photo is not"


def test_report_has_a_row_per_part(rig):
    report = measure(rig, Looker(rig.guide.analyser, torch.device("cpu")), 1, 1, 128, mesh=ellipsoid_head())
    assert [row[""] for row in report.rows] == [*PARTS, NO_SCENE]
    assert len({row["PSNR dB"] for row in report.rows}) > 3
