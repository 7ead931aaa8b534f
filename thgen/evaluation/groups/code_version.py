"""A version of the code behind a number: it changes where the code does, not where comments or docstrings do."""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2]
# What a measured number depends on, besides the folder of its method. Not listed are modules that change with every
# new method (`methods`, `settings`, `weights`) and those that only write or show numbers.
WITHIN = (
    "analyser.network", "audio", "compact", "controls", "encoder", "evaluation.metrics", "evaluation.scenes",
    "evaluation.subject", "face", "methods.base", "nn", "pipeline", "synth",
)  # fmt: skip


@functools.cache
def code_version(roots: tuple[str, ...], within: tuple[str, ...] = WITHIN, package: Path = PACKAGE) -> str:
    """Hash of modules and of all that they import, directly or not, below `within`. Names are without "thgen."."""
    seen: dict[str, str] = {}
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        path = _file(name, package)
        if name in seen or path is None:
            continue
        tree = _bare(ast.parse(path.read_text(encoding="utf-8")))
        seen[name] = ast.dump(tree)
        waiting += [m for m in _imported(tree, package) if any(f"{m}.".startswith(f"{w}.") for w in within)]
    return hashlib.sha256("\n".join(f"{name} {seen[name]}" for name in sorted(seen)).encode()).hexdigest()


def _file(name: str, package: Path) -> Path | None:
    """The file of a module or package; None where there is none."""
    path = package.joinpath(*name.split("."))
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)


def _bare(tree: ast.Module) -> ast.Module:
    """The module without docstrings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return tree


def _imported(tree: ast.Module, package: Path) -> Iterator[str]:
    """Modules of thgen that a file imports, at its head or inside of functions."""
    top = f"{package.name}."
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in (n.removeprefix(top) for n in names if n.startswith(top)):
            # `from thgen.face.crop import CROP` names what is in the module "face.crop"
            found = name if _file(name, package) else name.rpartition(".")[0]
            if found and _file(found, package):
                yield found
