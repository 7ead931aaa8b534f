"""Intensities by name and emotions as recipes."""

import pytest

from thgen.errors import ControlError
from thgen.methods.fg_emotalk.units import ALL_UNITS, UNITS, intensities, mixed, recipes
from thgen.schema import EMOTIONS


def test_the_recipes_are_those_of_the_paper_and_all_classes_of_mead_have_one():
    known = recipes()
    assert set(known["happy"]) == {1, 12} and set(known["sad"]) == {4, 5, 9} and set(known["disgusted"]) == {4, 6, 9}
    assert set(known) == set(EMOTIONS) and known["neutral"] == {}
    assert all(set(recipe) <= set(UNITS) for recipe in known.values())
    empty = {name for name, recipe in known.items() if not recipe}
    assert empty == {"neutral"}
    assert recipes(ALL_UNITS)["angry"].keys() > known["angry"].keys()


def test_missing_units_are_zero_and_the_order_is_that_of_the_encoder():
    assert intensities({12: 5, 1: 2.5}) == [2.5, 0, 0, 0, 0, 0, 5]
    assert len(intensities({}, ALL_UNITS)) == len(ALL_UNITS) == 23


@pytest.mark.parametrize(
    ("values", "says"),
    [({4: 5.5}, "Action unit 4 .Brow lowerer."), ({4: -1}, "Action unit 4"), ({12: float("nan")}, "Action unit 12"),
     ({12: "much"}, "Action unit 12"), ({3: 1}, "no action unit 3"), ({15: 1}, "choose one of: 1, 2, 4")],
)  # fmt: skip
def test_what_is_out_of_range_is_refused_by_name(values, says):
    with pytest.raises(ControlError, match=says):
        intensities(values)


def test_emotions_mix_and_stay_in_range():
    both = mixed({"sad": 0.5, "disgusted": 1.0})
    assert both[4] == 4.5 and both[5] == 1.5 and both[6] == 3 and both[12] == 0
    assert mixed({"surprised": 1.0, "fear": 1.0})[1] == 5
    assert intensities(mixed({})) == [0] * 7
    with pytest.raises(ControlError, match="no emotion 'glad'"):
        mixed({"glad": 1.0})
    with pytest.raises(ControlError, match="strength of sad"):
        mixed({"sad": 1.5})
