"""Pictures in rows and columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from thgen.errors import OutputError, PhotoError
from thgen.evaluation.sheets.grid import ASTRONAUT, HEADER, read_portrait, save_grid, save_sheet

RED, GREEN = (np.full((64, 64, 3), c, np.uint8) for c in ((220, 20, 20), (20, 200, 20)))


def test_pictures_stand_in_rows_under_their_labels(tmp_path: Path) -> None:
    path = save_sheet([[RED, GREEN], [GREEN, RED]], ["a", "b"], 50, tmp_path / "new" / "sheet.jpg")
    sheet = np.asarray(Image.open(path)).astype(int)
    assert sheet.shape == (HEADER + 100, 100, 3)
    for (y, x), colour in {(25, 25): RED, (25, 75): GREEN, (75, 25): GREEN, (75, 75): RED}.items():
        assert np.abs(sheet[HEADER + y, x] - colour[0, 0]).max() < 12
    for column in (0, 1):  # a label is drawn over each
        assert sheet[:HEADER, column * 50 : column * 50 + 50].min() < 100


@pytest.mark.parametrize(("count", "shape"), [(1, (64, 64)), (3, (64, 192)), (4, (128, 192))])
def test_a_grid_fills_its_last_row_with_blanks(tmp_path: Path, count: int, shape: tuple[int, int]) -> None:
    sheet = np.asarray(Image.open(save_grid([RED] * count, 64, 3, tmp_path / "g.jpg")))
    assert sheet.shape[:2] == shape
    assert (sheet[-32, -32] > 240).all() == (count == 4)


def test_nothing_to_show_and_nowhere_to_write_are_typed_errors(tmp_path: Path) -> None:
    with pytest.raises(PhotoError):
        save_grid([], 50, 3, tmp_path / "sheet.jpg")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="--sheet"):
        save_sheet([[RED]], ["a"], 50, tmp_path / "file" / "sheet.jpg")


def test_portraits_have_names(tmp_path: Path) -> None:
    Image.fromarray(RED).save(tmp_path / "red.png")
    name, image = read_portrait(str(tmp_path / "red.png"))
    assert name == "red" and (image == RED).all()
    assert read_portrait(ASTRONAUT)[1].shape == (512, 512, 3)
