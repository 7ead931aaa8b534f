import numpy as np
import pytest

from tests.face_parts.faces import drawn_points, noise
from thgen.face_parts.geometry import pixels
from thgen.face_parts.organs import MARGIN, RING, cover_organs, organ_mask

SIZE = 256


def at(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of landmarks."""
    x, y = np.rint(pixels(points, SIZE)).astype(int).T
    return y, x


@pytest.mark.parametrize("margin", [0.0, MARGIN, 0.15])
def test_all_organs_are_covered_and_the_outline_is_not(margin):
    points = drawn_points()
    mask = organ_mask(points, SIZE, margin)
    inner = points[17:] + 0.04 * (points[17:].mean(0) - points[17:])
    assert mask[at(inner)].min() > 0.9
    assert mask[at(points[:17])].max() == 0, "jaw"
    assert mask[:40].max() == 0 and mask[:, :40].max() == 0, "hair, ears and background"


def test_the_margin_widens_the_cover_by_so_much():
    points = drawn_points()
    plain, wide = (np.nonzero(organ_mask(points, SIZE, m) > 0.5)[1] for m in (0.0, 0.1))
    width = np.ptp(pixels(points[17:], SIZE)[:, 0])
    assert np.ptp(wide) - np.ptp(plain) == pytest.approx(2 * 0.1 * width, abs=2)


def test_nothing_else_changes():
    image, points = noise(0, SIZE), drawn_points()
    out, mask = cover_organs(image, points), organ_mask(points, SIZE)
    assert (out[mask == 0] == image[mask == 0]).all()
    covered = out[mask == 1].astype(int)
    assert len(np.unique(covered, axis=0)) == 1, "one colour"


def test_the_colour_does_not_tell_what_is_covered():
    points = drawn_points()
    mask, skin = organ_mask(points, SIZE), np.full((SIZE, SIZE, 3), (190, 140, 120), np.uint8)
    dark, bright = (np.where(mask[..., None] > 0, np.uint8(level), skin) for level in (0, 255))
    for image in (dark, bright):
        out = cover_organs(image, points)
        assert np.abs(out[mask == 1].astype(int) - (190, 140, 120)).max() <= 2
    assert RING > 0


def test_organs_do_not_shine_through():
    points, image = drawn_points(), noise(0, SIZE)
    other = noise(1, SIZE)
    mask = organ_mask(points, SIZE) > 0.99
    mixed = np.where(mask[..., None], other, image)
    a, b = cover_organs(image, points)[mask].astype(int), cover_organs(mixed, points)[mask].astype(int)
    assert np.abs(a - b).max() <= 3
