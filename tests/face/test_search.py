"""Photos on their side or upside down, with the bundled weights and an example portrait."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.face.drawn import DotAnalyser, DrawnFace, draw
from thgen.errors import ClipError
from thgen.face.crop import limit_side
from thgen.face.detect import CascadeDetector
from thgen.face.finder import FaceFinder
from thgen.face.search import Search, rotated
from thgen.schema import FPS
from thgen.weights import hub

PORTRAIT = Path(__file__).resolve().parents[2] / "examples" / "portrait_1.png"


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    torch.set_num_threads(1)
    return FaceFinder(hub.load_network("analyser"))


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    return limit_side(np.array(Image.open(PORTRAIT).convert("RGB")), 256)[0]


def test_turning_is_clockwise() -> None:
    photo = np.zeros((2, 3, 3), np.uint8)
    photo[0, 0] = 255
    assert [np.argwhere(rotated(photo, turn)[..., 0]).tolist() for turn in (0, 90, 180, 270)] == [
        [[0, 0]], [[0, 1]], [[1, 2]], [[2, 0]]
    ]  # fmt: skip


@pytest.mark.weights
@pytest.mark.parametrize(("lies", "turn"), [(270, 90), (90, 270), (180, 180)])
def test_a_lying_photo_is_turned_upright_and_not_searched_twice(
    finder: FaceFinder, portrait: np.ndarray, lies: int, turn: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lying = rotated(portrait, lies)
    upright = finder.upright(lying)
    assert upright.turn == turn and (upright.photo == portrait).all() and len(upright.faces) == 1
    assert "turned upright" in upright.warnings[0] and ("head" in upright.warnings[0]) == (turn == 180)
    monkeypatch.setattr(Search, "find", lambda *a, **k: pytest.fail("it is known where the faces are"))
    crop = finder.crop(upright.photo, 0, 64, upright.faces)
    assert abs(float(crop.analysis.pose[0, 2])) < 10


def test_an_upright_photo_costs_no_more_than_finding_its_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CascadeDetector, "propose", lambda self, photo, angle=0.0, mirrored=False: [])
    monkeypatch.setattr(Search, "turned", lambda *a, **k: pytest.fail("there is no need"))
    analyser = DotAnalyser()
    finder, photo = FaceFinder(analyser), draw(400, 420, [DrawnFace(200, 180, 60)])
    finder.faces(photo)
    first, analyser.calls = analyser.calls, 0
    upright = finder.upright(photo)
    assert upright.photo is photo and upright.turn == 0 and upright.warnings == () and len(upright.faces) == 1
    assert analyser.calls == first


def test_of_several_turns_the_surest_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    class Found:
        def __init__(self, confidence: float) -> None:
            self.confidence = confidence

    faces = iter([[Found(0.7)], [Found(0.8), Found(0.95)], []])
    monkeypatch.setattr(Search, "find", lambda self, photo, thorough: next(faces))
    turn, candidates = Search(None).turned(draw(100, 100, [DrawnFace(50, 50, 30)]))  # type: ignore[arg-type]
    assert turn == 270 and len(candidates) == 2


def test_a_photo_without_faces_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CascadeDetector, "propose", lambda self, photo, angle=0.0, mirrored=False: [])
    photo = draw(300, 300, [])
    photo[::9] = 200
    upright = FaceFinder(DotAnalyser()).upright(photo)
    assert upright.photo is photo and upright.turn == 0 and upright.faces == ()


def test_a_plain_photo_is_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CascadeDetector, "propose", lambda *a, **k: pytest.fail("there is nothing in it"))
    assert FaceFinder(DotAnalyser()).upright(np.full((200, 300, 3), 90, np.uint8)).faces == ()


@pytest.mark.parametrize(("turn", "message"), [(90, "lie on their side"), (180, "stand on their head")])
def test_a_lying_clip_is_refused_after_a_second_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, turn: int, message: str
) -> None:
    monkeypatch.setattr(Search, "find", lambda self, photo, thorough: [])
    monkeypatch.setattr(Search, "turned", lambda self, photo, thorough: (turn, []))
    frames = iter([draw(200, 200, [DrawnFace(100, 100, 50)])] * 3 * FPS)
    with pytest.raises(ClipError, match=f"{message}; turn the clip upright"):
        list(FaceFinder(DotAnalyser()).track(frames, 64))
    assert len(list(frames)) > FPS, "the rest is not watched"


def test_a_clip_that_begins_without_faces_is_tried_turned_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []
    monkeypatch.setattr(Search, "find", lambda self, photo, thorough: [])
    monkeypatch.setattr(Search, "turned", lambda self, photo, thorough: (tries.append(1), (0, []))[1])
    frames = [draw(200, 200, [DrawnFace(100, 100, 50)])] * 2 * FPS
    assert list(FaceFinder(DotAnalyser()).track(frames, 64)) == [None] * 2 * FPS
    assert len(tries) == 1
