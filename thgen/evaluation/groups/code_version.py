"""A version of the code behind a number: it changes where the code does, not where comments or docstrings do."""

from __future__ import annotations

import ast
import functools
import hashlib
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2]
# What a measured number depends on, besides the folder of its method. Not listed are modules that change with every
# new method (`methods`, `settings`, `weights`) and those that only write or show numbers.
WITHIN = (
    "analyser.network", "audio", "compact", "controls", "encoder", "evaluation.metrics", "evaluation.scenes",
    "evaluation.subject", "face", "methods.base", "nn", "pipeline", "synth",
)  # fmt: skip


def code_version(roots: tuple[str, ...], within: tuple[str, ...] = WITHIN, package: Path = PACKAGE) -> str:
    """Hash of modules, of all that they import, directly or not, below `within`, and of the arrays beside them.

    Names are without "thgen.".
    """
    seen: dict[str, str] = {}
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        path = _file(name, package)
        if name in seen or path is None:
            continue
        seen[name], imported = _read(path, package)
        seen |= {str(array.relative_to(package)): _hash(array.read_bytes()) for array in path.parent.glob("*.np[yz]")}
        waiting += [module for module in imported if any(f"{module}.".startswith(f"{w}.") for w in within)]
    return _hash("\n".join(f"{name} {seen[name]}" for name in sorted(seen)).encode())


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@functools.cache
def _file(name: str, package: Path) -> Path | None:
    """The file of a module or package; None where there is none."""
    path = package.joinpath(*name.split("."))
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)


@functools.cache
def _read(path: Path, package: Path) -> tuple[str, frozenset[str]]:
    """Hash of a file without docstrings, and the modules of the package that it imports, also inside of functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top, imported = f"{package.name}.", set()
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in (n.removeprefix(top) for n in names if n.startswith(top)):
            # `from thgen.face.crop import CROP` names what is in the module "face.crop"
            imported.add(name if _file(name, package) else name.rpartition(".")[0])
    return _hash(ast.dump(tree).encode()), frozenset(imported)
