"""A recipe comes back as it was, and nothing unknown passes."""

import json

import pytest

from thgen import recipe as recipes
from thgen.errors import ControlError, OutputError
from thgen.recipe import Recipe, SourceFile
from thgen.request import Request
from thgen.schema import Controls

CONTROLS = Controls(
    values={"pose.yaw": 10.0, "au.12": 3}, strength={"lip": 1.2}, live={"gaze": False}, motion="absolute",
    others="zero", blend={"expression": "0:0, 2:1"},
)  # fmt: skip


def test_there_and_back(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"photo")
    files = {"photo": SourceFile.of(tmp_path / "a.jpg"), "pose": SourceFile("clip.mp4", "0" * 64),
             "expression_to": SourceFile("smile.jpg", "1" * 64)}  # fmt: skip
    recipe = Recipe("rig", 7, 1, 256, False, 720, CONTROLS, files)
    recipes.save(recipe, tmp_path / "r.json")
    assert recipes.load(tmp_path / "r.json") == recipe
    assert files["photo"].unchanged() and not files["pose"].unchanged()
    (tmp_path / "a.jpg").write_bytes(b"another")
    assert not files["photo"].unchanged()


def test_an_empty_recipe_is_all_defaults(tmp_path):
    (tmp_path / "r.json").write_text("{}")
    assert recipes.load(tmp_path / "r.json") == Recipe()


def test_defaults_are_those_of_a_request():
    assert Request("p.jpg", "a.wav").recipe() == Recipe()


def test_a_requests_recipe_names_no_file():
    request = Request("secret/p.jpg", "secret/a.wav", {"pose": "secret/c.mp4"}, CONTROLS, seed=3)
    assert "secret" not in json.dumps(request.recipe().to_dict())
    assert Recipe.from_dict(json.loads(json.dumps(request.recipe().to_dict()))) == request.recipe()


@pytest.mark.parametrize(
    "text,says",
    [
        ("", "is empty"),
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[1]", "JSON object"),
        ('{"sed": 1}', "unknown key 'sed'"),
        ('{"thgen": 2}', "version"),
        ('{"seed": "1"}', "type int"),
        ('{"seed": true}', "type int"),
        ('{"seed": 1.5}', "type int"),
        ('{"paste_back": 1}', "type bool"),
        ('{"controls": []}', "JSON object"),
        ('{"controls": {"value": {}}}', "unknown key 'value'"),
        ('{"controls": {"values": {"pose.jaw": 1}}}', "no control 'pose.jaw'"),
        ('{"controls": {"values": {"pose.yaw": 100}}}', "outside its range"),
        ('{"controls": {"values": {"pose.yaw": NaN}}}', "outside its range"),
        ('{"controls": {"values": {"pose.yaw": "left"}}}', "needs a number"),
        ('{"controls": {"values": [1]}}', "JSON object"),
        ('{"controls": {"live": {"gaze": 0}}}', "type bool"),
        ('{"controls": {"motion": "fast"}}', "Motion"),
        ('{"controls": {"motion": ["relative"]}}', "Motion"),
        ('{"controls": {"blend": {"expression": 2}}}', "from 0 to 1"),
        ('{"controls": {"blend": [1]}}', "JSON object"),
        ('{"files": {"pose_to": {}}}', "unknown key 'pose_to'"),
        ('{"files": {"hat": {}}}', "unknown key 'hat'"),
        ('{"files": {"photo": {"path": "a"}}}', "sha256"),
        ('{"files": {"photo": {"path": 1, "sha256": ""}}}', "type str"),
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
