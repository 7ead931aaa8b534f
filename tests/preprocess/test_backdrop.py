"""The plate behind the head: filled in from around, untouched elsewhere."""

import numpy as np

from thgen.preprocess.backdrop import PLATE, behind


def test_the_head_is_filled_with_what_is_around_it():
    crop = np.zeros((512, 512, 3), np.uint8)
    crop[..., 2] = 200
    crop[160:360, 160:360] = (250, 180, 150)
    moving = np.zeros((64, 64))
    moving[20:45, 20:45] = 1
    plate = behind(crop, moving).astype(int)
    assert plate.shape == (PLATE, PLATE, 3)
    assert np.abs(plate - (0, 0, 200)).max() <= 8, "no trace of the head"


def test_the_rest_stays_as_it_is():
    crop = np.random.default_rng(0).integers(0, 255, (PLATE, PLATE, 3), dtype=np.uint8)
    moving = np.zeros((64, 64))
    moving[30:34, 30:34] = 1
    plate = behind(crop, moving)
    assert np.array_equal(plate[:100], crop[:100]) and not np.array_equal(
        plate[120:136, 120:136], crop[120:136, 120:136]
    )
    assert np.array_equal(behind(crop, np.zeros((64, 64))), crop)


def test_a_face_that_fills_the_crop_has_nothing_behind_it():
    crop = np.full((300, 300, 3), 90, np.uint8)
    assert (behind(crop, np.ones((64, 64))) == 90).all()
