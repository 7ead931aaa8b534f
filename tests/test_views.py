"""Views with a small method: crops in order, frames spread over a clip, the sheet, and every bad input by its name."""

import numpy as np
import pytest
from PIL import Image

import thgen
from tests.fake_method import FakeFinder, photo
from tests.toy.declaration import TOY
from tests.toy.method import Toy
from thgen.errors import ClipError, ControlError, FaceError, MethodError, PhotoError
from thgen.io.mp4 import write_mp4
from thgen.methods import METHODS
from thgen.methods.base import Row
from thgen.pipeline import Session
from thgen.plan import Reporter
from thgen.request import ViewRequest
from thgen.views import COLUMNS, GAP, LINE, clip_faces, make_view, sheet

CELL = 64


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    monkeypatch.setitem(METHODS, "toy", TOY)


@pytest.fixture(scope="module")
def session():
    return Session(Toy(), FakeFinder())


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Two seconds that become brighter; the first half second is black and shows no face."""
    path = tmp_path_factory.mktemp("clip") / "c.mp4"
    levels = [0] * 12 + list(range(60, 212, 4))
    write_mp4(path, (np.full((96, 128, 3), level, np.uint8) for level in levels), (128, 96), len(levels))
    return path


def asked(**given):
    return ViewRequest(**{"method": "toy", "view": "negative", "size": CELL, **given})


def cell(made, row, column):
    """A picture of the sheet, without its edge, as float."""
    top = row * (CELL + GAP + LINE) + GAP + LINE
    left = GAP + column * (CELL + GAP)
    return made[top + 2 : top + CELL - 2, left + 2 : left + CELL - 2].astype(float)


def test_photos_then_frames_of_the_clip_each_above_what_the_method_makes(session, clip):
    red = np.zeros((100, 100, 3), np.uint8)
    red[:, 10:, 0] = 200
    made = make_view(asked(photos=[photo(), red], clip=clip), session)
    assert made.dtype == np.uint8 and made.shape == (2 * (CELL + GAP + LINE) + GAP, 4 * (CELL + GAP) + GAP, 3)
    for column in range(4):
        np.testing.assert_allclose(cell(made, 0, column) + cell(made, 1, column), 255, atol=2)
    assert cell(made, 0, 1)[..., 0].mean() > 150 > 20 > cell(made, 0, 1)[..., 1].mean()
    assert cell(made, 0, 2).mean() + 100 < cell(made, 0, 3).mean(), "the clip's first and last face"


def test_frames_without_a_face_are_left_out(session, clip):
    faces = clip_faces(clip, session, 2, CELL, Reporter(None))
    assert [face.image.shape for face in faces] == [(CELL, CELL, 3)] * 2 and faces[0].image.mean() > 40
    assert len(clip_faces(clip, session, 500, CELL, Reporter(None))) <= 38


def test_a_still_picture_is_a_clip_of_one_frame(session, tmp_path):
    Image.fromarray(photo()).save(tmp_path / "p.png")
    assert len(clip_faces(tmp_path / "p.png", session, 2, CELL, Reporter(None))) == 1


def test_a_long_row_goes_on_below():
    pictures = [np.full((8, 8, 3), n, np.uint8) for n in range(COLUMNS + 1)]
    made = sheet([Row("a", pictures), Row("b", [None] * (COLUMNS + 1))], CELL)
    assert made.shape == (4 * (CELL + GAP + LINE) + GAP, COLUMNS * (CELL + GAP) + GAP, 3)
    assert (cell(made, 2, 0) == COLUMNS).all() and (cell(made, 1, 0) == 255).all() and (cell(made, 2, 1) == 255).all()


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"method": "magic"}, MethodError, "There is no method 'magic'"),
        ({"view": "figure"}, ControlError, "no view 'figure'; choose one of: negative"),
        ({"view": ["negative"]}, ControlError, "no view"),
        ({"method": "rig"}, ControlError, "The method rig has no view 'negative'; choose another method"),
        ({"photos": ["p.png"] * 4}, ControlError, "takes up to 3 photos and a clip, not 4 photos"),
        ({"photos": []}, PhotoError, "not enough to show: the view negative takes up to 3 photos and a clip"),
        ({"photos": ["p.png"], "size": 100}, ControlError, "multiple of 32"),
        ({"photos": ["p.png"], "seed": 1}, ControlError, "no setting 'seed'"),
    ],
)
def test_requests_that_are_refused(given, error, says):
    with pytest.raises(error, match=says):
        asked(**given)


def test_bad_files_are_named(session, tmp_path):
    flat = np.full((64, 64, 3), 90, np.uint8)
    with pytest.raises(FaceError, match="Photo 2: No human face"):
        make_view(asked(photos=[photo(), flat]), session)
    with pytest.raises(PhotoError, match="Photo 1: There is no photo file"):
        make_view(asked(photos=[tmp_path / "absent.png"]), session)
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(ClipError, match=r"broken\.mp4"):
        make_view(asked(clip=tmp_path / "broken.mp4"), session)
    back = tmp_path / "back.mp4"  # black: the fake finder sees no face in it
    write_mp4(back, (np.zeros((96, 128, 3), np.uint8) for _ in range(25)), (128, 96), 25)
    with pytest.raises(ClipError, match="No frame of the driving clip shows a human face"):
        make_view(asked(clip=back), session)


def test_a_session_of_another_method_is_refused(session):
    from tests.fake_method import FakeSession

    with pytest.raises(MethodError, match="'rig' is loaded"):
        make_view(asked(photos=[photo()]), FakeSession())


def test_progress_can_end_the_work(session, clip):
    class StopError(Exception):
        pass

    for step in ("Finding the face in photo 1", "Watching the clip", "Making the pictures"):

        def stop(fraction, text, step=step):
            if text == step:
                raise StopError

        with pytest.raises(StopError):
            make_view(asked(photos=[photo()], clip=clip), session, stop)


def test_the_public_function_makes_the_same_picture(session):
    made = thgen.view("negative", [photo()], session=session, size=CELL)
    assert np.array_equal(made, make_view(asked(photos=[photo()]), session))


def test_a_method_that_declares_a_view_implements_it():
    from thgen.methods.base import Method
    from thgen.pipeline import method_class

    for declaration in METHODS.values():
        if declaration.views:
            assert method_class(declaration.name).view is not Method.view, declaration.name
