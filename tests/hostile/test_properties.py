"""Whatever JSON a stranger sends as a recipe, a request or a link: a checked value, or one typed sentence."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.hostile.watch import is_sentence
from thgen.checks import number, whole
from thgen.errors import ThgenError, shown
from thgen.recipe import Recipe, roles
from thgen.request import Request
from thgen.schema import FACTORS, SLIDERS
from thgen.settings import Controls, Settings, blend_path
from thgen.ui.fields import read_fields
from thgen.ui.links import read_query, write_query
from thgen.ui.session import PageSession

# JSON as Python reads it: also NaN, infinity, and integers of hundreds of digits.
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.integers(10**300, 10**400) | st.floats() | st.text(max_size=20)
    | st.sampled_from(["inf", "nan", "1e999", "0x10", "-0", "٣", "false", "0:0, 2:1", "9" * 500])
)  # fmt: skip
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(
    [*SLIDERS, *FACTORS, "method", "seed", "face", "size", "max_side", "paste_back", "motion", "others"]
)
FIELDS = st.sampled_from(
    [*SLIDERS, *(f"{f}.{what}" for f in FACTORS for what in ("clip", "to", "t", "path", "strength", "live")),
     "method", "seed", "face", "size", "max_side", "paste_back", "motion", "others", "photo", "audio"]
)  # fmt: skip
MANY = settings(
    max_examples=150, deadline=None, database=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


def sentence(error: ThgenError) -> bool:
    return is_sentence(error) or len(str(error)) > 600  # lists of all controls are long


@MANY
@given(JSON)
@example(None)
@example({"seed": 10**400})
@example({"controls": {"values": {"pose.yaw": float("inf")}}})
@example({"controls": {"blend": {"expression": [[[]]]}}})
def test_any_json_as_a_recipe(data):
    try:
        recipe = Recipe.from_dict(data)
    except ThgenError as error:
        assert sentence(error), error
    else:
        assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


@MANY
@given(st.dictionaries(st.sampled_from(["method", "seed", "face", "size", "paste_back", "max_side", "controls", "files",
                                        "thgen"]), JSON))  # fmt: skip
def test_known_keys_with_any_values_as_a_recipe(data):
    test_any_json_as_a_recipe.hypothesis.inner_test(data)


@MANY
@given(st.dictionaries(st.sampled_from(["values", "strength", "live", "blend", "motion", "others"]),
                       st.dictionaries(NAMES, JSON, max_size=3) | JSON))  # fmt: skip
def test_any_controls(given_):
    try:
        controls = Controls(**given_)
    except ThgenError as error:
        assert sentence(error), error
        return
    assert all(0 <= gain <= 2 for gain in controls.strength.values())
    assert controls.motion in ("relative", "absolute") and controls.undriven in ("stay", "zero")
    try:
        settings = Settings(controls=controls)
    except ThgenError as error:
        assert sentence(error), error
    else:
        assert all(SLIDERS[k].low <= v <= SLIDERS[k].high for k, v in settings.controls.values.items())


@MANY
@given(
    st.dictionaries(
        st.sampled_from(["method", "seed", "face", "size", "paste_back", "max_side", "drivers", "toward"]), JSON
    )
)
def test_any_request(settings_):
    try:
        request = Request(photo="p.png", audio="a.wav", **settings_)
    except ThgenError as error:
        assert sentence(error), error
    else:
        assert Recipe.from_dict(Recipe.of(request).to_dict()).seed == request.seed


@MANY
@given(st.dictionaries(FIELDS, JSON, max_size=8))
def test_any_fields_of_the_page(fields):
    text = {k: v for k, v in fields.items() if k not in ("photo", "audio") and not k.endswith((".clip", ".to"))}
    try:
        read = read_fields({**text, "photo": "p.png", "audio": "a.wav"})
    except ThgenError as error:
        assert sentence(error), error
        return
    assert isinstance(read.get("seed", 0), int) and isinstance(read.get("paste_back", True), bool)


class NoEngine:
    """For what is decided before anything is loaded."""

    def methods(self):
        return ("rig",)

    def absent(self):
        return {}


@MANY
@given(JSON)
@example(["rig"])
@example({"rig": 1})
def test_any_method(method):
    try:
        request = PageSession(NoEngine()).request({"photo": "p.png", "audio": "a.wav", "method": method})
    except ThgenError as error:
        assert sentence(error), error
    else:
        assert request.method == "rig"


@MANY
@given(JSON, st.sampled_from([(0.0, 1.0), (-45.0, 45.0)]))
def test_any_number(value, bounds):
    try:
        result = number("It", value, *bounds)
    except ThgenError as error:
        assert sentence(error), error
    else:
        assert bounds[0] <= result <= bounds[1] and math.isfinite(result)
    try:
        assert 0 <= whole("seed", value, 0, 2**31) <= 2**31
    except ThgenError as error:
        assert sentence(error), error


@MANY
@given(JSON)
@example("0:0,2:1,1:0")
@example([[0, 0]] * 200)
def test_any_blend(value):
    try:
        path = blend_path("expression", value)
    except ThgenError as error:
        assert sentence(error), error
    else:
        assert path and all(0 <= t <= 1 for _, t in path)


@MANY
@given(st.dictionaries(FIELDS | st.text(max_size=12), st.text(max_size=30), max_size=8))
def test_any_link(query):
    fields = read_query(query, ["rig"])
    read_fields({**fields, "photo": "p.png", "audio": "a.wav"})
    assert read_query({k: str(v) for k, v in query.items()}, ["rig"]) == fields
    assert isinstance(write_query(fields, fields), str)


@pytest.mark.parametrize(
    "value",
    [10**5000, "x" * 10**6, b"\0" * 10**6, "\x1b[31m\u202e", [[[]]] * 10**5, "é" * 90],
    ids=["digits", "long", "bytes", "control characters", "nested", "accents"],
)
def test_what_is_shown_of_a_value(value):
    assert len(shown(value)) <= 80 and shown(value).isprintable()


def test_roles_of_a_recipe_are_known():
    assert {"photo", "audio", "pose", "expression_to"} <= set(roles())
