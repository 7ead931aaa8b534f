"""A method under test: what it gets, what its targets are, and which of its frames are measured."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.evaluation.stand_in import Constant
from tests.fake_method import FakeMethod
from thgen.errors import ControlError
from thgen.evaluation.subject import CHUNK, HELD, Subject, load, without_idle
from thgen.face.observe import Observer
from thgen.methods import METHODS
from thgen.methods.base import Decoded, Identity
from thgen.pipeline import Targets, targets
from thgen.schema import FACTORS, LIP_COEFFICIENTS

SOURCES = Path(__file__).parents[2] / "thgen/evaluation"
SIZE = 64
SMILE, JAW = 5, LIP_COEFFICIENTS.index("jawOpen")


class Watched(FakeMethod):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.crops: list[tuple] = []
        self.asked: list[tuple] = []

    def encode_clip(self, crops):
        self.crops.append(tuple(crops))
        return super().encode_clip(self.crops[-1])

    def decode(self, identity, window, sliders=None) -> Decoded:
        self.asked.append((window, sliders))
        return super().decode(identity, window, sliders)


@pytest.fixture
def subject() -> Subject:
    return Subject(Watched(), Observer(Constant(70), torch.device("cpu")))


def frames(count: int) -> np.ndarray:
    """uint8 [count SIZE SIZE 3], each brighter than the one before."""
    return np.stack([np.full((SIZE, SIZE, 3), 20 + 10 * k, np.uint8) for k in range(count)])


@pytest.mark.parametrize("name", list(METHODS))
def test_nothing_moves_by_itself(name: str) -> None:
    method = METHODS[name]
    controls = without_idle(method, "absolute")
    assert not any(controls.is_idle(factor) for factor in method.factors)
    assert controls.motion == ("absolute" if method.relative else "relative"), "latents without it have no other motion"


def test_what_a_method_lacks_is_refused() -> None:
    with pytest.raises(ControlError, match="canonical position"):
        without_idle(METHODS["rig"], undriven="zero")
    assert without_idle(METHODS["pd_fgc"], undriven="zero").undriven == "zero"
    with pytest.raises(ControlError, match="no sliders"):
        without_idle(METHODS["pd_fgc.paper"], values={"pose.yaw": 10})


def test_the_method_gets_analysed_crops_of_its_size(subject: Subject) -> None:
    subject.clip(frames(3))
    (crops,) = subject.method.crops
    assert [c.image.shape[0] for c in crops] == [METHODS["rig"].clip_size] * 3
    assert all(c.keypoints.shape == (70, 3) and c.analysis is not None for c in crops)
    assert subject.photo(frames(1)[0]).image.shape == (1, 3, SIZE, SIZE), "photos keep their size"


def test_latents_are_the_factors_of_a_clip_where_a_method_says_nothing_else(subject: Subject) -> None:
    found = subject.latents(frames(3))
    (crops,) = subject.method.crops
    assert [c.image.shape[0] for c in crops] == [METHODS["rig"].clip_size] * 3
    assert {name: values.shape for name, values in found.items()} == {n: (3, f.size) for n, f in FACTORS.items()}
    assert found["pose"][:, 0].tolist() == [10, 15, 20]


def test_states_are_held_in_one_clip(subject: Subject) -> None:
    states = subject.states(frames(3))
    assert [len(crops) for crops in subject.method.crops] == [4 * HELD], "the first is held as long as all others"
    assert states["pose"][:, 0].tolist() == [10, 15, 20]


def own_and_states() -> tuple[Identity, dict[str, torch.Tensor]]:
    """A person at rest, and four states of a driver, the first of which is neither at rest nor straight ahead."""
    own = {name: torch.zeros(1, factor.size) for name, factor in FACTORS.items()}
    own["blink"] += 90
    own["pose"][0] = torch.tensor([5.0, 1, 2, 0.1, 0.2, 0])
    states = {name: torch.zeros(4, factor.size) for name, factor in FACTORS.items()}
    states["blink"] += torch.tensor([80.0, 40, 120, 0])[:, None]
    states["pose"][:, 0] = torch.tensor([10.0, 30, -20, 0])
    states["pose"][:, 3] = torch.tensor([0.3, 0.4, 0.3, 0.3])
    states["expression"][:, SMILE] = torch.tensor([0.2, 0.9, 0.2, 0.5])
    states["lip"][:, JAW] = torch.tensor([0.1, 0.1, 0.7, 0.4])
    return Identity(torch.zeros(1, 3, SIZE, SIZE), own, {}), states


def test_relative_motion_counts_from_the_drivers_first_state(subject: Subject) -> None:
    identity, states = own_and_states()
    target = subject.reenact(identity, states, "relative").factors
    assert target["pose"][:, 0].tolist() == pytest.approx([25, -25, -5])
    assert target["pose"][:, 3].tolist() == pytest.approx([0.2, 0.1, 0.1])
    assert target["expression"][:, SMILE].tolist() == pytest.approx([0.7, 0, 0.3])
    assert target["lip"][:, JAW].tolist() == pytest.approx([0, 0.6, 0.3])
    assert target["blink"][:, 0].tolist() == pytest.approx([45, 135, 0]), "lids are scaled by the change"


def test_a_driver_whose_eyes_are_closed_at_first_still_has_finite_lids(subject: Subject) -> None:
    identity, states = own_and_states()
    states["blink"][0] = 0
    blink = subject.reenact(identity, states, "relative").factors["blink"]
    assert torch.isfinite(blink).all() and blink[1].min() > 100 and blink[2].max() == 0


def test_absolute_motion_takes_the_values_but_the_heads_place(subject: Subject) -> None:
    identity, states = own_and_states()
    target = subject.reenact(identity, states, "absolute").factors
    for name in ("expression", "lip", "blink", "gaze"):
        torch.testing.assert_close(target[name], states[name][1:])
    torch.testing.assert_close(target["pose"][:, :3], states["pose"][1:, :3])
    assert target["pose"][:, 3].tolist() == pytest.approx([0.2, 0.1, 0.1])


def test_targets_are_those_of_the_pipeline(subject: Subject) -> None:
    """The method's own `finish` acts on them, and what sliders make of latents comes along."""
    identity, states = own_and_states()
    subject.method.finish = lambda identity, track: track | {"pose": track["pose"] + 100}
    measured = replace(identity, measured=identity.own)
    target = subject.reenact(measured, states, "absolute")
    assert (target.factors["pose"][:, 0] > 60).all()
    assert target.sliders is not None and len(target.sliders["pose"]) == 3
    torch.testing.assert_close(target.sliders["blink"], identity.own["blink"].expand(3, -1))


def test_every_third_frame_is_decoded_a_few_at_a_time(subject: Subject) -> None:
    identity = subject.photo(frames(1)[0])
    whole = targets(subject.method, identity, without_idle(METHODS["rig"]), frames=20)
    whole.factors["pose"] = whole.factors["pose"].clone()
    whole.factors["pose"][:, 0] = torch.arange(20)
    sliders = {"pose": whole.factors["pose"] + 1}
    made = subject.pictures(identity, Targets(whole.factors, sliders), 3)
    assert made.shape == (7, SIZE, SIZE, 3)
    assert max(len(window["pose"]) for window, _ in subject.method.asked) == CHUNK
    assert torch.cat([window["pose"] for window, _ in subject.method.asked])[:, 0].tolist() == list(range(0, 20, 3))
    assert torch.cat([s["pose"] for _, s in subject.method.asked])[:, 0].tolist() == list(range(1, 21, 3))


def test_flow_comes_in_the_size_asked_for_or_not_at_all(subject: Subject) -> None:
    identity = subject.photo(frames(1)[0])
    target = targets(subject.method, identity, without_idle(METHODS["rig"]), frames=5)
    assert subject.pictures_and_flow(identity, target, 32)[1] is None
    plain = subject.method.decode
    subject.method.decode = lambda *args: replace(
        plain(*args), flow=torch.ones(len(args[1]["pose"]), 2, 8, 8) * torch.tensor([0.5, -0.25])[:, None, None]
    )
    pictures, flow = subject.pictures_and_flow(identity, target, 32)
    assert pictures.shape == (5, SIZE, SIZE, 3) and flow.shape == (5, 32, 32, 2)
    assert np.allclose(flow, [0.5, -0.25])


@pytest.mark.weights
def test_methods_that_are_loaded_together_share_their_networks() -> None:
    first, second = load(["rig", "pd_fgc"], "cpu")
    assert first.observer is second.observer and first.method.generator.analyser is first.observer.analyser
    assert first.method.generator.flow is second.method.generator.flow
    assert first.weights[0] == "analyser" and len(set(second.weights)) == len(second.weights)


def test_a_device_that_is_not_here_is_refused() -> None:
    with pytest.raises(ControlError, match="no device 'abacus'"):
        load(["rig"], "abacus")


@pytest.mark.parametrize("path", sorted(SOURCES.rglob("*.py")), ids=lambda path: path.relative_to(SOURCES).as_posix())
def test_targets_come_from_the_pipeline_and_reports_stand_alone(path: Path) -> None:
    """No module builds targets or crops of its own, and no report or sheet uses another one."""
    text = path.read_text(encoding="utf-8")
    assert "thgen.controls" not in text and "import controls" not in text
    assert "FaceCrop(" not in text or path.name == "crops.py"
    if path.parent.name in ("reports", "sheets"):
        used = set(re.findall(r"thgen\.evaluation\.(reports|sheets)\.(\w+)", text))
        assert used <= {("sheets", "grid")}
