"""Clips with spoilt frames, made from a moving example portrait. Spoilt frames are rejected, the others accepted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from tests.face.drawn import DotAnalyser, DrawnFace, draw
from thgen.face.belief import MIN_LIKENESS, Belief, _unit, face_patch, has_detail
from thgen.face.crop import Square, limit_side
from thgen.face.finder import FaceFinder
from thgen.face.observe import MIN_SCORE, Observer
from thgen.weights import hub

PORTRAIT = Path(__file__).resolve().parents[2] / "examples" / "portrait_1.png"
SIDE, FRAMES, SPOILT = 256, 12, slice(4, 8)
Spoil = Callable[[np.ndarray, Square], np.ndarray]


def test_plain_frames_have_no_detail() -> None:
    plain = [np.full((120, 200, 3), level, np.uint8) for level in (0, 118, 255)]
    noise = np.clip(np.random.default_rng(0).normal(6, 2, (120, 200, 3)), 0, 255).astype(np.uint8)
    assert not any(has_detail(frame) for frame in (*plain, noise))
    assert has_detail(draw(120, 200, [DrawnFace(100, 60, 30)]))


def test_patches_of_one_face_are_alike_wherever_it_is_and_in_any_light() -> None:
    one, other = DrawnFace(110, 120, 50), DrawnFace(230, 150, 70)
    first = _unit(face_patch(draw(300, 400, [one]), Square(110, 114, 160)))
    second = _unit(face_patch((0.4 * draw(300, 400, [other])).astype(np.uint8), Square(230, 141.6, 224)))
    aside = _unit(face_patch(draw(300, 400, [one]), Square(160, 114, 160)))
    assert first @ second > 0.95 and first @ aside < MIN_LIKENESS


def test_a_patch_outside_the_frame_is_plain() -> None:
    assert face_patch(draw(100, 100, []), Square(500, 50, 60)).std() == 0


def test_a_face_that_looks_as_before_is_believed_without_another_look() -> None:
    analyser = DotAnalyser()
    observer = Observer(analyser, torch.device("cpu"))
    frame, square = draw(300, 300, [DrawnFace(150, 150, 50)]), Square(150, 140, 160)
    belief, (observation,) = Belief(observer), observer.observe(frame, [square])
    assert belief.holds(frame, observation) and analyser.calls == 5  # the first time it is checked like a new face
    assert belief.holds(frame, observation) and analyser.calls == 5
    assert not belief.holds(np.zeros_like(frame), observation) and analyser.calls == 5


def test_a_face_found_elsewhere_must_be_surer_than_the_first_one() -> None:
    observer = Observer(DotAnalyser(), torch.device("cpu"))
    here, wall = draw(300, 300, [DrawnFace(150, 150, 50)]), draw(300, 300, [DrawnFace(150, 150, 14)])
    wall[:, ::7] = 255
    belief, (observation,) = Belief(observer), observer.observe(here, [Square(150, 140, 160)])
    assert belief.holds(here, observation, 0.7)
    assert not belief.holds(wall, observation, 0.72) and belief.holds(wall, observation, 0.9)


# ------------------------------------------------------------------------------------- with the bundled weights
@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    torch.set_num_threads(1)
    return FaceFinder(hub.load_network("analyser"))


@pytest.fixture(scope="module")
def clip(finder: FaceFinder) -> list[tuple[np.ndarray, Square]]:
    """Frames uint8 [256 205 3] of a head that moves, turns and comes nearer, and the square of its face."""
    photo = limit_side(np.array(Image.open(PORTRAIT).convert("RGB")), SIDE)[0]
    height, width = photo.shape[:2]
    frames = []
    for t in range(FRAMES):
        move = cv2.getRotationMatrix2D((width / 2, height / 2), 3 * np.sin(t / 3), 1 + 0.05 * np.sin(t / 2))
        move[:, 2] += [4 * np.sin(t / 2), 2 * np.cos(t / 2)]
        frames.append(cv2.warpAffine(photo, move, (width, height), borderMode=cv2.BORDER_REPLICATE))
    crops = list(finder.track(frames, 64))
    assert all(crop is not None for crop in crops)
    return [(frame, crop.analysed) for frame, crop in zip(frames, crops, strict=True) if crop]


def black(frame: np.ndarray, face: Square) -> np.ndarray:
    return np.clip(np.random.default_rng(0).normal(3, 2, frame.shape), 0, 255).astype(np.uint8)


def faded_to_black(frame: np.ndarray, face: Square) -> np.ndarray:
    return (0.04 * frame).astype(np.uint8)


def faded_to_white(frame: np.ndarray, face: Square) -> np.ndarray:
    return np.rint(255 - 0.04 * (255.0 - frame)).astype(np.uint8)


def title(frame: np.ndarray, face: Square) -> np.ndarray:
    card = np.zeros_like(frame)
    for line, y in (("CHAPTER 2", 100), ("The way home", 150)):
        cv2.putText(card, line, (12, y), cv2.FONT_HERSHEY_DUPLEX, 0.9, (235, 235, 235), 2, cv2.LINE_AA)
    return card


def noise(frame: np.ndarray, face: Square) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, frame.shape, dtype=np.uint8)


def covered(frame: np.ndarray, face: Square) -> np.ndarray:
    """A bright object, like a hand or a plate, covers the face."""
    place, axes = (round(face.x), round(face.y + 0.05 * face.side)), (round(0.4 * face.side), round(0.5 * face.side))
    return cv2.ellipse(frame.copy(), place, axes, 0, 0, 360, (240, 232, 226), -1, cv2.LINE_AA)


@pytest.mark.weights
@pytest.mark.parametrize("spoil", [black, faded_to_black, faded_to_white, title, noise, covered])
def test_spoilt_frames_are_lost_and_the_others_kept(finder: FaceFinder, clip: list, spoil: Spoil) -> None:
    spoilt = range(*SPOILT.indices(FRAMES))
    frames = [spoil(frame, face) if t in spoilt else frame for t, (frame, face) in enumerate(clip)]
    crops = list(finder.track(frames, 64))
    assert [t for t, crop in enumerate(crops) if crop is None] == list(spoilt)
    for crop, (_, face) in zip(crops, clip, strict=True):
        assert crop is None or crop.analysed.iou(face) > 0.8


@pytest.mark.weights
def test_a_flash_a_single_black_frame_and_a_freeze_harm_no_other_frame(finder: FaceFinder, clip: list) -> None:
    frames = [frame for frame, _ in clip]
    frames[2], frames[3] = np.full_like(frames[2], 255), np.full_like(frames[2], 250)
    frames[6] = np.zeros_like(frames[6])
    frames[8:11] = [frames[7]] * 3
    assert [t for t, crop in enumerate(finder.track(frames, 64)) if crop is None] == [2, 3, 6]


@pytest.mark.weights
@pytest.mark.parametrize(("spoil", "late"), [(black, 0), (title, 2)])
def test_a_clip_may_begin_without_its_face(finder: FaceFinder, clip: list, spoil: Spoil, late: int) -> None:
    """After black frames the face is found at once; after a title, which is searched, within three frames."""
    frames = [spoil(frame, face) if t < 4 else frame for t, (frame, face) in enumerate(clip)]
    valid = [crop is not None for crop in finder.track(frames, 64)]
    assert not any(valid[:4]) and all(valid[4 + late :])


@pytest.mark.weights
def test_without_the_check_black_is_a_face(finder: FaceFinder, clip: list) -> None:
    """The reason for the check: the analyser alone still reports a face."""
    frame, face = clip[0]
    observation = finder._observer.observe(np.zeros_like(frame), [face])[0]
    assert observation.score > MIN_SCORE and observation.settled()
