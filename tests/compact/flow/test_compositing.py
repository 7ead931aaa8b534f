"""The head over its background: what stays, what is uncovered, what is covered."""

from dataclasses import replace

import torch

from thgen.compact.flow.compositing import PhotoLayers, place
from thgen.compact.flow.dentition import Bite

SIZE = 128


def scene():
    """A white head in the middle of a grey photo, behind it a black plate."""
    moving = torch.zeros(1, 1, 64, 64)
    moving[..., 16:48, 16:48] = 1
    photo = torch.zeros(1, 3, SIZE, SIZE)
    photo[..., 32:96, 32:96] = 1
    none = torch.zeros(1, 1, 64, 64)
    plate = torch.full((1, 3, SIZE, SIZE), -1.0)
    bite = Bite(torch.ones(1, 3, 1, 1), torch.zeros(1, 2), torch.zeros(1), torch.zeros(1))
    return PhotoLayers(moving, none, none, plate, plate, none, bite, torch.zeros(1, 2, 64, 64), none), photo


def lay(parts, turned, inner, photo, flow):
    """`inner` [B 3 S S] is what the whole picture would be if all of it were head."""
    layers = place(parts, turned, flow, SIZE)
    return layers.lay(photo.expand_as(inner), inner[(..., *layers.window)])


def moved(pixels):
    """The flow of a head that goes to the right by so many of SIZE pixels, everywhere."""
    flow = torch.zeros(1, 2, 64, 64)
    flow[:, 0] = -2 * pixels / SIZE
    return flow


def test_without_motion_the_photo_stays_exactly():
    parts, photo = scene()
    picture, _ = lay(parts, moved(0), photo, photo, moved(0))
    assert torch.equal(picture, photo)


def test_a_head_that_moves_uncovers_the_plate_and_covers_the_photo():
    parts, photo = scene()
    inner = torch.roll(photo, 32, 3)
    picture, mask = lay(parts, moved(32), inner, photo, moved(32))
    row = picture[0, 0, 64]
    assert (row[70:120] == 1).all(), "the head, where it is now"
    assert (row[36:60] == -1).all(), "the plate, where it was"
    assert (row[:20] == 0).all() and (picture[0, :, :16] == 0).all(), "the photo, where it never is"
    assert mask[0, 0, 64, 36:120].min() > 0.99 and mask[0, 0, 64, :20].max() == 0


def test_a_background_that_the_flow_drags_along_stays():
    parts, photo = scene()
    photo = photo + 0.1 * torch.rand(photo.shape, generator=torch.Generator().manual_seed(0))
    inner = torch.roll(photo, 5, 2)  # as if all of it had been warped
    picture, _ = lay(parts, moved(0), inner, photo, moved(0))
    assert torch.equal(picture[..., :24], photo[..., :24])


def test_a_strand_of_hair_that_no_turn_brings_there_is_not_shown():
    parts, photo = scene()
    hair = torch.zeros(1, 1, 64, 64)
    hair[..., 16:48, 16:22] = 1
    parts = replace(parts, hair=hair)
    flow = moved(32)
    flow[..., :22] = 0  # the place that the hair has left still shows it
    picture, _ = lay(parts, moved(32), photo, photo, flow)
    assert (picture[0, 0, 64, 36:42] == -1).all()


def test_it_expands_over_frames():
    parts, photo = scene()
    three = parts.expand(3)
    picture, _ = lay(three, moved(8).repeat(3, 1, 1, 1), photo.repeat(3, 1, 1, 1), photo, moved(8).repeat(3, 1, 1, 1))
    assert picture.shape == (3, 3, SIZE, SIZE) and torch.equal(picture[0], picture[2])


def test_only_the_head_s_own_window_needs_to_be_warped():
    parts, _ = scene()
    rows, columns = place(parts, moved(32), moved(32), SIZE).window
    assert (rows.start, rows.stop) == (32, 96) or (30 <= rows.start <= 32 and 96 <= rows.stop <= 98)
    assert 62 <= columns.start <= 64 and columns.stop >= 127
    none = replace(parts, moving=parts.moving * 0)
    picture, mask = lay(none, moved(32), torch.ones(1, 3, SIZE, SIZE), torch.zeros(1, 3, SIZE, SIZE), moved(32))
    assert (picture == 0).all() and (mask == 0).all()
