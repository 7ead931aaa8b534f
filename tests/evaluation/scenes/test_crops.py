"""A render as the face front end would give it: the same framing, keypoints and analysis."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.evaluation.stand_in import Constant
from thgen.evaluation.scenes.crops import clip_crop, clip_crops, expected_square, photo_crop
from thgen.face.crop import ANALYSER, CROP, apply_matrix, landmark_square
from thgen.face.finder import FaceFinder
from thgen.face.observe import Observer
from thgen.io.photo import read_photo

PORTRAIT = Path(__file__).parents[3] / "examples/portrait_1.png"


def test_the_first_square_belongs_to_a_face_that_the_crop_is_framed_around() -> None:
    """A photo is cropped around landmarks; in the crop, the analyser's square around them is the expected one."""
    landmarks = np.random.default_rng(0).uniform(300, 500, (68, 2))
    landmarks[:2] = [[300, 300], [500, 500]]
    cut = landmark_square(landmarks, CROP)
    inside = apply_matrix(cut.matrix(200), landmarks)
    expected = landmark_square(inside, ANALYSER)
    square = expected_square(200)
    assert (square.x, square.y, square.side) == pytest.approx((expected.x, expected.y, expected.side))


@pytest.mark.weights
def test_a_crop_of_the_front_end_comes_back_as_it_was(rig) -> None:
    """The crop that the front end cut out of a photo, taken for a render."""
    found = FaceFinder(rig.observer.analyser).crop(read_photo(PORTRAIT), 0, 320)
    again = photo_crop(rig.observer, found.image)
    assert again.size == 320 and (again.image == found.image).all()
    assert np.abs(again.keypoints - found.keypoints)[:68].mean() < 0.01
    assert again.keypoints.dtype == found.keypoints.dtype and again.keypoints.shape == found.keypoints.shape
    assert float((again.analysis.pose - found.analysis.pose).abs().max()) < 2
    inside = found.square.to_normalised(np.array([found.analysed.x, found.analysed.y]))
    expected = again.square.to_normalised(np.array([again.analysed.x, again.analysed.y]))
    np.testing.assert_allclose(inside, expected, atol=0.03)


def test_keypoints_are_normalised_in_the_whole_frame() -> None:
    observer = Observer(Constant(70), torch.device("cpu"))
    crop = clip_crop(observer, np.zeros((120, 120, 3), np.uint8), 120)
    pixels = crop.analysed.from_normalised(crop.analysis.keypoints[0].numpy())
    np.testing.assert_allclose((crop.keypoints[:, :2] + 1) * 60, pixels[:, :2], atol=1e-4)
    assert (crop.square.left, crop.square.top, crop.square.side) == (0, 0, 120)


def test_clips_get_the_size_that_the_method_asks_for() -> None:
    observer = Observer(Constant(70), torch.device("cpu"))
    frames = np.random.default_rng(0).integers(0, 256, (3, 96, 96, 3), dtype=np.uint8)
    assert [c.image.shape for c in clip_crops(observer, frames, 64)] == [(64, 64, 3)] * 3
    same = list(clip_crops(observer, frames, 96))
    assert all((c.image == frame).all() for c, frame in zip(same, frames, strict=True))
    small = clip_crop(observer, frames[0], 64)
    np.testing.assert_array_equal(small.keypoints, same[0].keypoints)
