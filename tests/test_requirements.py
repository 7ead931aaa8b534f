"""requirements.txt and the extras hold what the code imports, no more and no less."""

from __future__ import annotations

import ast
import functools
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from importlib.metadata import packages_distributions, requires
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
# The design names these ten; they stay, whether or not something imports them already.
DESIGN = {"torch", "gradio", "huggingface-hub", "diffusers", "transformers", "librosa", "moviepy", "face-alignment",
          "spaces", "numpy"}  # fmt: skip
# package -> (who imports it in our place, module of that package that does)
INDIRECT = {"onnxruntime": ("silero_vad", "utils_vad.py")}
# Programs and plugins of pytest: used, but never imported.
TOOLS = {"ruff", "mypy", "pre-commit", "pytest-xdist", "pytest-playwright"}
# Where a process of the Space, or a command that needs no extra, begins.
BASE = ("app.py", "thgen/__main__.py", "thgen/api.py", "thgen/cli/generate.py", "thgen/cli/weights.py")
MODULES = {".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p
           for p in sorted((ROOT / "thgen").rglob("*.py"))}  # fmt: skip
MODULE_NAME = re.compile(r"thgen(\.\w+)+(:\w+)?")  # also in tables of names, e.g. "thgen.nn.vgg:VGG19"


def canonical(name: str) -> str:
    """The name of a package as the index compares it: lower case, with hyphens."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(lines: Iterable[str]) -> dict[str, str]:
    """package -> version of requirement lines. A line that is not pinned fails."""
    pins = {}
    for line in lines:
        name, equals, version = line.partition("==")
        assert equals and re.fullmatch(r"[\w.]+", version), f"{line!r} is not pinned"
        pins[canonical(name)] = version
    return pins


def lines_of(file: str) -> list[str]:
    text = (ROOT / file).read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def extra(name: str) -> dict[str, str]:
    """Pins of an extra, and of the extras of thgen that it includes."""
    pins: dict[str, str] = {}
    for line in PYPROJECT["project"]["optional-dependencies"][name]:
        own = re.fullmatch(r"thgen\[(\w+)\]", line)
        pins |= extra(own[1]) if own else pinned([line])
    return pins


@functools.cache
def names_in(source: str) -> frozenset[str]:
    """Full names of all that a file imports, at its head or inside of functions, and modules of thgen that a string
    names. What stands under `if TYPE_CHECKING` is never run and does not count."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                visit(other)
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and MODULE_NAME.fullmatch(node.value):
            found.add(node.value.replace(":", "."))
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(source))
    return frozenset(found)


def packages(names: Iterable[str]) -> set[str]:
    """The packages from outside that imported names belong to."""
    tops = {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - {"thgen", "tests"}
    return {canonical(installed().get(top, [top])[0]) for top in tops}


@functools.cache
def installed() -> Mapping[str, list[str]]:
    """Name that is imported -> packages that bring it."""
    return packages_distributions()


def reached(files: Iterable[Path], follow: set[str] | None = None) -> set[str]:
    """The packages that files import, and the modules of thgen that they reach. follow: only into these modules."""
    seen: set[Path] = set()
    names: set[str] = set()
    waiting = list(files)
    while waiting:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        found = names_in(file.read_text(encoding="utf-8"))
        names |= found
        for name in found:
            parts = name.split(".")
            prefixes = (".".join(parts[:count]) for count in range(1, len(parts) + 1))
            waiting += [MODULES[p] for p in prefixes if p in MODULES and (follow is None or p in follow)]
    return packages(names)


def brought_along(listed: Iterable[str]) -> set[str]:
    """Packages that a listed one pins itself to exactly one version: they are as fixed as if they stood in the list."""
    needed = (line for name in listed for line in requires(name) or () if ";" not in line)
    return {canonical(line.partition("==")[0]) for line in needed if "==" in line}


# `thgen/__main__.py` names all commands; those that need an extra are not followed from there.
EXTRA_COMMANDS = {f"thgen.cli.{name}" for name in ("train", "render", "evaluate")}
SPACE = pinned(lines_of("requirements.txt"))
TRAIN, EVAL = extra("train"), extra("eval")
IMPORTED = reached((ROOT / file for file in BASE), set(MODULES) - EXTRA_COMMANDS)


def test_what_the_space_imports_is_in_requirements():
    assert IMPORTED - set(SPACE) - brought_along(SPACE) == set()


def test_every_requirement_is_imported_or_one_of_the_design():
    assert set(SPACE) - IMPORTED - DESIGN - set(INDIRECT) == set()
    assert set(SPACE) >= DESIGN


@pytest.mark.parametrize("package", INDIRECT)
def test_what_others_import_in_our_place_they_do_import(package):
    user, file = INDIRECT[package]
    spec = find_spec(user)
    assert spec and spec.origin
    assert package in packages(names_in(Path(spec.origin).with_name(file).read_text(encoding="utf-8")))
    assert canonical(user) in IMPORTED


@pytest.mark.parametrize(("command", "pins"), [("train", TRAIN), ("render", TRAIN), ("evaluate", EVAL)])
def test_a_command_finds_what_it_imports_in_its_extra(command, pins):
    listed = set(SPACE) | set(pins)
    assert reached([ROOT / "thgen" / "cli" / f"{command}.py"]) - listed - brought_along(listed) == set()


def test_every_extra_is_imported_and_stands_in_no_second_list():
    extras = set(TRAIN) | set(EVAL)
    assert extras - reached(MODULES.values()) == set()
    assert extras & set(SPACE) == set()


def test_tests_import_what_is_listed_and_dev_holds_no_more():
    files = sorted((ROOT / "tests").rglob("*.py"))
    beside = {file.stem for file in files}  # scripts beside tests may import them by bare names
    used = packages(
        n for f in files for n in names_in(f.read_text(encoding="utf-8")) if n.partition(".")[0] not in beside
    )
    dev = extra("dev")
    assert used - set(SPACE) - set(EVAL) - set(dev) == set()
    assert set(dev) - used - TOOLS == set()


def test_requirements_dev_is_the_three_extras():
    assert pinned(lines_of("requirements-dev.txt")) == TRAIN | EVAL | extra("dev")


def test_imports_are_found_wherever_they_stand():
    source = """
from typing import TYPE_CHECKING
import scipy.linalg
if TYPE_CHECKING:
    import torch
def f():
    from PIL import Image
METHODS = {"rig": "thgen.methods.rig.method:Rig"}
"""
    assert packages(names_in(source)) == {"scipy", "pillow"}
    assert "thgen.methods.rig.method.Rig" in names_in(source)
    with pytest.raises(AssertionError, match="not pinned"):
        pinned(["torch>=2"])
