"""Eyes that close beside true ones: what is asked, where it is measured, and what the table says."""

import numpy as np
import pytest
import torch

from tests.evaluation.stand_in import Constant
from tests.fake_method import FakeMethod
from thgen.errors import ControlError
from thgen.evaluation.reports import lids
from thgen.evaluation.reports.lids import (
    CLOSINGS,
    COLUMNS,
    FADE,
    ORBIT,
    above_lids,
    compare,
    edges,
    lids_hold,
    orbits,
    states,
)
from thgen.evaluation.subject import Subject
from thgen.face.observe import Observer
from thgen.methods import METHODS
from thgen.synth.head import facekit as fk
from thgen.synth.head.ellipsoid import ellipsoid_head

SIZE = 128


def landmarks(share: float = 1.0) -> np.ndarray:
    """Landmarks [68 2] with two eyes of 24 px by 8 px, open by `share`."""
    points = np.zeros((68, 2))
    for start, x in ((36, 40), (42, 88)):
        across = np.array([-12, -4, 4, 12, 4, -4])
        down = np.array([0, 4 - 8 * share, 4 - 8 * share, 0, 4, 4])
        points[start : start + 6] = np.stack([x + across, 60 + down], 1)
    return points / SIZE * 2 - 1


def test_states_differ_in_their_lids_alone():
    rest, *closed = states(np.random.default_rng(0))
    assert len(closed) == len(CLOSINGS) and not rest.coefficients.any() and rest.pose[:3].any()
    assert all((s.pose == rest.pose).all() and (s.gaze == rest.gaze).all() for s in closed)
    weights = [s.coefficients.max() for s in closed]
    assert weights == sorted(weights) and all((s.coefficients > 0).sum() == 2 for s in closed)


def test_orbits_lie_around_the_eyes():
    near, far = (orbits(landmarks(), SIZE, reach) for reach in (ORBIT, FADE))
    assert near[60, 40] and near[60, 88] and not near[60, 64] and not near[30].any() and not near[90].any()
    assert (far | ~near).all() and far.sum() > near.sum()


def test_the_lid_grows_from_the_crease_to_the_margin():
    areas = [above_lids(landmarks(), landmarks(share), SIZE).sum() for share in (0.75, 0.5, 0.0)]
    assert 0 < areas[0] < areas[1] < areas[2]
    lid = above_lids(landmarks(), landmarks(0.0), SIZE)
    assert lid[56, 40] and lid[56, 88] and not lid[66].any(), "nothing below the closed margin"


def test_the_numbers_tell_copy_truth_and_spill_apart():
    marks = np.stack([landmarks(), landmarks(0.0)])
    true = np.full((2, SIZE, SIZE, 3), 180, np.uint8)
    true[0, 56:64, 30:50] = true[0, 56:64, 78:98] = 20
    (perfect,), (copy,) = compare(true, true, marks), compare(true[[0, 0]], true, marks)
    assert perfect[0] == 0 and perfect[2] == perfect[3] == 0 and perfect[5] == 0
    assert copy[0] == copy[1] > 5 and copy[2] == copy[4] > 1 and copy[5] == 0
    spilt = true.copy()
    spilt[1, 100:, :] += 10
    assert compare(spilt, true, marks)[0][5] > 1 and compare(spilt, true, marks)[0][0] == 0
    assert np.isnan(edges(true[0], np.zeros((SIZE, SIZE), bool)))


def test_renders_whose_eyeballs_come_through_are_left_out():
    parts = np.full((2, 20, 20), fk.FACE)
    parts[0, 5:15, 5:15] = fk.EYE_L
    assert lids_hold(parts)
    parts[1, 5:10, 5:10] = fk.EYE_R
    assert not lids_hold(parts)


def test_a_method_without_the_slider_is_refused():
    method = FakeMethod()
    method.declaration = METHODS["pd_fgc.paper"]
    with pytest.raises(ControlError, match="no sliders"):
        lids.measure(Subject(method, Observer(Constant(70), torch.device("cpu"))), 1, 64, ellipsoid_head())


@pytest.mark.weights
def test_the_table_has_a_row_for_each_closing(rig, monkeypatch):
    monkeypatch.setattr(lids, "lids_hold", lambda parts: True)  # the built-in head's lids are crude
    report = lids.measure(rig, 1, 96, ellipsoid_head())
    assert [row["closed"] for row in report.rows] == [f"{closing} %" for closing in CLOSINGS]
    assert all(set(COLUMNS) < set(row) and np.isfinite(row["error"]) for row in report.rows)
    assert all(row["change outside"] < 0.1 for row in report.rows), "closing lids change nothing beyond the orbits"
