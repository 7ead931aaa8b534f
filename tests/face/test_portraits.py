"""The front end with the bundled weights on real pictures: the astronaut of scikit-image, and those of ../shared."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from thgen.errors import FaceError, WeightsError
from thgen.face.crop import CROP, Square, landmark_square
from thgen.face.detect import _rotate
from thgen.face.finder import Face, FaceFinder, paste_back
from thgen.io.clip import read_clip
from thgen.io.photo import read_photo
from thgen.weights import hub

pytestmark = pytest.mark.weights
REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "real"
ASTRONAUT = Square(226, 122, 108)  # centre and longer edge of her face from brows to chin, px
HUMANS = {
    "cartoon_boy": Square(420, 500, 480),
    "painting_black_dress": Square(276, 200, 102),
    "painting_girl": Square(349, 282, 134),
    "painting_seated": Square(315, 146, 94),
    "painting_turban": Square(480, 610, 330),
}


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    torch.set_num_threads(1)
    try:
        return FaceFinder(hub.load_network("analyser"))
    except WeightsError as error:
        pytest.fail(f"the bundled analyser must load: {error}")


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    return np.ascontiguousarray(data.astronaut())


def box(face: Face) -> Square:
    x0, y0, x1, y1 = face.box
    return Square((x0 + x1) / 2, (y0 + y1) / 2, face.extent)


def test_the_astronaut_is_found_alone_and_where_she_is(finder: FaceFinder, astronaut: np.ndarray) -> None:
    faces = finder.faces(astronaut)
    assert len(faces) == 1
    assert box(faces[0]).iou(ASTRONAUT) > 0.6
    assert np.abs(faces[0].pose).max() < 20


def test_her_crop_carries_its_way_back(finder: FaceFinder, astronaut: np.ndarray) -> None:
    crop = finder.crop(astronaut, size=256)
    square = landmark_square(crop.square.from_normalised(crop.keypoints)[:68], CROP)
    assert crop.square.iou(square) > 0.999
    pasted = paste_back(astronaut, crop.image, None, crop)
    assert np.abs(pasted.astype(int) - astronaut).mean() < 1


def dim(photo: np.ndarray) -> np.ndarray:
    return (photo * 0.45).astype(np.uint8)


def grey(photo: np.ndarray) -> np.ndarray:
    return np.repeat(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


@pytest.mark.parametrize("change", [dim, grey])
def test_she_is_found_in_other_light(finder: FaceFinder, astronaut: np.ndarray, change) -> None:
    assert box(finder.faces(change(astronaut))[0]).iou(ASTRONAUT) > 0.55


@pytest.mark.parametrize("tilt", [-20, 20])
def test_she_is_found_with_her_head_tilted(finder: FaceFinder, astronaut: np.ndarray, tilt: int) -> None:
    photo, matrix = _rotate(astronaut, tilt)
    x, y = matrix[:, :2] @ [ASTRONAUT.x, ASTRONAUT.y] + matrix[:, 2]
    assert box(finder.faces(photo)[0]).iou(Square(x, y, ASTRONAUT.side)) > 0.5


def test_a_tiny_photo_is_enough(finder: FaceFinder, astronaut: np.ndarray) -> None:
    small = cv2.resize(astronaut[:260, 90:350], (96, 96), interpolation=cv2.INTER_AREA)
    there = Square((ASTRONAUT.x - 90) * 96 / 260, ASTRONAUT.y * 96 / 260, ASTRONAUT.side * 96 / 260)
    assert box(finder.faces(small)[0]).iou(there) > 0.5
    assert finder.crop(small).warnings  # a warning that the face is small


@pytest.mark.slow
def test_fifty_megapixels_are_not_too_many(finder: FaceFinder, astronaut: np.ndarray) -> None:
    large = cv2.resize(astronaut, (7000, 7000), interpolation=cv2.INTER_LINEAR)
    k = 7000 / 512
    assert box(finder.faces(large)[0]).iou(Square(ASTRONAUT.x * k, ASTRONAUT.y * k, ASTRONAUT.side * k)) > 0.6


@pytest.mark.parametrize("name", ["coffee", "chelsea", "rocket"])
def test_no_face_is_seen_where_none_is(finder: FaceFinder, name: str) -> None:
    """A cup, a cat, a rocket."""
    with pytest.raises(FaceError, match="No human face"):
        finder.crop(np.ascontiguousarray(getattr(data, name)()))


@pytest.mark.real
@pytest.mark.parametrize("name", list(HUMANS))
def test_painted_and_drawn_people_are_found_without_a_manual_crop(finder: FaceFinder, name: str) -> None:
    path = REAL / f"portrait_{name}.jpg"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    faces = finder.faces(read_photo(path))
    assert box(faces[0]).iou(HUMANS[name]) > 0.5


@pytest.mark.real
def test_the_dog_is_refused(finder: FaceFinder) -> None:
    path = REAL / "portrait_not_human_dog.jpg"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    with pytest.raises(FaceError, match="No human face"):
        finder.crop(read_photo(path))


@pytest.mark.real
@pytest.mark.parametrize("number", [1, 2, 7])
def test_a_driving_clip_is_followed_through(finder: FaceFinder, number: int) -> None:
    """2: grimaces, the hardest to separate from other objects; 7: an animated old photo."""
    path = REAL / f"driving_{number}.mp4"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    frames = read_clip(path)
    crops = [crop for crop, _ in zip(finder.track(frames, 128), range(50), strict=False)]
    frames.close()
    assert len(crops) == 50 and all(crop is not None for crop in crops)
