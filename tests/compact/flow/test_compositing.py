"""The head in front of its background: places that stay, are uncovered, or are covered."""

from dataclasses import replace

import torch

from tests.compact.drawn_face import drawn_eyes
from thgen.compact.flow.compositing import PhotoLayers, move_layers
from thgen.compact.flow.dentition import Bite

SIZE = 128


def scene():
    """A white head in the middle of a grey photo, with a black plate behind it."""
    moving = torch.zeros(1, 1, 64, 64)
    moving[..., 16:48, 16:48] = 1
    photo = torch.zeros(1, 3, SIZE, SIZE)
    photo[..., 32:96, 32:96] = 1
    none = torch.zeros(1, 1, 64, 64)
    plate = torch.full((1, 3, SIZE, SIZE), -1.0)
    bite = Bite(torch.ones(1, 3, 1, 1), torch.zeros(1, 2), torch.zeros(1), torch.zeros(1))
    return PhotoLayers(moving, none, none, plate, drawn_eyes(), bite, torch.zeros(1, 2, 64, 64), none), photo


def composite(parts, rigid, inner, photo, flow):
    """inner [B 3 S S]: the image if the head covered all of it."""
    layers = move_layers(parts, rigid, flow, SIZE)
    return layers.composite(photo.expand_as(inner), inner[(..., *layers.window)])


def moved(pixels):
    """Flow of a head that moves to the right by `pixels` of SIZE pixels, everywhere."""
    flow = torch.zeros(1, 2, 64, 64)
    flow[:, 0] = -2 * pixels / SIZE
    return flow


def test_without_motion_the_photo_stays_exactly():
    parts, photo = scene()
    picture, _ = composite(parts, moved(0), photo, photo, moved(0))
    assert torch.equal(picture, photo)


def test_a_head_that_moves_uncovers_the_plate_and_covers_the_photo():
    parts, photo = scene()
    inner = torch.roll(photo, 32, 3)
    picture, mask = composite(parts, moved(32), inner, photo, moved(32))
    row = picture[0, 0, 64]
    assert (row[70:120] == 1).all(), "the head is here now"
    assert (row[36:60] == -1).all(), "the head was here: the plate shows"
    assert (row[:20] == 0).all() and (picture[0, :, :16] == 0).all(), "the head is never here: the photo stays"
    assert mask[0, 0, 64, 36:120].min() > 0.99 and mask[0, 0, 64, :20].max() == 0


def test_the_background_does_not_move_with_the_flow():
    parts, photo = scene()
    photo = photo + 0.1 * torch.rand(photo.shape, generator=torch.Generator().manual_seed(0))
    inner = torch.roll(photo, 5, 2)  # as if the warp had moved all of it
    picture, _ = composite(parts, moved(0), inner, photo, moved(0))
    assert torch.equal(picture[..., :24], photo[..., :24])


def test_a_strand_of_hair_far_from_the_moved_hair_is_removed():
    parts, photo = scene()
    hair = torch.zeros(1, 1, 64, 64)
    hair[..., 16:48, 16:22] = 1
    parts = replace(parts, hair=hair)
    flow = moved(32)
    flow[..., :22] = 0  # the flow still samples hair at the place that the hair has left
    picture, _ = composite(parts, moved(32), photo, photo, flow)
    assert (picture[0, 0, 64, 36:42] == -1).all()


def test_it_expands_over_frames():
    parts, photo = scene()
    three, flow = parts.expand(3), moved(8).repeat(3, 1, 1, 1)
    picture, _ = composite(three, flow, photo.repeat(3, 1, 1, 1), photo, flow)
    assert picture.shape == (3, 3, SIZE, SIZE) and torch.equal(picture[0], picture[2])


def test_the_window_contains_the_head_alone():
    parts, _ = scene()
    rows, columns = move_layers(parts, moved(32), moved(32), SIZE).window
    assert (rows.start, rows.stop) == (32, 96) or (30 <= rows.start <= 32 and 96 <= rows.stop <= 98)
    assert 62 <= columns.start <= 64 and columns.stop >= 127
    none = replace(parts, moving=parts.moving * 0)
    picture, mask = composite(none, moved(32), torch.ones(1, 3, SIZE, SIZE), torch.zeros(1, 3, SIZE, SIZE), moved(32))
    assert (picture == 0).all() and (mask == 0).all()
