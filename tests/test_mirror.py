"""tests/ mirrors thgen/ file for file: what tests thgen/face/crop.py is tests/face/test_crop.py."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Tests of no single module -> why. A name that ends with a slash is a folder.
OTHERS = {
    "hostile/": "files and requests of strangers, through the whole program",
    "toy/": "a method that lives in the tests alone",
    "test_app.py": "app.py",
    "test_end_to_end.py": "the bundled weights, from command line to mp4",
    "test_golden.py": "the bundled weights, frame by frame",
    "test_hidden.py": "tests/hidden.py and the Makefile",
    "test_mirror.py": "this rule",
    "test_readme.py": "README.md",
    "test_requirements.py": "requirements.txt and pyproject.toml",
    "test_structure.py": "rules for all modules",
    "face/test_portraits.py": "finder, observe and human on pictures of real people",
    "synth/test_light_and_skin.py": "modules of looks/ and render/ together",
    "synth/test_performers.py": "modules of head/ and looks/ together",
    "training/test_smoke.py": "every stage of every method, from its config",
    "ui/test_browser.py": "the page in a browser",
}


def problem(test: Path) -> str:
    """What is wrong with the place of a test, or nothing. test: below tests/."""
    name = test.as_posix()
    place = ROOT / "thgen" / test.parent / test.stem.removeprefix("test_")
    mirrored = place.with_suffix(".py").is_file() or (place / "__init__.py").is_file()
    listed = name in OTHERS or any(name.startswith(other) for other in OTHERS if other.endswith("/"))
    if mirrored and listed:
        return f"{name} mirrors a module and is listed in OTHERS"
    if not mirrored and not listed:
        return f"{name}: there is no {place.relative_to(ROOT)}.py; move it beside its module, or say in OTHERS why not"
    return ""


def test_every_test_lies_where_its_module_lies():
    tests = sorted(path.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py"))
    assert [told for test in tests if (told := problem(test))] == []


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_listed_exists(name):
    assert (ROOT / "tests" / name).exists()


def test_misplaced_tests_are_named():
    assert "there is no thgen/ui/crop.py" in problem(Path("ui/test_crop.py"))
    assert not problem(Path("face/test_crop.py")) and not problem(Path("test_weights.py"))
