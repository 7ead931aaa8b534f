"""Each factor alone from a clip: which frames are taken, and what each still is driven by."""

import numpy as np
import pytest
import torch

from tests.fake_method import FakeSession, photo
from thgen.evaluation.sheets.drive import STEPS, SWEEP, columns_of, furthest, most_different, picture, sweep_of
from thgen.request import Request
from thgen.schema import FACTORS


@pytest.fixture
def session():
    """Keeps the factors of every frame that is decoded in `session.asked`."""
    made = FakeSession()
    made.asked = []
    plain = made.method.decode
    made.method.decode = lambda identity, window, sliders=None: made.asked.append(window) or plain(identity, window)
    return made


@pytest.fixture
def identity(session):
    return session.prepare(Request(photo=photo(), size=128, paste_back=False)).identity


def test_frames_are_those_that_differ_most():
    track = torch.zeros(9, 3)
    track[4] = 5
    track[7] = -3
    assert furthest(track) == 4 and set(most_different(track)) == {4, 7}


def test_each_column_is_driven_by_its_factor_alone(session, identity):
    driven = {name: torch.zeros(6, factor.size) for name, factor in FACTORS.items()}
    driven["blink"] += 100
    driven["pose"][3, 0], driven["lip"][2], driven["expression"][1] = 20, 0.5, 0.8
    columns = columns_of(driven, session.method)
    assert [c.label for c in columns] == [*driven, "all", *(f"t {t:g}" for t in STEPS)]
    shown = {c.label: c.shown for c in columns}
    assert shown["pose"] == shown["all"] == 3 and shown["lip"] == 2 and shown["t 0.5"] is None
    assert {shown["t 0"], shown["t 1"]} == {1, int(driven["expression"].norm(dim=1).argmin())}
    for column in columns:
        assert picture(session.method, identity, column).shape == (128, 128, 3)
    by_name = dict(zip(driven, session.asked, strict=False))
    assert by_name["pose"]["pose"][0, 0] == 20 and by_name["pose"]["lip"].max() == 0
    assert by_name["lip"]["lip"].max() == 0.5 and by_name["lip"]["pose"].abs().max() == 0
    together = session.asked[len(driven)]
    assert together["pose"][0, 0] == 20 and together["lip"].max() == 0, "all at the pose's frame"
    blended = [float(window["expression"].max()) for window in session.asked[-len(STEPS) :]]
    assert np.allclose(np.diff(blended), np.diff(blended)[0]) and abs(blended[-1] - blended[0]) > 0.7


def test_a_sweep_shows_each_factor_alone_at_each_strength(session, identity):
    driven = {"pose": torch.zeros(6, 6), "expression": torch.zeros(6, FACTORS["expression"].size)}
    driven["pose"][3, 0], driven["expression"][1] = 20, 0.4
    for column in sweep_of(driven):
        picture(session.method, identity, column)
    yaw, smile = ([float(w[name].flatten()[0]) for w in session.asked] for name in ("pose", "expression"))
    count = len(SWEEP)
    assert len(session.asked) == 2 * count
    assert np.allclose(yaw[:count], [20 * g for g in SWEEP]) and not any(yaw[count:])
    assert np.allclose(smile[count:], [0.4 * g for g in SWEEP]) and not any(smile[:count])
