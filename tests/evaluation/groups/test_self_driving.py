"""People who speak: what is driven by what, and what the numbers say about the truth and about a photo."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.evaluation.stand_in import Constant
from tests.fake_method import FakeMethod
from thgen.evaluation.groups import self_driving
from thgen.evaluation.groups.self_driving import COPY, EVERY, FRAMES, TRUE
from thgen.evaluation.metrics.appearance import MS_SSIM_SIDE
from thgen.evaluation.scenes.speakers import Talk, talks
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

    def decode(self, identity, window, sliders=None) -> Decoded:
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
    subject = Subject(method, Observer(Constant(70), torch.device("cpu")))
    made = self_driving.self_driven(subject, spoken, held)
    assert made.shape == (4, SIZE, SIZE, 3) and method.voice is spoken.voice
    return {name: torch.cat([window[name] for window in method.asked]) for name in method.asked[0]}


def test_lips_follow_the_voice_and_all_else_the_clip(spoken):
    asked = asked_of(spoken)
    assert torch.allclose(asked["lip"], torch.tensor(0.25)), "counted from the closed mouth"
    assert asked["pose"][:, 0].tolist() == pytest.approx([3 + t for t in (3, 6, 9, 12)]), "without the photo"
    assert asked["expression"][-1, 0] == pytest.approx(0.24)


def test_what_is_held_stays_as_in_the_first_frame(spoken):
    asked = asked_of(spoken, ("expression",))
    assert not asked["expression"].any() and asked["pose"][:, 0].std() > 1


@pytest.fixture(scope="module")
def results():
    """Scores of a person who speaks: of the photo and of the true frames, read by an analyser that sees nothing."""
    pytest.importorskip("espeakng_loader")
    observer = Observer(Constant(70), torch.device("cpu"))
    observer.analyser.features = lambda x: [torch.zeros(1)] * 3 + [x.mean((2, 3), keepdim=True), x[:, :2, :1, :1]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("thgen.evaluation.metrics.features.Analyser", Constant)
        people = list(talks([0], 10, MS_SSIM_SIDE, ellipsoid_head()))
        return {row: [self_driving.measure(row, None, talk, observer) for talk in people] for row in (COPY, TRUE)}


def test_the_true_frames_are_like_themselves_and_the_photo_is_not(results):
    copy, true = self_driving.rows(results)
    assert [row[""] for row in (copy, true)] == [COPY, TRUE]
    assert true["SSIM"] == pytest.approx(1) == true["MS-SSIM"] and not np.isfinite(true["PSNR dB"])
    assert 0 < copy["SSIM"] < 0.999 and 0 < copy["MS-SSIM"] < 0.999 and 5 < copy["PSNR dB"] < 60
    assert copy["FD"] > 1e-6 > abs(true["FD"])
    assert copy["lips r"] is None, "a photo's lips do not move"
    assert set(FRAMES) < set(copy)


def test_every_measured_frame_has_a_number(results):
    for person in results[COPY]:
        assert all(len(person[name]) == len(range(EVERY, 10, EVERY)) for name in FRAMES)
        ratio = person["LMD px"] / person["LMD %"]  # px of a percent of the distance between the eyes
        np.testing.assert_allclose(ratio, person["LMD mouth px"] / person["LMD mouth %"], rtol=1e-6)


def test_small_pictures_have_no_five_scales():
    pytest.importorskip("espeakng_loader")
    observer = Observer(Constant(70), torch.device("cpu"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(self_driving, "face_features", lambda *args: np.zeros((2, 3)))
        (talk,) = talks([0], 7, SIZE, ellipsoid_head())
        found = self_driving.measure(COPY, None, talk, observer)
    assert np.isnan(found["MS-SSIM"]).all() and np.isfinite(found["SSIM"]).all()
