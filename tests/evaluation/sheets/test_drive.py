"""Each factor alone from a clip: which moments are taken, and what each still is driven by."""

import numpy as np
import torch

from tests.fake_method import FakeSession, photo
from thgen.evaluation.sheets.drive import STEPS, SWEEP, apart, columns, furthest, moments_shown, swept
from thgen.request import Request
from thgen.schema import FACTORS


def test_moments_are_the_furthest():
    track = torch.zeros(9, 3)
    track[4] = 5
    track[7] = -3
    assert furthest(track) == 4 and set(apart(track)) == {4, 7}


def test_each_column_is_driven_by_its_factor_alone():
    session = FakeSession()
    prepared = session.prepare(Request(photo(), size=128, paste_back=False))
    driven = {name: torch.zeros(6, factor.size) for name, factor in FACTORS.items()}
    driven["blink"] += 100
    driven["pose"][3, 0], driven["lip"][2], driven["expression"][1] = 20, 0.5, 0.8
    asked = []
    decode = session.method.decode
    session.method.decode = lambda identity, factors: asked.append(factors) or decode(identity, factors)
    moments = {name: furthest(track) for name, track in driven.items()}
    stills = columns(session.method, prepared.identity, driven, moments)
    assert len(stills) == len(asked) == len(FACTORS) + 1 + len(STEPS) == len(moments_shown(driven, moments))
    by_name = dict(zip(driven, asked, strict=False))
    assert by_name["pose"]["pose"][0, 0] == 20 and by_name["pose"]["lip"].max() == 0
    assert by_name["lip"]["lip"].max() == 0.5 and by_name["lip"]["pose"].abs().max() == 0
    blended = [float(a["expression"].max()) for a in asked[-len(STEPS) :]]
    assert np.allclose(np.diff(blended), np.diff(blended)[0]) and abs(blended[-1] - blended[0]) > 0.7


def test_a_sweep_shows_each_factor_alone_at_each_strength():
    session = FakeSession()
    prepared = session.prepare(Request(photo(), size=128, paste_back=False))
    driven = {"pose": torch.zeros(6, 6), "expression": torch.zeros(6, FACTORS["expression"].size)}
    driven["pose"][3, 0], driven["expression"][1] = 20, 0.4
    asked = []
    decode = session.method.decode
    session.method.decode = lambda identity, factors: asked.append(factors) or decode(identity, factors)
    stills = swept(session.method, prepared.identity, driven, {"pose": 3, "expression": 1})
    assert len(stills) == 2 * len(SWEEP)
    yaw, smile = ([float(a[name].flatten()[0]) for a in asked] for name in ("pose", "expression"))
    assert np.allclose(yaw[: len(SWEEP)], [20 * g for g in SWEEP]) and not any(yaw[len(SWEEP) :])
    assert np.allclose(smile[len(SWEEP) :], [0.4 * g for g in SWEEP]) and not any(smile[: len(SWEEP)])
