import numpy as np
import pytest
import torch

from tests.face_parts.faces import noise
from thgen.analyser.network import Analyser, to_input
from thgen.face_parts.background import enlarged, person, without_background
from thgen.schema import SEGMENTS


def test_the_background_is_black_and_the_person_stays():
    image, keep = noise(0, 64), np.zeros((64, 64), np.float32)
    keep[10:40, 20:50] = 1
    out = without_background(image, keep)
    assert (out[10:40, 20:50] == image[10:40, 20:50]).all() and out[keep == 0].max() == 0
    half = without_background(image, keep * 0.5)
    assert np.abs(half[20, 30].astype(float) - image[20, 30] / 2).max() <= 0.5


def test_a_small_mask_is_enlarged_in_its_place():
    small = np.zeros((16, 16), bool)
    small[4:8, 8:16] = True
    big = enlarged(small, 64)
    assert big.shape == (64, 64) and big.dtype == np.float32
    rows, columns = np.nonzero(big > 0.5)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (16, 31, 32, 63)
    assert (enlarged(small, 16) == small).all()


@pytest.mark.parametrize("size", [64, 256])
def test_the_analysers_background_is_removed(monkeypatch, size):
    """A stand-in for the segmenter takes bright pixels for background."""
    analyser = Analyser(71, [[36], [42]], [48], (8, 8, 8, 8, 8), 16, 8)

    def segment(x):
        logits = torch.zeros(len(x), len(SEGMENTS), 64, 64)
        logits[:, SEGMENTS.index("background")] = 60 * torch.nn.functional.avg_pool2d(x.mean(1), 2)
        logits[:, SEGMENTS.index("face")] = 20.0
        return logits

    monkeypatch.setattr(analyser, "segment", segment)
    images = np.zeros((2, size, size, 3), np.uint8)
    images[0, :, : size // 2] = 255
    images[1, : size // 4] = 255
    found = person(analyser, to_input(torch.from_numpy(images)))
    assert found.shape == (2, 1, size, size) and found.min() >= 0 and found.max() <= 1.001
    keep = found[:, 0].numpy()
    columns = keep[0].mean(0)
    assert columns[: size // 2 - size // 16].max() < 0.6 and columns[size // 2 + size // 16 :].min() > 0.4
    assert keep[1][: size // 8].max() < 0.1 and keep[1][size // 2 :].min() > 0.9
