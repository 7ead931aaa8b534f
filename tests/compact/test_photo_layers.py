"""Layers of a photo: lost hair, the background behind the head, light on teeth."""

import numpy as np

from thgen.compact.photo_layers import PLATE, behind, grow_head, teeth_light


def test_the_head_is_replaced_by_the_background_around_it():
    crop = np.zeros((512, 512, 3), np.uint8)
    crop[..., 2] = 200
    crop[160:360, 160:360] = (250, 180, 150)
    moving = np.zeros((64, 64))
    moving[20:45, 20:45] = 1
    plate = behind(crop, moving).astype(int)
    assert plate.shape == (PLATE, PLATE, 3)
    assert np.abs(plate - (0, 0, 200)).max() <= 8, "nothing of the head is left"


def test_the_rest_of_the_photo_does_not_change():
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


def portrait():
    """A light face with dark hair and a bun at its right, in front of a green wall. `moving` lacks the bun."""
    rng = np.random.default_rng(0)
    crop = np.full((256, 256, 3), (60, 140, 70), np.int16)
    crop[60:120, 80:170] = (40, 30, 30)
    crop[90:200, 90:160] = (220, 180, 160)
    crop[70:110, 168:190] = (40, 30, 30)  # the bun
    crop = (crop + rng.normal(0, 4, crop.shape)).clip(0, 255).astype(np.uint8)
    moving = np.zeros((64, 64), np.float32)
    moving[15:50, 20:42] = 1
    return crop, moving


def test_lost_hair_is_added_and_the_wall_is_not():
    crop, moving = portrait()
    grown = grow_head(crop, moving, np.zeros((64, 64)))
    assert (grown >= moving).all(), "nothing is removed"
    assert grown[19:26, 43:46].mean() > 0.8, "the bun"
    assert grown[5:10].max() < 0.1 and grown[30:45, 50:].max() < 0.1
    assert np.array_equal(grown, grow_head(crop, moving, np.zeros((64, 64)))), "the result is repeatable"


def test_nothing_is_added_on_the_body_or_without_a_head():
    crop, moving = portrait()
    held = np.zeros((64, 64))
    held[:, 42:] = 1
    assert grow_head(crop, moving, held)[:, 44:].max() < 0.1
    assert (grow_head(crop, np.zeros((64, 64), np.float32), held) == 0).all()
    assert (grow_head(crop, np.ones((64, 64), np.float32), held) == 1).all()


def test_teeth_are_as_bright_as_skin_or_the_white_of_the_eyes():
    crop = np.full((128, 128, 3), 20, np.uint8)
    crop[32:96, 32:96] = (120, 80, 60)
    crop[40:48, 40:88] = (210, 205, 200)
    face, eyes = np.zeros((64, 64), np.float32), np.zeros((64, 64), np.float32)
    face[16:48, 16:48] = 1
    skin_alone = teeth_light(crop, face, eyes)
    face[20:24, 20:44], eyes[20:24, 20:44] = 0, 1
    light = teeth_light(crop, face, eyes)
    assert light.min() > 1.3 * skin_alone.max() and light.max() <= 1
    assert light[0] > light[1] > light[2], "they have a part of the skin's hue"
    assert light[0] / light[2] < 120 / 60
    assert np.isfinite(teeth_light(crop, 0 * face, 0 * eyes)).all()
