from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from thgen.preprocess.crop import ANALYSER, Square, landmark_square
from thgen.preprocess.look import MIRROR_68, Looker, mirror_error, take

from .drawn import TEMPLATE, DotAnalyser, DrawnFace, draw


@pytest.fixture
def looker(analyser: DotAnalyser) -> Looker:
    return Looker(analyser, torch.device("cpu"))


def test_mirroring_twice_is_the_identity() -> None:
    assert (MIRROR_68[MIRROR_68] == np.arange(68)).all()
    assert MIRROR_68[36] == 45 and MIRROR_68[48] == 54 and MIRROR_68[0] == 16 and MIRROR_68[30] == 30


def test_two_looks_move_a_rough_proposal_onto_the_face(looker: Looker) -> None:
    face = DrawnFace(210.3, 190.8, 60)
    photo = draw(400, 420, [face])
    rough = Square(face.x + 35, face.y - 30, 260)
    (look,) = looker.refine(photo, [rough])
    assert np.abs(look.landmarks - face.landmarks).max() < 0.1
    assert look.next_square.iou(landmark_square(face.landmarks, ANALYSER)) > 0.99
    assert look.settled() and look.score > 0.9


def test_nothing_is_accepted_where_nothing_is(looker: Looker) -> None:
    photo = draw(300, 300, [])
    assert looker.refine(photo, [Square(150, 150, 200), Square(60, 60, 90)]) == []


def test_a_look_whose_landmarks_want_another_square_has_not_settled(looker: Looker) -> None:
    face = DrawnFace(200, 200, 50)
    photo = draw(400, 400, [face])
    far = looker.looks(photo, [Square(200 + 60, 200, 200)])[0]
    assert not far.settled()


def test_an_answer_that_does_not_turn_with_the_picture_is_refused(looker: Looker, analyser: DotAnalyser) -> None:
    """A network that says the same lop-sided thing to every picture is confident and settled, but not consistent."""
    lopsided = (TEMPLATE + np.array([0.35, 0])) * [0.7, 0.6]

    class Stubborn(DotAnalyser):
        @staticmethod
        def _read(image: np.ndarray) -> tuple[np.ndarray, float]:
            shape = lopsided / np.ptp(lopsided[:, 1]) * 1.25
            return shape - (shape.min(0) + shape.max(0)) / 2 + [0.06, 0.12] + TEMPLATE[MIRROR_68][:, :1] * 0, 9.0

    stubborn = Looker(Stubborn(), torch.device("cpu"))
    photo = draw(300, 300, [])
    square = Square(150, 150, 120)
    look = stubborn.looks(photo, [square])[0]
    mirrored = stubborn.looks(photo, [square], mirrored=True)[0]
    assert look.settled() and look.score > 0.9
    assert mirror_error(look, mirrored) > 0.02


def test_mirror_error_is_zero_for_a_faithful_analyser(looker: Looker) -> None:
    face = DrawnFace(150.2, 160.6, 50)
    photo = draw(300, 300, [face])
    square = Square(160, 150, 170)
    look = looker.looks(photo, [square])[0]
    assert mirror_error(look, looker.looks(photo, [square], mirrored=True)[0]) < 0.005


def test_batches_give_the_answers_of_single_crops(looker: Looker) -> None:
    face = DrawnFace(200, 200, 60)
    photo = draw(400, 400, [face])
    squares = [Square(200 + d, 200, 220) for d in range(-40, 41)]
    together = looker.looks(photo, squares)
    alone = [looker.looks(photo, [s])[0] for s in squares]
    for a, b in zip(together, alone, strict=True):
        assert np.allclose(a.keypoints, b.keypoints) and a.score == b.score
    assert looker.looks(photo, []) == []


def test_take_cuts_every_field(looker: Looker) -> None:
    analysis = looker.analyse(torch.zeros(5, 3, 128, 128, dtype=torch.uint8))
    part = take(analysis, slice(2, 4))
    assert all(len(getattr(part, f.name)) == 2 for f in dataclasses.fields(part))
