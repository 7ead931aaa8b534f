"""The inputs of GC-AVT as a sheet, drawn of the built-in head."""

import argparse

import numpy as np
import pytest
from PIL import Image

from thgen.evaluation.sheets import inputs
from thgen.evaluation.sheets.inputs import CELL, LABELS, SHIFT, add_arguments, most_different, opening, row_of, run
from thgen.methods.gc_avt.inputs import Seen


def seen(gap: float) -> Seen:
    points = np.zeros((68, 2))
    points[66, 1] = gap
    return Seen(np.zeros((32, 32, 3), np.uint8), points, np.ones((32, 32), np.float32))


def test_the_frame_is_the_one_whose_other_mouth_differs_most():
    clip = [seen(0.0) for _ in range(20)]
    clip[5] = seen(0.2)
    clip[17] = seen(0.5)
    assert opening(clip[5]) == pytest.approx(10)
    assert most_different(clip) == 17 - SHIFT


def test_the_sheet_has_a_row_per_person_and_one_of_the_training(tmp_path, monkeypatch):
    pytest.importorskip("espeakng_loader")
    monkeypatch.setattr(inputs, "FRAMES", 10)
    monkeypatch.setattr(inputs, "SIZE", 64)
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    out = tmp_path / "sheet.jpg"
    report = run(parser.parse_args(["--head", "ellipsoid", "--people", "1", "--sheet", str(out)]))
    with Image.open(out) as sheet:
        assert sheet.width == CELL * len(LABELS) and sheet.height - 2 * CELL in range(0, 40)
    assert len(report.rows) == 1 and report.rows[0]["covered, % of the crop"] > 1


def test_a_plain_row_is_not_random():
    clip = [seen(0.1), seen(0.2)]
    assert len(row_of(*clip)) == len(LABELS)
    assert all((a == b).all() for a, b in zip(row_of(*clip), row_of(*clip), strict=True))
