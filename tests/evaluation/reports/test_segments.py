"""Overlaps against a worked example; colours lie where the segments are."""

import numpy as np
import pytest
import torch
from torch import nn

from thgen.evaluation.reports.segments import COLOURS, TINT, measure, rows_of, segments, tinted
from thgen.schema import SEGMENTS
from thgen.synth.head.ellipsoid import ellipsoid_head


class Threshold(nn.Module):
    """Bright pixels are hair, all others background."""

    def segment(self, x):
        bright = (nn.functional.avg_pool2d(x.mean(1, keepdim=True), 2) > 0)[:, 0]
        out = torch.zeros(len(x), len(SEGMENTS), 64, 64)
        out[:, SEGMENTS.index("hair")] = bright * 2 - 1.0
        return out


def test_overlap_of_a_worked_example():
    confusion = np.zeros((len(SEGMENTS), len(SEGMENTS)), int)
    hair, face = SEGMENTS.index("hair"), SEGMENTS.index("face")
    confusion[0, 0], confusion[hair, hair], confusion[hair, face], confusion[face, face] = 50, 30, 10, 10
    rows = {row["segment"]: row for row in rows_of(confusion)}
    assert rows["hair"]["IoU, %"] == pytest.approx(75) and rows["hair"]["most taken for"] == "face"
    assert rows["face"]["IoU, %"] == pytest.approx(50) and rows["background"]["IoU, %"] == 100
    assert rows["mean"]["IoU, %"] == pytest.approx(75), "segments that never occur do not count"
    assert rows["mean"]["share of the pixels, %"] == pytest.approx(90)


def test_segments_lie_where_the_crop_shows_them():
    crop = np.zeros((1, 200, 200, 3), np.uint8)
    crop[:, :100, :100] = 255
    classes = segments(Threshold(), crop, torch.device("cpu"))[0]
    assert (classes[:31, :31] == SEGMENTS.index("hair")).all() and (classes[33:] == 0).all()
    shown = tinted(crop[0], classes)
    assert (shown[120:, 120:] == 0).all(), "the background is not tinted"
    assert np.allclose(shown[50, 50], 255 * (1 - TINT) + COLOURS[SEGMENTS.index("hair")] * TINT, atol=1)


def test_renders_are_measured_pixel_by_pixel():
    report = measure(Threshold(), 1, torch.device("cpu"), ellipsoid_head())
    shares = [row["share of the pixels, %"] for row in report.rows[:-1]]
    assert sum(shares) == pytest.approx(100) and shares[SEGMENTS.index("face")] > 5
