import cv2
import numpy as np
import pytest

from tests.face_parts.faces import drawn_points, noise
from thgen.face_parts.geometry import pixels
from thgen.face_parts.mouth import REACH, SIDE, mouth_crop, mouth_square


def marked(points: np.ndarray, which: tuple[int, ...], size: int = 256) -> np.ndarray:
    """A black picture with a dot at each of these landmarks."""
    image = np.zeros((size, size, 3), np.uint8)
    for x, y in pixels(points, size)[list(which)]:
        cv2.circle(image, (round(x * 16), round(y * 16)), 2 * 16, (255,) * 3, -1, cv2.LINE_AA, 4)
    return image


def place(image: np.ndarray) -> np.ndarray:
    """Centre of what is bright, px from the edge [2]."""
    weight = image[..., 0].astype(float)
    rows, columns = np.indices(weight.shape)
    return np.array([(columns * weight).sum(), (rows * weight).sum()]) / weight.sum() + 0.5


def test_the_square_is_centred_on_the_mouth_and_its_longer_edge_counts():
    centre, half = mouth_square(drawn_points(x=0.1))
    np.testing.assert_allclose(centre, [0.1, 0.27], atol=1e-9)
    assert half == pytest.approx(REACH * 0.16)
    assert mouth_square(drawn_points(opening=0.3))[1] == pytest.approx(REACH * 0.3), "a wide open mouth fits, too"


@pytest.mark.parametrize("size", [128, 256])
def test_a_corner_of_the_mouth_lies_where_the_crop_says(size):
    points = drawn_points()
    crop = mouth_crop(marked(points, (48,), size), points)
    assert crop.shape == (SIDE, SIDE, 3)
    np.testing.assert_allclose(place(crop), [SIDE / 2 - SIDE / 2 / REACH, SIDE / 2], atol=0.5)


def test_a_turn_is_clockwise_about_the_mouth():
    points = drawn_points()
    found = place(mouth_crop(marked(points, (54,)), points, degrees=20))
    reach = SIDE / 2 / REACH
    angle = np.deg2rad(20)
    np.testing.assert_allclose(found, [SIDE / 2 + reach * np.cos(angle), SIDE / 2 + reach * np.sin(angle)], atol=0.5)


def test_a_face_elsewhere_and_of_another_size_gives_the_same_crop():
    first, second = drawn_points(), drawn_points(x=0.2, y=-0.1, scale=0.7)
    a, b = (mouth_crop(marked(p, (48, 51, 57)), p).astype(float) for p in (first, second))
    np.testing.assert_allclose(place(a), place(b), atol=0.5)


def test_the_crop_shows_nothing_but_the_mouth():
    """Nothing outside of the square changes it."""
    points, image = drawn_points(), noise(0, 256)
    other = noise(1, 256)
    centre, half = mouth_square(points)
    (left, top), (right, bottom) = (np.rint(pixels((centre + s * half)[None], 256)[0]).astype(int) for s in (-1, 1))
    other[top - 2 : bottom + 3, left - 2 : right + 3] = image[top - 2 : bottom + 3, left - 2 : right + 3]
    assert (mouth_crop(image, points) == mouth_crop(other, points)).all()
    assert not (mouth_crop(image, points) == mouth_crop(noise(1, 256), points)).all()
