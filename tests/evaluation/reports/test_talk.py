"""People who speak: what is driven by what, and what the table says about the truth and about a photo."""

import numpy as np
import pytest
import torch

from tests.evaluation.stand_in import Constant
from tests.fake_method import FakeMethod
from tests.hidden import recorded_voices
from thgen.__main__ import main
from thgen.errors import ControlError
from thgen.evaluation.reports import talk
from thgen.evaluation.scenes.speakers import Talk
from thgen.evaluation.subject import Subject
from thgen.face.observe import Observer
from thgen.methods.base import Decoded
from thgen.synth.head.ellipsoid import ellipsoid_head

SIZE = 64


class Watched(FakeMethod):
    """A voice opens the lips by a quarter; a clip turns the head frame by frame. Keeps what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[dict] = []

    def encode_audio(self, samples, frames):
        self.voice = samples
        return {"lip": torch.full((frames, 21), 0.25)}

    def encode_clip(self, crops):
        tracks = super().encode_clip(crops)
        steps = torch.arange(len(tracks["pose"]), dtype=torch.float32)
        tracks["pose"][:, 0] = 3 + steps
        tracks["expression"][:] = 0.02 * steps[:, None]
        tracks["lip"][:] = 0.9
        return tracks

    def decode(self, identity, window, sliders=None):
        self.asked.append(window)
        count = len(window["lip"])
        return Decoded(identity.image.expand(count, -1, -1, -1), torch.ones(count, 1, SIZE, SIZE))


@pytest.fixture
def spoken():
    frames = np.random.default_rng(0).integers(0, 256, (13, SIZE, SIZE, 3), dtype=np.uint8)
    clip = type("Clip", (), {"frames": frames})
    return Talk(clip, np.linspace(-0.1, 0.1, 13 * 640, dtype=np.float32))


def asked_of(spoken, held=()):
    method = Watched()
    made = talk.self_driven(Subject(method, Observer(Constant(70), torch.device("cpu"))), spoken, held)
    assert made.shape == (5, SIZE, SIZE, 3) and method.voice is spoken.voice
    return {name: torch.cat([window[name] for window in method.asked]) for name in method.asked[0]}


def test_lips_follow_the_voice_and_all_else_the_clip(spoken):
    asked = asked_of(spoken)
    assert torch.allclose(asked["lip"], torch.tensor(0.25)), "counted from the closed mouth"
    assert asked["pose"][:, 0].tolist() == pytest.approx([3 + t for t in range(0, 13, talk.EVERY)])
    assert asked["expression"][-1, 0] == pytest.approx(0.24)


def test_what_is_held_stays_as_in_the_first_frame(spoken):
    asked = asked_of(spoken, ("expression",))
    assert not asked["expression"].any() and asked["pose"][:, 0].std() > 1


def test_a_factor_that_the_method_lacks_cannot_be_held(fake):
    with pytest.raises(ControlError, match="no factor 'mood'"):
        talk.measure([fake], fake.observer, 1, 10, SIZE, ("mood",), ellipsoid_head())


@pytest.fixture
def fake():
    return Subject(FakeMethod(), Observer(Constant(70), torch.device("cpu")))


@pytest.mark.parametrize("what", ["talk", "variance"])
def test_missing_voices_are_named_before_anything_is_rendered(what, tmp_path, capsys):
    with recorded_voices(False):
        assert main(["evaluate", what, "--voices", "all", "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.count("package-of-") == 15, "all of the set, not the first that is drawn"
    assert not list(tmp_path.iterdir())


@pytest.mark.weights
def test_the_truth_is_nearest_and_its_own_distance_is_zero(rig):
    pytest.importorskip("espeakng_loader")
    report = talk.measure([rig], rig.observer, 1, 10, 96, mesh=ellipsoid_head())
    assert report.settings["voices"] == "espeak" and report.name == "talk"
    rows = {row[""]: row for row in report.rows}
    assert list(rows) == [talk.COPY, "rig", talk.TRUE]
    assert rows[talk.TRUE]["FD"] == pytest.approx(0, abs=1e-6) and rows[talk.COPY]["FD"] > 1e-4
    assert rows[talk.COPY]["lips r"] is None, "a photo's lips do not move"
    assert all(np.isfinite(v) for v in rows["rig"].values() if not isinstance(v, str))
