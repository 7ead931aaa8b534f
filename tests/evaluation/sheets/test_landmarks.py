from __future__ import annotations

import numpy as np
import torch

from tests.evaluation.stand_in import Constant
from thgen.evaluation.sheets.landmarks import CELL, _whole, drawn
from thgen.face.crop import Square
from thgen.face.finder import FaceCrop


def test_points_are_drawn_where_they_are_and_the_crop_is_left_alone() -> None:
    image = np.full((200, 200, 3), 90, np.uint8)
    keypoints = np.full((71, 3), -0.9, np.float32)
    keypoints[30, :2], keypoints[68, :2], keypoints[70, :2] = (0.0, 0.0), (0.5, 0.0), (0.0, 0.5)
    analysis = Constant(71)(torch.zeros(1, 3, 128, 128))
    crop = FaceCrop(image, Square(100, 100, 200), keypoints, analysis, Square(100, 100, 160))
    out = drawn(crop).astype(int)
    assert (image == 90).all()
    for (x, y), colour in {(100, 100): (60, 255, 60), (150, 100): (255, 40, 40)}.items():
        patch = out[y - 2 : y + 2, x - 2 : x + 2]
        assert np.abs(patch - np.array(colour)).max(2).min() < 30
        changed = np.argwhere((out[y - 8 : y + 8, x - 8 : x + 8] != 90).any(2))
        assert np.allclose((changed + 0.5).mean(0), 8, atol=0.1)  # centred on the edge-to-edge position


def test_a_whole_photo_fits_into_its_cell() -> None:
    assert _whole(np.zeros((100, 900, 3), np.uint8)).shape == (CELL, CELL, 3)
