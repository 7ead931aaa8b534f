"""The version of code: it follows what a number depends on, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from thgen.evaluation.groups import code_version as module
from thgen.evaluation.groups.code_version import PACKAGE, WITHIN, code_version
from thgen.methods import METHODS

FILES = {
    "groups/own.py": '"""About."""\nfrom toy.metrics.motion import distance\nimport toy.report\n',
    "metrics/__init__.py": "",
    "metrics/motion.py": '"""About."""\n\ndef distance():\n    """More."""\n    from toy.metrics import deep\n',
    "metrics/deep.py": "VALUE = 1\n",
    "report.py": "TITLE = 1\n",
    "__init__.py": "",
}


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / "toy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "toy"


def version(package: Path) -> str:
    module._read.cache_clear()
    module._file.cache_clear()
    return code_version(("groups.own",), ("metrics",), package)


@pytest.mark.parametrize(
    ("name", "text", "counts"),
    [
        ("metrics/deep.py", "VALUE = 2\n", True),
        ("groups/own.py", FILES["groups/own.py"] + "EVERY = 3\n", True),
        ("metrics/motion.py", FILES["metrics/motion.py"].replace("About", "Of").replace("More", "Less"), False),
        ("metrics/deep.py", "VALUE = 1  # a reason\n", False),
        ("report.py", "TITLE = 2\n", False),
        ("metrics/unused.py", "VALUE = 2\n", False),
    ],
)
def test_code_that_is_used_counts(toy: Path, name: str, text: str, counts: bool) -> None:
    before = version(toy)
    (toy / name).write_text(text)
    assert (version(toy) != before) == counts


def test_arrays_beside_the_code_count(toy: Path) -> None:
    before = version(toy)
    np.save(toy / "metrics" / "table.npy", np.zeros(3))
    assert version(toy) != before


def test_each_method_and_group_has_a_version_of_its_own() -> None:
    found = set()
    for method in METHODS.values():
        name = method.method.partition(":")[0].removeprefix("thgen.")
        for group in ("self_driving", "probes"):
            roots = (f"evaluation.groups.{group}", name)
            found.add(code_version(roots, (*WITHIN, name.rpartition(".")[0])))
    assert len(found) == 2 * len(METHODS)


@pytest.mark.parametrize("name", WITHIN)
def test_the_list_names_what_exists(name: str) -> None:
    path = PACKAGE.joinpath(*name.split("."))
    assert path.is_dir() or path.with_suffix(".py").is_file()
