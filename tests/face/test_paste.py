from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from thgen.face.crop import Square, sample_square
from thgen.face.paste import Paster, border_window, soften_inwards

SQUARES = [
    Square(220.3, 120.7, 130.9),  # inside
    Square(30.0, 40.0, 200.0),  # over the upper left corner
    Square(500.5, 256.0, 300.3),  # over the right edge
    Square(256.0, 256.0, 1200.0),  # larger than the photo
    Square(250.0, 250.0, 21.0),  # shrunk a lot
]


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return np.ascontiguousarray(data.astronaut())


@pytest.mark.parametrize("square", SQUARES)
@pytest.mark.parametrize("size", [128, 512])
def test_pixels_outside_the_mask_stay_bit_identical(photo: np.ndarray, square: Square, size: int) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    mask = np.zeros((size, size), np.float32)
    mask[size // 4 : size // 2, size // 4 : size // 4 * 3] = 1
    original = photo.copy()
    pasted = Paster(photo, square, size).paste(frame, mask)
    assert (photo == original).all()
    k = square.side / size
    x0, y0 = square.left + size // 4 * k, square.top + size // 4 * k
    x1, y1 = square.left + size // 4 * 3 * k, square.top + size // 2 * k
    ys, xs = np.mgrid[:512, :512] + 0.5
    outside = (xs < x0) | (xs > x1) | (ys < y0) | (ys > y1)
    assert (pasted[outside] == photo[outside]).all()
    middle = (xs > x0 + 0.3 * (x1 - x0)) & (xs < x1 - 0.3 * (x1 - x0)) & (ys > y0 + 0.3 * (y1 - y0))
    middle &= ys < y1 - 0.3 * (y1 - y0)
    if middle.any() and square.side > 100:
        assert (pasted[middle] != photo[middle]).mean() > 0.8


@pytest.mark.parametrize("square", SQUARES)
def test_an_empty_mask_changes_nothing(photo: np.ndarray, square: Square) -> None:
    frame = np.zeros((128, 128, 3), np.uint8)
    assert (Paster(photo, square, 128).paste(frame, np.zeros((128, 128), np.float32)) == photo).all()


def test_without_mask_only_the_square_changes_and_its_edge_fades(photo: np.ndarray) -> None:
    square = Square(200.0, 200.0, 100.0)
    pasted = Paster(photo, square, 256).paste(np.full((256, 256, 3), 255, np.uint8))
    change = np.abs(pasted.astype(int) - photo).max(2)
    outside = np.ones((512, 512), bool)
    outside[150:250, 150:250] = False
    assert (change[outside] == 0).all()
    assert (pasted[170:230, 170:230] == 255).all()
    # No step at the square's edge: the first pixels inside hardly differ.
    assert change[150, 150:250].max() <= 3 and change[150:250, 249].max() <= 3


@pytest.mark.parametrize("square", SQUARES[:4])
def test_pasting_the_crop_itself_gives_back_the_photo(photo: np.ndarray, square: Square) -> None:
    size = 512 if square.side < 512 else 2048
    pasted = Paster(photo, square, size).paste(sample_square(photo, square, size))
    error = np.abs(pasted.astype(int) - photo)
    assert error.mean() < 1.0 and np.percentile(error, 99.9) <= 16


def test_at_the_photo_s_own_edge_nothing_fades(photo: np.ndarray) -> None:
    """The square reaches over the photo's left edge: there the frame must be pasted in full."""
    paster = Paster(photo, Square(20.0, 256.0, 200.0), 256)
    assert paster.region[0] == 0
    pasted = paster.paste(np.full((256, 256, 3), 255, np.uint8))
    assert (pasted[230:280, 0] == 255).all()


def test_a_buffer_is_reused_and_only_the_region_is_written(photo: np.ndarray) -> None:
    paster = Paster(photo, Square(200.0, 200.0, 100.0), 128)
    rng = np.random.default_rng(1)
    frames = rng.integers(0, 256, (2, 128, 128, 3), dtype=np.uint8)
    out = photo.copy()
    paster.paste(frames[0], None, out)
    again = paster.paste(frames[1], None, out)
    assert again is out
    assert (out == paster.paste(frames[1])).all()  # nothing of the first frame is left


def test_a_square_beside_the_photo_changes_nothing(photo: np.ndarray) -> None:
    pasted = Paster(photo, Square(-300.0, 100.0, 100.0), 64).paste(np.zeros((64, 64, 3), np.uint8))
    assert (pasted == photo).all()


def test_wrong_shapes_are_refused(photo: np.ndarray) -> None:
    paster = Paster(photo, Square(200.0, 200.0, 100.0), 64)
    with pytest.raises(ValueError, match="frame must be uint8"):
        paster.paste(np.zeros((32, 32, 3), np.uint8))
    with pytest.raises(ValueError, match="mask must be"):
        paster.paste(np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64, 1), np.float32))


def test_soft_masks_never_grow_and_keep_plateaus() -> None:
    mask = np.zeros((64, 64), np.float32)
    mask[20:40, 20:40] = 0.3
    soft = soften_inwards(mask, 3)
    assert (soft <= mask + 1e-6).all()
    assert soft[30, 30] == pytest.approx(0.3)
    assert 0 < soft[30, 23] < 0.3


def test_window_is_symmetric_zero_at_the_edge_and_one_inside() -> None:
    window = border_window(128)
    assert np.allclose(window, window.T) and np.allclose(window, window[::-1, ::-1])
    assert window[0].max() == 0 and window[20:108, 20:108].min() == 1
