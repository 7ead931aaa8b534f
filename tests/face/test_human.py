"""Which faces are human. Animals are made from a portrait whose features move to the places of a monkey's."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from tests.face.drawn import TEMPLATE, FakeAnalysis
from thgen.face.crop import ANALYSER, Square, landmark_square, limit_side
from thgen.face.finder import FaceFinder
from thgen.face.human import HUMAN, MOST_STRANGE, SPREAD, face_per_eyes, strangeness
from thgen.face.observe import Candidate
from thgen.weights import hub

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "real"
MONKEY = [Square(470 + dx, 248, 255) for dx in (-12, 0, 12)]  # about its face, px of its photo


def analysis(points: np.ndarray) -> FakeAnalysis:
    """points [68 2 or 3] -> an analysis with these keypoints."""
    flat = torch.from_numpy(points).float()
    keypoints = torch.cat([flat, torch.zeros(68, 3 - flat.shape[1])], 1)[None]
    return FakeAnalysis(keypoints, *(torch.zeros(1, n) for n in (3, 4, 2, 57, 1)))


def test_a_face_is_measured_by_the_distance_of_its_eyes_however_it_is_turned_and_large() -> None:
    points = np.concatenate([TEMPLATE, np.random.default_rng(0).normal(0, 0.1, (68, 1))], 1)
    plain = face_per_eyes(analysis(points))[0]
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    assert face_per_eyes(analysis(3 * points @ turn.T + 0.3))[0] == pytest.approx(plain, abs=1e-5)
    near = points.copy()
    near[[36, 45]] = points[[36, 45]].mean(0) + 0.8 * (points[[36, 45]] - points[[36, 45]].mean(0))
    assert face_per_eyes(analysis(near))[0] - plain == pytest.approx(-math.log(0.8), abs=1e-5)


def test_a_face_without_any_size_is_measured_all_the_same() -> None:
    assert np.isfinite(face_per_eyes(analysis(np.zeros((68, 2))))).all()


def test_close_eyes_are_believed_when_the_analyser_is_sure_and_doubt_when_they_are_as_usual() -> None:
    close = HUMAN + 2.5 * SPREAD
    assert strangeness(close, 0.999) < MOST_STRANGE < strangeness(close, 0.97)
    assert strangeness(HUMAN, 0.9) < MOST_STRANGE
    assert math.isfinite(strangeness(close, 1.0)) and math.isfinite(strangeness(close, 0.0))


@pytest.mark.parametrize(
    ("score", "doubt", "per_eyes", "human"),
    [
        (0.97, 0.018, HUMAN, True),
        (0.97, 0.018, HUMAN + 2.5 * SPREAD, False),  # a monkey's proportions
        (0.83, 0.042, HUMAN, False),  # a giraffe's hind legs: landmarks depend on the crop
    ],
)
def test_proportions_and_doubt_both_refuse(score: float, doubt: float, per_eyes: float, human: bool) -> None:
    assert Candidate(None, TEMPLATE, score, doubt, per_eyes).human is human  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    torch.set_num_threads(1)
    return FaceFinder(hub.load_network("analyser"))


def read(path: Path) -> np.ndarray:
    return np.array(Image.open(path).convert("RGB"))


def animal(photo: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """A person uint8 [H W 3] with the eyes of a monkey (a quarter closer), its muzzle (a third wider) and fur."""
    height, width = photo.shape[:2]
    y, x = (a.astype(np.float32) for a in np.mgrid[:height, :width])
    across = np.linalg.norm(landmarks[45] - landmarks[36])
    eyes, muzzle = landmarks[36:48].mean(0), landmarks[[31, 35, 48, 54]].mean(0)
    for place, wider, reach in ((eyes, 0.75, (0.75, 0.33)), (muzzle, 1.35, (0.62, 0.6))):
        away = ((x - place[0]) / (reach[0] * across)) ** 2 + ((y - place[1]) / (reach[1] * across)) ** 2
        moved = x + np.exp(-(away**2)) * (1 / wider - 1) * (x - place[0])
        photo = cv2.remap(photo, moved.astype(np.float32), y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    noise = np.random.default_rng(0).standard_normal((height, width)).astype(np.float32)
    streaks = cv2.blur(noise, (1, 9))[..., None] / 0.33
    around = ((x - muzzle[0]) / (0.55 * across)) ** 2 + ((y - eyes[1] - 0.4 * across) / (0.75 * across)) ** 2
    head = ((x - muzzle[0]) / (1.1 * across)) ** 2 + ((y - eyes[1] - 0.2 * across) / (1.3 * across)) ** 2
    furry = ((1 - np.exp(-(around**3))) * np.exp(-(head**3)))[..., None]
    grey = photo.mean(2, keepdims=True) * 0.5 + 90
    return np.clip((photo * (1 - furry) + grey * furry) * (1 + 0.2 * streaks * furry), 0, 255).astype(np.uint8)


def candidates(finder: FaceFinder, photo: np.ndarray, landmarks: np.ndarray) -> list[Candidate]:
    """Accepted candidates around landmarks [68 2], without the search, which takes seconds."""
    return finder._observer.refine(photo, [landmark_square(landmarks, ANALYSER)])


@pytest.mark.weights
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_person_is_a_face_and_a_monkey_made_of_one_is_not(finder: FaceFinder, number: int) -> None:
    photo = limit_side(read(EXAMPLES / f"portrait_{number}.png"), 480)[0]
    (face,) = finder.faces(photo)
    assert len(candidates(finder, photo, face.landmarks)) == 1
    assert candidates(finder, animal(photo, face.landmarks), face.landmarks) == []


def dark(photo: np.ndarray) -> np.ndarray:
    return (0.3 * photo).astype(np.uint8)


def noisy(photo: np.ndarray) -> np.ndarray:
    return np.clip(photo + np.random.default_rng(0).normal(0, 25, photo.shape), 0, 255).astype(np.uint8)


def grey(photo: np.ndarray) -> np.ndarray:
    return np.repeat(photo.mean(2, keepdims=True).astype(np.uint8), 3, axis=2)


def blurred(photo: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(photo, (0, 0), 2)


CHANGES = (dark, noisy, grey, blurred)


@pytest.mark.weights
def test_the_astronaut_stays_human_in_any_light(finder: FaceFinder) -> None:
    photo = np.ascontiguousarray(data.astronaut()[:300, 80:380])
    (face,) = finder.faces(photo)
    assert all(candidates(finder, change(photo), face.landmarks) for change in CHANGES)


@pytest.mark.weights
@pytest.mark.real
@pytest.mark.parametrize("name", ["monkey", "cat"])
def test_animals_are_refused(finder: FaceFinder, name: str) -> None:
    path = REAL / f"portrait_not_human_{name}.jpg"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    assert finder.faces(limit_side(read(path), 640)[0]) == []


@pytest.mark.weights
@pytest.mark.real
def test_the_monkey_is_refused_in_any_light(finder: FaceFinder) -> None:
    path = REAL / "portrait_not_human_monkey.jpg"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    photo = read(path)
    for change in (lambda picture: picture, *CHANGES):
        assert finder._observer.refine(change(photo), MONKEY) == []


@pytest.mark.weights
@pytest.mark.real
def test_people_and_what_has_a_human_face_are_welcome(finder: FaceFinder) -> None:
    """Photos, paintings, drawings, a cartoon and a robot."""
    paths = sorted(p for p in REAL.glob("portrait_*") if "not_human" not in p.name)
    if not paths:
        pytest.skip(f"{REAL} is not here")
    refused = [p.name for p in paths if not finder.faces(limit_side(read(p), 400)[0])]
    assert not refused and len(paths) >= 11
