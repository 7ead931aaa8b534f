from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from tests.face.drawn import TEMPLATE, DotAnalyser, DrawnFace, draw
from thgen.face.crop import ANALYSER, Square, landmark_square
from thgen.face.observe import BATCH, MIRROR_68, Observer, mirrored_back, take


@pytest.fixture
def observer(analyser: DotAnalyser) -> Observer:
    return Observer(analyser, torch.device("cpu"))


def test_mirroring_twice_is_the_identity() -> None:
    assert (MIRROR_68[MIRROR_68] == np.arange(68)).all()
    assert MIRROR_68[36] == 45 and MIRROR_68[48] == 54 and MIRROR_68[0] == 16 and MIRROR_68[30] == 30


def test_two_looks_move_a_rough_proposal_onto_the_face(observer: Observer) -> None:
    face = DrawnFace(210.3, 190.8, 60)
    photo = draw(400, 420, [face])
    rough = Square(face.x + 35, face.y - 30, 260)
    (candidate,) = observer.refine(photo, [rough])
    assert np.abs(candidate.landmarks - face.landmarks).max() < 0.1
    assert candidate.observation.next_square.iou(landmark_square(face.landmarks, ANALYSER)) > 0.99
    assert (
        candidate.observation.settled()
        and candidate.score > 0.9
        and candidate.doubt < 0.005
        and candidate.confidence > 0.9
    )


def test_nothing_is_accepted_where_nothing_is(observer: Observer) -> None:
    photo = draw(300, 300, [])
    assert observer.refine(photo, [Square(150, 150, 200), Square(60, 60, 90)]) == []


def test_a_look_whose_landmarks_want_another_square_has_not_settled(observer: Observer) -> None:
    face = DrawnFace(200, 200, 50)
    photo = draw(400, 400, [face])
    far = observer.observe(photo, [Square(200 + 60, 200, 200)])[0]
    assert not far.settled()


class Stubborn(DotAnalyser):
    """Returns the same confident answer for every crop, so its landmarks move with the framing."""

    shape = np.zeros((68, 2))

    def _read(self, image: np.ndarray) -> tuple[np.ndarray, float]:
        return self.shape, 9.0


def answer(offset: float) -> np.ndarray:
    """Landmarks that fill the analyser's framing, with features shifted sideways by `offset`."""
    out = TEMPLATE / 1.6
    out[17:, 0] += offset
    return out - (out.min(0) + out.max(0)) / 2 + [0, 0.12]


def test_an_answer_that_goes_with_the_frame_is_refused() -> None:
    analyser = Stubborn()
    analyser.shape = answer(0)
    observer = Observer(analyser, torch.device("cpu"))
    photo, square = draw(300, 300, []), Square(150, 150, 120)
    (observation,) = observer.observe(photo, [square])
    assert observation.settled() and observation.score > 0.9
    (candidate,) = observer.recheck(photo, [observation])
    assert candidate.score > 0.9 and candidate.doubt > 0.08
    assert observer.refine(photo, [square]) == []


def test_an_answer_that_does_not_turn_with_the_picture_is_doubted_more() -> None:
    photo, square = draw(300, 300, []), Square(150, 150, 120)
    doubts = []
    for offset in (0.0, 0.3):
        analyser = Stubborn()
        analyser.shape = answer(offset)
        observer = Observer(analyser, torch.device("cpu"))
        doubts.append(observer.recheck(photo, observer.observe(photo, [square]))[0].doubt)
    assert doubts[1] > doubts[0] + 0.03


def test_a_mirrored_look_tells_the_same_landmarks(observer: Observer) -> None:
    face = DrawnFace(150.2, 160.6, 50)
    photo = draw(300, 300, [face])
    (observation,) = observer.observe(photo, [Square(160, 150, 170)], mirrored=True)
    assert np.abs(mirrored_back(observation) - face.landmarks).max() < 0.3


def test_batches_give_the_answers_of_single_crops(observer: Observer) -> None:
    face = DrawnFace(200, 200, 60)
    photo = draw(400, 400, [face])
    squares = [Square(200 + d, 200, 220) for d in range(-40, 41)]
    together = observer.observe(photo, squares)
    alone = [observer.observe(photo, [s])[0] for s in squares]
    for a, b in zip(together, alone, strict=True):
        assert np.allclose(a.keypoints, b.keypoints) and a.score == b.score
    assert observer.observe(photo, []) == []


def test_crops_exist_for_one_batch_at_a_time(observer: Observer, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    analyse = Observer.analyse
    monkeypatch.setattr(Observer, "analyse", lambda self, crops: (sizes.append(len(crops)), analyse(self, crops))[1])
    observations = observer.observe(draw(200, 200, []), [Square(100, 100, 50)] * (2 * BATCH + 3))
    assert sizes == [BATCH, BATCH, 3] and len(observations) == 2 * BATCH + 3


def test_take_cuts_every_field(observer: Observer) -> None:
    analysis = observer.analyse(torch.zeros(5, 3, 128, 128, dtype=torch.uint8))
    part = take(analysis, slice(2, 4))
    assert all(len(getattr(part, f.name)) == 2 for f in dataclasses.fields(part))
