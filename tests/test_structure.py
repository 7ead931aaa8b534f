"""Rules of the house that a reader cannot see in any one file: which way imports point, and who may touch what."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "thgen").rglob("*.py"))

# Imports point downwards: what stands in a row may use the rows above it and itself, not its neighbours. A name is a
# folder or module of thgen; of several that fit, the longest counts. Every module has a place.
LAYERS = (
    ("errors",),
    ("checks", "logs"),
    ("declare",),
    ("schema",),
    ("facs",),
    ("weights.manifest", "idle_motion", "io"),
    ("methods.base",),
    ("weights.hub", "losses", "nn", "audio"),
    ("analyser.network", "compact.keypoint_rig", "encoder.tiles"),
    ("encoder.network", "encoder.measures"),
    ("encoder.inputs", "encoder.reader"),
    ("face",),
    ("face_parts",),
    ("compact", "synth"),
    ("evaluation.metrics", "training"),
    ("analyser", "compact.generator_stage", "weights"),
    ("compact.frozen_generator", "encoder"),
    ("compact.task",),
    ("methods",),
    ("settings",),
    ("controls", "recipe", "request"),
    ("plan",),
    ("pipeline",),
    ("views",),
    ("api", "evaluation", "ui"),
    ("cli",),
    ("__init__", "__main__"),
)
# (module, what it imports): against the order, known and waiting for a change elsewhere.
ALLOWED: set[tuple[str, str]] = set()
# module -> the only places that may import it
ONLY = {
    "gradio": ("ui/",),
    "imageio_ffmpeg": ("io/ffmpeg.py",),
    "huggingface_hub": ("weights/hub.py",),
    "socket": ("weights/hub.py",),
    "requests": (),
    "pickle": ("weights/convert.py", "weights/convert_lia.py"),  # the class of an error alone
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


def module_of(path: Path) -> str:
    """thgen/io/clip.py -> "io.clip"; thgen/io/__init__.py -> "io"; thgen/__init__.py -> "__init__"."""
    return relative(path).removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def used_modules(source: str, modules: set[str]) -> set[str]:
    """Which of `modules` of thgen a file imports, at its head or inside of functions. What stands under
    `if TYPE_CHECKING` is never run and does not count."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                visit(other)
            return
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "thgen imports by full names"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            if name.startswith("thgen."):
                inner = name.removeprefix("thgen.")
                # `from thgen.weights.hub import verify` names what is in the module "hub"
                found.update([m for m in (inner, inner.rpartition(".")[0]) if m in modules][:1])
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(source))
    return found


def graph() -> dict[str, set[str]]:
    """module of thgen -> modules of thgen that it imports."""
    modules = {module_of(p) for p in FILES}
    return {module_of(p): used_modules(p.read_text(encoding="utf-8"), modules) - {module_of(p)} for p in FILES}


def place_of(module: str) -> tuple[int, str]:
    """Row in LAYERS, and the name there that stands for the module."""
    named = [(row, name) for row, names in enumerate(LAYERS) for name in names if f"{module}.".startswith(f"{name}.")]
    assert named, f"thgen/{module.replace('.', '/')}.py has no place in LAYERS"
    return max(named, key=lambda found: len(found[1]))


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Every group of modules that reach one another (strongly connected components of two and more, by Tarjan)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        number[node] = lowest[node] = len(number)
        stack.append(node)
        for other in sorted(edges.get(node, ())):
            if other not in number:
                visit(other)
            if other in stack:
                lowest[node] = min(lowest[node], lowest[other])
        if lowest[node] == number[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1:
                found.append(sorted(group))

    for node in sorted(edges):
        if node not in number:
            visit(node)
    return found


def test_imports_point_one_way():
    wrong = set()
    for module, used in graph().items():
        row, own = place_of(module)
        for other in used:
            other_row, name = place_of(other)
            if name != own and other_row >= row:
                wrong.add((module, other))
    assert wrong == ALLOWED, "an import against the order, or an entry of ALLOWED that nothing needs any more"


def test_every_folder_and_module_has_a_place():
    tops = {module_of(p).split(".")[0] for p in FILES}
    assert tops == {name.split(".")[0] for names in LAYERS for name in names}


def test_no_module_reaches_itself():
    assert circles(graph()) == []


def test_circles_are_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set()}) == [["a", "b", "c"]]
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
    assert circles({"a": {"b"}, "b": {"a"}, "c": {"d"}, "d": {"c"}}) == [["a", "b"], ["c", "d"]]


def test_imports_are_read_wherever_they_stand():
    source = """
from typing import TYPE_CHECKING
from thgen.hub import verify
from thgen.io.clip import read
if TYPE_CHECKING:
    from thgen.pipeline import Session
else:
    import thgen.plan
def f():
    from thgen.training.loop import train
"""
    modules = {"hub", "io", "io.clip", "pipeline", "plan", "training.loop"}
    assert used_modules(source, modules) == {"hub", "io.clip", "plan", "training.loop"}


@pytest.mark.parametrize("heavy", ["torch", "numba", "webdataset", "espeakng_loader", "pocketsphinx", "tensorboard"])
def test_the_command_line_starts_without(heavy):
    """What `python -m thgen --help` reads: heavy or optional packages are imported where they are needed."""
    light = ("__init__.py", "__main__.py", "cli/generate.py", "recipe.py", "request.py", "schema.py", "errors.py",
             *(f"io/{p.name}" for p in (ROOT / "thgen/io").glob("*.py")), "weights/manifest.py", "weights/hub.py",
             "cli/weights.py", "cli/train.py", "cli/render.py")  # fmt: skip
    users = [p for p in light if any(n.split(".")[0] == heavy for n in imports(ROOT / "thgen" / p, top_level=True))]
    assert not users


@pytest.mark.parametrize("word", [".cuda()", "weights_only=False", "shell=True", "os.system(", "eval(compile"])
def test_words_that_do_not_occur(word):
    assert [relative(p) for p in FILES if word in p.read_text(encoding="utf-8")] == []
