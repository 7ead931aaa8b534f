import numpy as np
import pytest

from tests.face_parts.faces import drawn_points, noise
from thgen.face_parts.geometry import pixels
from thgen.face_parts.mouth_swap import FEATHER, lower_face, other_moment, swap_mouth

SIZE = 256


@pytest.mark.parametrize(("frame", "shift", "total", "expected"), [
    (20, 5, 75, 25), (20, -5, 75, 15), (73, 5, 75, 68), (2, -5, 75, 7), (4, 9, 9, 0), (1, 12, 9, 8), (0, 8, 1, 0),
])  # fmt: skip
def test_the_other_moment_is_mirrored_at_the_ends(frame, shift, total, expected):
    assert other_moment(frame, shift, total) == expected


def test_the_same_moment_changes_nothing():
    image, points = noise(0, SIZE), drawn_points()
    assert (swap_mouth(image, image, points, points) == image).all()


def test_the_mouth_is_that_of_the_other_frame_and_all_else_is_not():
    face, other = noise(0, SIZE), noise(1, SIZE)
    points = drawn_points()
    out = swap_mouth(other, face, points, points).astype(int)
    weight = lower_face(points, SIZE)
    inside, outside = weight > 0.999, weight < 0.001
    shift = out[inside] - other[inside].astype(int)
    clipped = (out[inside] == 0) | (out[inside] == 255)
    assert np.abs(shift - np.median(shift, 0))[~clipped].max() <= 1, "the other mouth, but for one colour"
    assert (out[outside] == face[outside]).all()
    x, y = np.rint(pixels(points, SIZE)).astype(int)[48:68].T
    assert inside[y, x].all(), "all of the mouth"
    x, y = np.rint(pixels(points, SIZE)).astype(int)[[*range(17, 31), *range(36, 48)]].T
    assert outside[y, x].all(), "no eye, no brow, no bridge of the nose"


def test_the_outline_of_the_face_stays():
    x, y = np.rint(pixels(drawn_points(), SIZE)).astype(int)[:17].T
    assert lower_face(drawn_points(), SIZE)[y, x].max() < 0.05


def test_the_mouth_is_moved_to_the_place_of_the_own_one():
    """A head that has moved, and come nearer: its mouth lands on the corners of the mouth of the frame."""
    face_points, other_points = drawn_points(), drawn_points(x=0.12, y=-0.06, scale=1.15)
    other = np.zeros((SIZE, SIZE, 3), np.uint8)
    middle = np.rint(pixels(other_points, SIZE)[48:60].mean(0)).astype(int)
    other[middle[1] - 3 : middle[1] + 4, middle[0] - 3 : middle[0] + 4] = 250
    out = swap_mouth(other, np.zeros_like(other), other_points, face_points)
    rows, columns = np.nonzero(out[..., 0] > 100)
    np.testing.assert_allclose([columns.mean(), rows.mean()], pixels(face_points, SIZE)[48:60].mean(0), atol=1)


def test_there_is_no_seam():
    """Across the edge the picture changes as gently as the soft edge, also where the other frame is brighter."""
    rows, columns = np.indices((SIZE, SIZE))
    skin = np.repeat((90 + 60 * rows / SIZE + 20 * columns / SIZE)[..., None], 3, 2)
    face, other = skin.astype(np.uint8), (skin + 40).astype(np.uint8)
    points = drawn_points()
    out = swap_mouth(other, face, points, points).astype(int)
    assert np.abs(out - face).max() <= 1, "one light in all of the face"
    hard = np.where(lower_face(points, SIZE)[..., None] > 0.5, other, face).astype(int)
    assert np.abs(np.diff(hard, axis=1)).max() > 30, "a plain copy has a seam"
    weight = lower_face(points, SIZE)
    assert np.abs(np.diff(weight, axis=1)).max() < 2.5 / (FEATHER * SIZE)
    steep = swap_mouth(noise(1, SIZE), face, points, points).astype(int)
    edge = (weight > 0.02) & (weight < 0.98)
    assert (np.abs(steep - face)[edge].mean()) < np.abs(steep - face)[weight > 0.999].mean()
