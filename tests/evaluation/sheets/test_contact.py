from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from thgen.errors import ControlError
from thgen.evaluation.metrics.appearance import skin_mask
from thgen.evaluation.sheets.contact import COLUMNS, UNITS, choose, sharpness
from thgen.evaluation.subject import without_idle
from thgen.face.finder import FaceFinder
from thgen.io.photo import read_photo
from thgen.methods import METHODS

PORTRAIT = Path(__file__).parents[3] / "examples/portrait_1.png"


def test_columns_are_chosen_by_name() -> None:
    assert choose("") == COLUMNS
    assert list(choose("smile, blink")) == ["smile", "blink"]
    assert choose("units") == UNITS and list(UNITS["AU12"]) == ["au.12"]
    with pytest.raises(ControlError, match="no column 'nonsense'"):
        choose("smile,nonsense")


@pytest.mark.weights
def test_blur_costs_sharpness(rig) -> None:
    crop = FaceFinder(rig.observer.analyser).crop(read_photo(PORTRAIT), 0, 256)
    photo = np.array(crop.image)
    same, soft = sharpness(rig.observer, photo, [photo, cv2.GaussianBlur(photo, (0, 0), 3)], skin_mask)
    assert same == pytest.approx(1)
    assert soft < 0.5


@pytest.mark.parametrize("method", ["rig", "pd_fgc"])
@pytest.mark.parametrize("name", list(COLUMNS | UNITS))
def test_every_column_is_a_valid_setting_of_the_sliders(name: str, method: str) -> None:
    values = (COLUMNS | UNITS)[name]
    assert without_idle(METHODS[method], values=values).values == values
