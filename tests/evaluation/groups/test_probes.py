"""What leaks: which codes and truths a person gives, and what the rows say of codes that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.evaluation.stand_in import Constant
from tests.fake_method import FakeMethod
from thgen.evaluation.groups import probes
from thgen.evaluation.groups.probes import EVERY, PROBED, TRUTH
from thgen.evaluation.scenes.speakers import Talk
from thgen.evaluation.subject import Subject
from thgen.face.observe import Observer
from thgen.schema import COEFFICIENT_INDEX, FACTORS

FRAMES, SIZE = 13, 64


def talk() -> Talk:
    rng = np.random.default_rng(0)
    arrays = {
        "frames": rng.integers(0, 256, (FRAMES, SIZE, SIZE, 3), dtype=np.uint8), "pose": rng.normal(size=(FRAMES, 6)),
        "coefficients": rng.normal(size=(FRAMES, 57)), "gaze": rng.normal(size=(FRAMES, 2, 2)),
        "openness": rng.normal(size=(FRAMES, 2)),
    }  # fmt: skip
    return Talk(type("Clip", (), arrays), np.zeros(1))


def test_a_method_gives_its_latents_and_the_clip_its_truth():
    method, spoken = FakeMethod(), talk()
    method.latents = lambda crops: method.encode_clip(crops) | {"look": torch.arange(FRAMES)[:, None]}
    found = probes.measure("fake", Subject(method, Observer(Constant(70), torch.device("cpu"))), spoken, None)
    assert {k.removeprefix("code ") for k in found if k.startswith("code ")} == {*FACTORS, "look"}
    assert {k.removeprefix("true ") for k in found if k.startswith("true ")} == set(PROBED)
    assert found["code look"][:, 0].tolist() == list(range(0, FRAMES, EVERY))
    np.testing.assert_allclose(found["true pose"], spoken.clip.pose[::EVERY, :3], rtol=1e-6)
    np.testing.assert_allclose(found["true gaze"], spoken.clip.gaze[::EVERY].mean(1), rtol=1e-6)
    jaw = spoken.clip.coefficients[::EVERY, COEFFICIENT_INDEX["jawOpen"]]
    assert any(np.allclose(column, jaw) for column in found["true lips"].T)


def test_the_truth_holds_itself():
    found = probes.measure(TRUTH, None, talk(), None)
    assert {k.removeprefix("code ") for k in found if k.startswith("code ")} == set(FACTORS)
    assert found["code lip"].shape == found["true lips"].shape == (5, FACTORS["lip"].size)
    np.testing.assert_array_equal(found["code pose"][:, :3], found["true pose"])


def test_rows_say_what_each_code_holds():
    rng = np.random.default_rng(1)
    people = []
    for _ in range(12):
        truth = {f"true {name}": rng.normal(size=(20, 2)) for name in PROBED}
        who = np.tile(5 * rng.normal(size=8), (20, 1)) + rng.normal(size=(20, 8))
        people.append({"code turn": truth["true pose"] + 0.0, "code look": who} | truth)
    turn, look = probes.rows("toy", people)
    assert turn[""] == "toy: turn (2)" and look[""] == "toy: look (8)"
    assert turn["pose R²"] > 0.99 and max(turn[f"{name} R²"] for name in PROBED[1:]) < 0.05
    assert turn["R² by chance"] < 0.05
    assert look["identity %"] > 90 and turn["identity %"] < 25
    assert look["identity by chance %"] == pytest.approx(100 / 12)
