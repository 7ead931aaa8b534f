from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from tests.face.drawn import DotAnalyser, DrawnFace, draw
from tests.methods.noise import noise_crop
from thgen.errors import FaceError, PhotoError
from thgen.face.crop import CROP, Square, apply_matrix, invert_matrix, landmark_square
from thgen.face.detect import CascadeDetector
from thgen.face.finder import FaceFinder, paste_back, pictures_of
from thgen.face.observe import MIRROR_68
from thgen.io.photo import MAX_ASPECT

ONE = DrawnFace(200.3, 180.7, 60)
SMALL, LARGE = DrawnFace(100, 120, 50), DrawnFace(300.4, 250.6, 80)


@pytest.fixture(autouse=True)
def no_cascade(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the cascade, which detects only some of the drawn faces: the window search must find all."""
    monkeypatch.setattr(CascadeDetector, "propose", lambda self, photo, angle=0.0, mirrored=False: [])


@pytest.fixture
def finder(analyser: DotAnalyser) -> FaceFinder:
    return FaceFinder(analyser)


def test_several_faces_come_largest_first(finder: FaceFinder) -> None:
    faces = finder.faces(draw(400, 450, [SMALL, LARGE]))
    assert len(faces) == 2
    for face, drawn in zip(faces, [LARGE, SMALL], strict=True):
        assert np.abs(face.landmarks - drawn.landmarks).max() < 0.1
        assert face.extent == pytest.approx(2 * drawn.radius, rel=0.01)
        assert np.allclose(face.box, [*drawn.landmarks.min(0), *drawn.landmarks.max(0)], atol=0.1)


def test_what_the_cascade_proposes_saves_the_search(analyser: DotAnalyser, monkeypatch: pytest.MonkeyPatch) -> None:
    rough = Square(ONE.x + 20, ONE.y, 210)
    monkeypatch.setattr(CascadeDetector, "propose", lambda self, photo, angle=0.0, mirrored=False: [rough])
    (face,) = FaceFinder(analyser).faces(draw(400, 420, [ONE]))
    assert np.abs(face.landmarks - ONE.landmarks).max() < 0.1
    assert analyser.calls == 7  # three observations and four rechecks


def test_what_the_cascade_sees_only_in_the_turned_photo_is_found(
    analyser: DotAnalyser, monkeypatch: pytest.MonkeyPatch
) -> None:
    rough = Square(ONE.x + 20, ONE.y, 210)
    monkeypatch.setattr(
        CascadeDetector, "propose", lambda self, photo, angle=0.0, mirrored=False: [rough] * (angle > 0)
    )
    assert len(FaceFinder(analyser).faces(draw(400, 420, [ONE]))) == 1
    assert analyser.calls == 7


@pytest.mark.parametrize(("index", "drawn"), [(0, LARGE), (1, SMALL)])
def test_the_index_chooses_the_face(finder: FaceFinder, index: int, drawn: DrawnFace) -> None:
    crop = finder.crop(draw(400, 450, [SMALL, LARGE]), index, size=256)
    wanted = landmark_square(drawn.landmarks, CROP)
    assert np.allclose([crop.square.x, crop.square.y, crop.square.side], [wanted.x, wanted.y, wanted.side], atol=0.3)
    assert crop.image.shape == (256, 256, 3) and crop.size == 256


@pytest.mark.parametrize(("index", "message"), [(2, "are 2 faces"), (-1, "face -1 does not exist")])
def test_an_index_that_does_not_exist_is_refused(finder: FaceFinder, index: int, message: str) -> None:
    with pytest.raises(FaceError, match=message):
        finder.crop(draw(400, 450, [SMALL, LARGE]), index)


def test_keypoints_agree_in_every_frame_of_reference(finder: FaceFinder) -> None:
    crop = finder.crop(draw(400, 420, [ONE]), size=300)
    in_photo = crop.square.from_normalised(crop.keypoints)[:, :2]
    assert np.abs(in_photo - ONE.landmarks).max() < 0.1
    in_crop_px = (crop.keypoints[:, :2] + 1) / 2 * crop.size
    assert np.abs(apply_matrix(invert_matrix(crop.matrix), in_crop_px) - ONE.landmarks).max() < 0.1
    of_analyser = crop.analysed.from_normalised(crop.analysis.keypoints[0].numpy())
    assert np.abs(of_analyser[:, :2] - ONE.landmarks).max() < 0.1


def test_large_photos_are_read_at_full_resolution(finder: FaceFinder) -> None:
    face = DrawnFace(1500.3, 1100.7, 400)
    crop = finder.crop(draw(2000, 2600, [face]))
    assert np.abs(crop.square.from_normalised(crop.keypoints)[:, :2] - face.landmarks).max() < 1.0


def test_a_face_partly_outside_is_cropped_pasted_and_warned_of(finder: FaceFinder) -> None:
    face = DrawnFace(46.0, 130.0, 80)  # its left cheek is outside
    photo = draw(300, 300, [face])
    crop = finder.crop(photo, size=256)
    assert crop.square.left < 0
    assert any("outside the photo" in w for w in crop.warnings)
    pasted = paste_back(photo, 255 - crop.image, np.ones((256, 256), np.float32), crop)
    assert pasted.shape == photo.shape and (pasted[140, :20] != photo[140, :20]).any()


def test_no_face_is_a_clear_error(finder: FaceFinder) -> None:
    photo = draw(300, 300, [])
    assert finder.faces(photo) == []
    with pytest.raises(FaceError, match="No human face was found"):
        finder.crop(photo)


def test_a_dark_photo_is_named_as_such(finder: FaceFinder) -> None:
    with pytest.raises(FaceError, match="too dark"):
        finder.crop(draw(300, 300, [], background=8))


def test_a_dark_face_in_a_bright_photo_is_an_error(finder: FaceFinder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thgen.face.usable.MIN_LUMA", 250)
    with pytest.raises(FaceError, match="too dark to be read"):
        finder.crop(draw(400, 420, [ONE]))


def test_a_small_face_is_an_error_and_a_smallish_one_a_warning(finder: FaceFinder) -> None:
    with pytest.raises(FaceError, match=r"too small: its head is \d+ px tall"):
        finder.crop(draw(200, 200, [DrawnFace(100, 100, 14)]))
    crop = finder.crop(draw(200, 200, [DrawnFace(100, 100, 30)]))
    assert any("is small" in w for w in crop.warnings)


@pytest.mark.parametrize(
    ("pose", "message"),
    [((70.0, 0, 0), "in profile"), ((0, 55.0, 0), "too far up"), ((0, -55.0, 0), "too far down")],
)
def test_extreme_poses_are_errors(pose: tuple[float, float, float], message: str) -> None:
    with pytest.raises(FaceError, match=message):
        FaceFinder(DotAnalyser(pose)).crop(draw(400, 420, [ONE]))


@pytest.mark.parametrize(("pose", "message"), [((-50.0, 0, 0), "turned by 50°"), ((0, 35.0, 0), "far up or down")])
def test_strong_poses_are_warnings(pose: tuple[float, float, float], message: str) -> None:
    crop = FaceFinder(DotAnalyser(pose)).crop(draw(400, 420, [ONE]))
    assert any(message in w for w in crop.warnings)
    assert FaceFinder(DotAnalyser()).crop(draw(400, 420, [ONE])).warnings == ()


@pytest.mark.parametrize(
    "photo",
    [
        np.zeros((64, 64), np.uint8),
        np.zeros((64, 64, 4), np.uint8),
        np.zeros((64, 64, 3)),
        np.zeros((1, 1, 3), np.uint8),
    ],
)
def test_what_is_not_a_photo_is_refused(finder: FaceFinder, photo: np.ndarray) -> None:
    with pytest.raises(PhotoError):
        finder.faces(photo)


@pytest.mark.parametrize("shape", [(33, 2000, 3), (2000, 33, 3), (64, 513, 3)])
def test_strips_are_refused_before_they_are_searched(analyser: DotAnalyser, shape: tuple[int, int, int]) -> None:
    finder, strip = FaceFinder(analyser), np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    for call in (finder.faces, finder.upright, lambda photo: list(finder.track([photo]))):
        with pytest.raises(PhotoError, match="cut it to the person, at most 8 times as long as it is wide"):
            call(strip)
    assert analyser.calls == 0


def test_panoramas_are_welcome(finder: FaceFinder) -> None:
    face = DrawnFace(700, 70, 40)
    (detected,) = finder.faces(draw(120, int(MAX_ASPECT * 120), [face]))
    assert np.abs(detected.landmarks - face.landmarks).max() < 0.3


def test_known_faces_are_not_sought_again(analyser: DotAnalyser) -> None:
    finder, photo = FaceFinder(analyser), draw(400, 420, [ONE])
    faces = finder.faces(photo)
    analyser.calls = 0
    again = finder.crop(photo, 0, 64, faces)
    assert analyser.calls == 14  # two observations, and the mean of twelve
    assert again.square == finder.crop(photo, 0, 64).square
    with pytest.raises(FaceError, match="No human face"):
        finder.crop(photo, 0, 64, ())


def test_unknown_landmarks_are_refused(analyser: DotAnalyser) -> None:
    with pytest.raises(FaceError, match="analyser, fan"):
        FaceFinder(analyser, landmarks="dlib")


def test_pasting_back_changes_only_the_crop(finder: FaceFinder) -> None:
    photo = draw(400, 420, [ONE])
    crop = finder.crop(photo, size=128)
    pasted = paste_back(photo, 255 - crop.image, None, crop)
    s = crop.square
    ys, xs = np.mgrid[:400, :420] + 0.5
    outside = (np.abs(xs - s.x) > s.side / 2) | (np.abs(ys - s.y) > s.side / 2)
    assert (pasted[outside] == photo[outside]).all() and (pasted != photo).any()


def test_threads_get_the_answer_of_one(finder: FaceFinder) -> None:
    photos = [draw(300, 320, [DrawnFace(150 + 5 * i, 150, 60)]) for i in range(4)]
    alone = [finder.crop(p).square for p in photos]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda p: finder.crop(p).square, photos)) == alone


class TestTrack:
    def test_a_moving_face_is_followed_with_one_look_per_frame(self, analyser: DotAnalyser) -> None:
        drawn = [DrawnFace(150 + 4 * t, 150 + 2 * np.sin(t), 60) for t in range(20)]
        frames = [draw(320, 400, [f]) for f in drawn]
        finder = FaceFinder(analyser)
        crops = list(finder.track(frames[:1]))
        first = analyser.calls
        crops = list(finder.track(frames, size=96))
        assert analyser.calls - 2 * first <= len(frames) + 4
        for crop, face in zip(crops, drawn, strict=True):
            assert crop is not None and crop.image.shape == (96, 96, 3)
            assert np.abs(crop.square.from_normalised(crop.keypoints)[:, :2] - face.landmarks).max() < 0.3

    def test_small_movements_stay_visible_in_a_still_square(self, finder: FaceFinder) -> None:
        drawn = [DrawnFace(150 + 3 * np.sin(t), 150, 60) for t in range(8)]
        crops = list(finder.track(draw(320, 320, [f]) for f in drawn))
        assert all(np.isclose(c.square.x, crops[0].square.x) for c in crops if c)
        assert np.ptp([c.keypoints[30, 0] for c in crops if c]) > 0.02

    def test_frames_without_a_face_are_none_and_it_is_found_again_where_it_was(self, finder: FaceFinder) -> None:
        here = DrawnFace(110, 150, 60)
        frames = [draw(320, 420, f) for f in ([here], [here], [], [], [here], [here])]
        assert [c is not None for c in finder.track(frames)] == [True, True, False, False, True, True]

    def test_a_face_that_returns_elsewhere_is_sought_every_third_frame(
        self, finder: FaceFinder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        here, there = DrawnFace(110, 150, 60), DrawnFace(300, 170, 60)
        frames = [draw(320, 420, f) for f in ([here], [here], [], [], [there], [there], [there])]
        for empty in frames[2:4]:
            empty[::9] = 200  # content that is worth a search
        proposed = [Square(there.x + 15, there.y, 200)]
        monkeypatch.setattr(CascadeDetector, "propose", lambda self, photo, angle=0.0, mirrored=False: proposed)
        crops = list(finder.track(frames))
        assert [c is not None for c in crops] == [True, True, False, False, False, True, True]
        assert crops[5] is not None and abs(crops[5].square.x - there.x) < 1

    def test_plain_frames_are_neither_searched_nor_waited_for(self, analyser: DotAnalyser) -> None:
        here, there = DrawnFace(110, 150, 60), DrawnFace(300, 170, 60)
        frames = [draw(320, 420, f) for f in ([here], [], [], [there])]
        assert [c is not None for c in FaceFinder(analyser).track(frames)] == [True, False, False, True]
        once = analyser.calls
        analyser.calls = 0
        list(FaceFinder(analyser).track(frames[:1] + frames[1:3] * 10 + frames[3:]))
        assert analyser.calls <= once + 18, "one look per frame, no search"

    def test_a_jump_between_two_frames_is_found_by_a_new_search(self, finder: FaceFinder) -> None:
        crops = list(finder.track([draw(320, 420, [DrawnFace(x, 160, 55)]) for x in (90, 330)]))
        assert crops[1] is not None and abs(crops[1].square.x - 330) < 12

    def test_a_clip_without_any_face_yields_only_none(self, finder: FaceFinder) -> None:
        assert list(finder.track([draw(100, 100, [])] * 4)) == [None] * 4

    def test_frames_are_read_one_at_a_time(self, finder: FaceFinder) -> None:
        read = []

        def frames():
            for t in range(3):
                read.append(t)
                yield draw(200, 200, [DrawnFace(100, 100, 50)])

        crops = finder.track(frames())
        next(crops)
        assert read == [0]


def test_the_mirror_table_fits_the_template() -> None:
    mirrored = ONE.landmarks[MIRROR_68]
    assert np.allclose(mirrored[:, 0] - ONE.x, -(ONE.landmarks[:, 0] - ONE.x))


def test_pictures_of_crops_are_theirs_at_any_size():
    crops = [noise_crop(seed, 32) for seed in (0, 1)]
    own, small = pictures_of(crops, torch.device("cpu")), pictures_of(crops, torch.device("cpu"), 16)
    assert own.shape == (2, 3, 32, 32) and small.shape == (2, 3, 16, 16)
    shown = ((own[1] + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    assert (shown == crops[1].image).all()
    torch.testing.assert_close(small, torch.nn.functional.avg_pool2d(own, 2), atol=1.1 / 127.5, rtol=0)
