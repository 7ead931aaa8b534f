from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from thgen.errors import OutputError, PhotoError
from thgen.evaluation.metrics.appearance import skin_mask
from thgen.evaluation.sheets.contact import COLUMNS, HEADER, LIVE_OFF, UNITS, choose, save_sheet, sharpness
from thgen.face.finder import FaceFinder
from thgen.face.look import Looker
from thgen.io.photo import read_photo
from thgen.schema import Controls
from thgen.weights import hub

EXAMPLES = Path(__file__).parents[2] / "examples"

RED, GREEN = (np.full((64, 64, 3), c, np.uint8) for c in ((220, 20, 20), (20, 200, 20)))


def test_pictures_stand_in_rows_under_their_labels(tmp_path: Path) -> None:
    path = save_sheet([[RED, GREEN], [GREEN, RED]], ["a", "b"], 50, tmp_path / "new" / "sheet.jpg")
    sheet = np.asarray(Image.open(path)).astype(int)
    assert sheet.shape == (HEADER + 100, 100, 3)
    for (y, x), colour in {(25, 25): RED, (25, 75): GREEN, (75, 25): GREEN, (75, 75): RED}.items():
        assert np.abs(sheet[HEADER + y, x] - colour[0, 0]).max() < 12
    for column in (0, 1):  # a label is drawn over each
        assert sheet[:HEADER, column * 50 : column * 50 + 50].min() < 100


def test_nothing_to_show_and_nowhere_to_write_are_typed_errors(tmp_path: Path) -> None:
    with pytest.raises(PhotoError):
        save_sheet([], [], 50, tmp_path / "sheet.jpg")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="--sheet"):
        save_sheet([[RED]], ["a"], 50, tmp_path / "file" / "sheet.jpg")


def test_columns_are_chosen_by_name() -> None:
    assert choose("") == COLUMNS
    assert list(choose("smile, blink,nonsense")) == ["smile", "blink"]
    assert choose("units") == UNITS and list(UNITS["AU12"]) == ["au.12"]


def test_blur_costs_sharpness() -> None:
    network = hub.load_network("analyser", torch.device("cpu"))
    crop = FaceFinder(network).crop(read_photo(EXAMPLES / "portrait_1.png"), 0, 256)
    photo, looker = np.array(crop.image), Looker(network, torch.device("cpu"))
    same, soft = sharpness(looker, photo, [photo, cv2.GaussianBlur(photo, (0, 0), 3)], skin_mask)
    assert same == pytest.approx(1)
    assert soft < 0.5


@pytest.mark.parametrize("name", list(COLUMNS | UNITS))
def test_every_column_is_a_valid_setting_of_the_sliders(name: str) -> None:
    controls = Controls((COLUMNS | UNITS)[name], live=LIVE_OFF)
    assert all(not controls.is_live(f) for f in LIVE_OFF)
