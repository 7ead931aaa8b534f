"""One line per setting: flag, widget, API argument, link and recipe follow from it, with its range and its sentence."""

import argparse
import inspect

import pytest

from thgen.cli import generate as generate_cli
from thgen.errors import ControlError
from thgen.methods import METHODS
from thgen.recipe import Recipe
from thgen.settings import (
    OLD_NAMES,
    Controls,
    Flag,
    OneOf,
    Settings,
    Whole,
    all_factors,
    default,
    per_factor,
    plain,
)
from thgen.ui.fields import page_specs
from thgen.ui.links import read_query

# A value beside the default, for each kind of setting.
OTHER = {"seed": 7, "face": 1, "size": 256, "max_side": 720, "method": "pd_fgc", "motion": "absolute"}


@pytest.fixture(scope="module")
def parser():
    parser = argparse.ArgumentParser()
    generate_cli.add_parser(parser.add_subparsers())
    return parser


@pytest.mark.parametrize("name", plain())
def test_every_setting_has_a_flag_a_field_a_link_and_a_place_in_the_recipe(parser, name):
    model, spec = plain()[name]
    assert spec.label and name in page_specs()
    recipe = Recipe().to_dict()
    assert (recipe if model is Settings else recipe["controls"])[name] == default(model, name)
    value = OTHER.get(name, False if isinstance(spec, Flag) else "zero")
    flag = f"--no-{name}" if isinstance(spec, Flag) else f"--{name}"
    words = [flag.replace("_", "-")] if isinstance(spec, Flag) else [flag.replace("_", "-"), str(value)]
    assert getattr(parser.parse_args(["generate", *words]), name) == value
    assert read_query({name: str(value).lower()}, METHODS)[name] == value


@pytest.mark.parametrize("name", per_factor())
def test_every_setting_of_factors_has_a_flag_and_refuses_factors_that_lack_it(parser, name):
    spec = per_factor()[name]
    able = [f.name for f in all_factors().values() if spec.applies(f)]
    flag = f"--no-{name}" if isinstance(spec.value, Flag) else f"--{name}"
    word = able[0] if isinstance(spec.value, Flag) else f"{able[0]}=0.5"
    assert getattr(parser.parse_args(["generate", flag, word]), name) == [word]
    for unable in [f.name for f in all_factors().values() if not spec.applies(f)]:
        with pytest.raises(ControlError, match=unable):
            Settings(controls={name: {unable: spec.neutral}})


@pytest.mark.parametrize("name", plain())
def test_values_out_of_range_are_refused_by_name(name):
    model, spec = plain()[name]
    wrong = {Whole: 10**30, Flag: "yes", OneOf: "sideways"}.get(type(spec), 7)
    with pytest.raises(ControlError, match=r"must be"):
        Settings(**({name: wrong} if model is Settings else {"controls": {name: wrong}}))


def test_names_of_version_1_are_understood_everywhere():
    old = {"live": {"pose": False}, "others": "zero"}
    new = Controls(idle={"pose": False}, undriven="zero")
    assert Controls(**old) == new
    first = {"thgen": 1, "method": "pd_fgc", "controls": old}
    assert Recipe.from_dict(first) == Recipe(method="pd_fgc", controls=new)
    assert Recipe(method="pd_fgc", controls=new).to_dict()["controls"]["undriven"] == "zero"
    assert set(OLD_NAMES) == {"live", "others", "toward"}


def test_the_python_function_takes_every_setting():
    from thgen import api

    known = set(inspect.signature(api.generate).parameters)
    assert {"method", "seed", "controls", "settings", "toward", "second_sources"} <= known


def test_an_unknown_setting_is_named():
    with pytest.raises(ControlError, match="no setting 'sed'; there are: method, seed"):
        Settings(sed=1)
