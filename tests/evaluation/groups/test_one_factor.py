"""One factor driven at a time: what is asked for, what is measured, what the table says of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.evaluation.stand_in import Constant
from tests.fake_method import FakeMethod
from thgen.evaluation.groups import one_factor
from thgen.evaluation.groups.one_factor import READ, RENDERS
from thgen.evaluation.scenes.speakers import STATE_FACTORS, Performance
from thgen.evaluation.subject import Subject
from thgen.face.observe import Observer
from thgen.methods.base import Identity
from thgen.schema import FACTORS


@pytest.fixture
def fake():
    return Subject(FakeMethod(), Observer(Constant(70), torch.device("cpu")))


def tracks():
    """The photo's own factors, and a driver that leaves them by 1 within eight frames."""
    own = {name: torch.zeros(1, factor.size) for name, factor in FACTORS.items()}
    own["blink"] += 100
    return own, {name: value + torch.linspace(0, 1, 8)[:, None] for name, value in own.items()}


@pytest.mark.parametrize("factor", STATE_FACTORS)
def test_only_the_driven_factor_moves(fake, factor):
    own, clip = tracks()
    target = one_factor.driven_alone(fake, Identity(torch.zeros(1), own, {}), factor, clip, {}, "stay").factors
    assert target[factor].std(0).max() > 0.1
    assert all(target[name].std(0).max() == 0 for name in own if name != factor)


def test_lips_come_from_the_voice(fake):
    own, clip = tracks()
    voice = {"lip": torch.full((8, FACTORS["lip"].size), 0.3)}
    target = one_factor.driven_alone(fake, Identity(torch.zeros(1), own, {}), "lip", clip, voice, "stay").factors
    torch.testing.assert_close(target["lip"], voice["lip"])


def test_each_factor_of_a_method_is_driven_once(fake, monkeypatch):
    """A method's own factors are driven, too. What moves is read from the pictures that were made for each."""
    size, frames = 64, 9
    grey = np.full((frames, size, size, 3), 90, np.uint8)
    act = Performance(grey[0], np.zeros((68, 2)), grey, np.zeros(frames * 640, np.float32), {})
    clip = fake.method.encode_clip
    fake.method.encode_clip = lambda crops: clip(crops) | {"mood": torch.zeros(frames, 1)}
    asked = []
    monkeypatch.setattr(one_factor, "driven_alone", lambda s, i, factor, *rest: asked.append(factor))
    monkeypatch.setattr(Subject, "pictures", lambda self, identity, target, every: len(asked))
    moved = lambda observer, images, points: {n: np.array([[-images], [images]]) for n in READ}  # noqa: E731
    monkeypatch.setattr(one_factor, "read_factors", moved)
    found = one_factor.measure("fake", fake, act, fake.observer)
    assert asked == [*STATE_FACTORS, "mood"]
    assert found["drives lip"].tolist() == [1] * 5 and found["drives mood"].tolist() == [6] * 5


def person(**moved: list[float]) -> dict[str, np.ndarray]:
    return {f"drives {name}": np.array(values, float) for name, values in moved.items()}


def test_own_to_leak_is_that_of_the_means():
    people = [person(lip=[4, 1, 1, 1, 1], pose=[2, 9, 3, 0, 5]), person(lip=[2, 1, 1, 1, 1], pose=[1, 9, 3, 0, 5])]
    mouth, pose, lids, *_ = one_factor.rows("rig", people)
    assert mouth[""] == "rig: mouth" and mouth["drives lip"] == 3 and mouth["own : leak"] == pytest.approx(3 / 1.5)
    assert pose["own : leak"] == pytest.approx(9) and lids["own : leak"] is None, "it has no such factor"
    assert one_factor.ratios({RENDERS: people})[RENDERS] == dict.fromkeys(READ) | {
        "lip": pytest.approx(2), "pose": pytest.approx(9),
    }  # fmt: skip


def test_a_single_factor_leaks_into_nothing():
    (mouth, *_) = one_factor.rows("own", [person(speech=[1, 2, 3, 4, 5])])
    assert mouth["drives speech"] == 1 and mouth["own : leak"] is None
