"""Rules of the house that a reader cannot see in any one file: which way imports point, and who may touch what."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "thgen").rglob("*.py"))

# Imports point from a higher number to a lower or equal one; what is not listed may be used by everything.
LEVELS = {"io": -1, "networks": 0, "losses": 0, "preprocess": 0, "methods": 1, "controls": 2, "pipeline": 2, "api": 3, "ui": 3}
# module -> the only places that may import it
ONLY = {
    "gradio": ("ui/",),
    "imageio_ffmpeg": ("io/ffmpeg.py",),
    "huggingface_hub": ("hub.py", "push.py"),
    "socket": ("hub.py",),
    "requests": (),
    "pickle": ("convert.py",),  # the class of an error alone
    "spaces": (),
}


def imports(path: Path, top_level: bool = False) -> set[str]:
    """Full names of everything that a file imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names: set[str] = set()
    for node in tree.body if top_level else ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def relative(path: Path) -> str:
    return path.relative_to(ROOT / "thgen").as_posix()


@pytest.mark.parametrize("module", ONLY)
def test_who_may_import(module):
    users = {relative(p) for p in FILES if any(n.split(".")[0] == module for n in imports(p))}
    strangers = {u for u in users if not u.startswith(ONLY[module] or ("-",))}
    assert not strangers


def test_imports_point_one_way():
    wrong = []
    for path in FILES:
        own = LEVELS.get(relative(path).split("/")[0].removesuffix(".py"))
        for name in imports(path):
            used = LEVELS.get(name.split(".")[1]) if name.startswith("thgen.") else None
            # the contract's types and the table of names are vocabulary, not behaviour
            if own is not None and used is not None and used > own and not name.startswith("thgen.methods.base"):
                wrong.append(f"{relative(path)} imports {name}")
    assert not wrong


@pytest.mark.parametrize("heavy", ["torch", "numba", "webdataset", "espeakng_loader", "pocketsphinx", "tensorboard"])
def test_the_command_line_starts_without(heavy):
    """What `python -m thgen --help` reads: heavy or optional packages are imported where they are needed."""
    light = ("__init__.py", "__main__.py", "generate_cli.py", "recipe.py", "request.py", "schema.py", "errors.py",
             *(f"io/{p.name}" for p in (ROOT / "thgen/io").glob("*.py")), "manifest.py", "hub.py", "weights_cli.py", "training/cli.py", "synth/cli.py")  # fmt: skip
    users = [p for p in light if any(n.split(".")[0] == heavy for n in imports(ROOT / "thgen" / p, top_level=True))]
    assert not users


@pytest.mark.parametrize("word", [".cuda()", "weights_only=False", "shell=True", "os.system(", "eval(compile"])
def test_words_that_do_not_occur(word):
    assert [relative(p) for p in FILES if word in p.read_text(encoding="utf-8")] == []
