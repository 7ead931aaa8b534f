"""A recipe comes back as it was, and nothing unknown passes."""

import json

import pytest

from thgen import recipe as recipes
from thgen.errors import ControlError, OutputError
from thgen.recipe import Recipe, SourceFile
from thgen.request import Request
from thgen.settings import Controls

CONTROLS = Controls(
    values={"pose.yaw": 10.0, "au.12": 3}, strength={"lip": 1.2}, idle={"gaze": False}, motion="absolute",
    blend={"expression": "0:0, 2:1"},
)  # fmt: skip


def test_there_and_back(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"photo")
    files = {"photo": SourceFile.of(tmp_path / "a.jpg"), "pose": SourceFile(path="clip.mp4", sha256="0" * 64),
             "expression_to": SourceFile(path="smile.jpg", sha256="1" * 64)}  # fmt: skip
    recipe = Recipe(
        method="rig", seed=7, face=1, size=256, paste_back=False, max_side=720, controls=CONTROLS, files=files
    )
    recipes.save(recipe, tmp_path / "r.json")
    assert recipes.load(tmp_path / "r.json") == recipe
    assert files["photo"].unchanged() and not files["pose"].unchanged()
    (tmp_path / "a.jpg").write_bytes(b"another")
    assert not files["photo"].unchanged()


def test_an_empty_recipe_is_all_defaults(tmp_path):
    (tmp_path / "r.json").write_text("{}")
    assert recipes.load(tmp_path / "r.json") == Recipe()


def test_defaults_are_those_of_a_request():
    assert Recipe.of(Request(photo="p.jpg", audio="a.wav")) == Recipe()


def test_a_requests_recipe_names_no_file():
    request = Request(
        photo="secret/p.jpg", audio="secret/a.wav", drivers={"pose": "secret/c.mp4"}, controls=CONTROLS, seed=3
    )
    recipe = Recipe.of(request)
    assert "secret" not in json.dumps(recipe.to_dict())
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


@pytest.mark.parametrize(
    "text,says",
    [
        ("", "is empty"),
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[1]", "JSON object"),
        ('{"sed": 1}', "no setting 'sed'"),
        ('{"thgen": 3}', "version"),
        ('{"seed": "1"}', "whole number"),
        ('{"seed": true}', "whole number"),
        ('{"seed": 1.5}', "whole number"),
        ('{"paste_back": 1}', "true or false"),
        ('{"controls": []}', "JSON object"),
        ('{"controls": {"value": {}}}', "no setting 'value'"),
        ('{"controls": {"values": {"pose.jaw": 1}}}', "no control 'pose.jaw'"),
        ('{"controls": {"values": {"pose.yaw": 100}}}', "outside its range"),
        ('{"controls": {"values": {"pose.yaw": NaN}}}', "outside its range"),
        ('{"controls": {"values": {"pose.yaw": "left"}}}', "needs a number"),
        ('{"controls": {"values": [1]}}', "dictionary"),
        ('{"controls": {"live": {"gaze": 0}}}', "true or false"),
        ('{"controls": {"motion": "fast"}}', "Motion"),
        ('{"controls": {"motion": ["relative"]}}', "Motion"),
        ('{"controls": {"blend": {"expression": 2}}}', "from 0 to 1"),
        ('{"controls": {"blend": [1]}}', "dictionary"),
        ('{"files": {"pose_to": {}}}', "unknown key 'pose_to'"),
        ('{"files": {"hat": {}}}', "unknown key 'hat'"),
        ('{"files": {"photo": {"path": "a"}}}', "sha256"),
        ('{"files": {"photo": {"path": 1, "sha256": ""}}}', "texts path and sha256"),
        ("\udcff", "not valid JSON"),
    ],
)
def test_bad_recipes(tmp_path, text, says):
    (tmp_path / "r.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ControlError, match=says):
        recipes.load(tmp_path / "r.json")


def test_no_or_huge_file(tmp_path):
    with pytest.raises(ControlError, match="no recipe file"):
        recipes.load(tmp_path / "none.json")
    with open(tmp_path / "big.json", "wb") as file:
        file.truncate(recipes.MAX_BYTES + 1)
    with pytest.raises(ControlError, match="larger"):
        recipes.load(tmp_path / "big.json")


def test_save_where_nothing_can_be_written(tmp_path):
    with pytest.raises(OutputError):
        recipes.save(Recipe(), tmp_path / "none" / "r.json")
