"""The README is what a Space reads and what a stranger trusts: its header, tables and links are checked."""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from pathlib import Path

import yaml

from thgen.evaluation.report import Report
from thgen.methods import METHODS
from thgen.schema import FACTORS, SLIDERS
from thgen.weights.manifest import BUNDLED, read_manifest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def weights_table() -> str:
    """The table of weights as the manifest has it."""
    lines = ["| name | MB | training so far | on |", "|---|---|---|---|"]
    for name, e in read_manifest(BUNDLED).items():
        minutes = f", {e.minutes:.0f} min" if e.minutes >= 1 else ""
        lines.append(f"| `{name}` | {e.bytes / 1e6:.1f} | {e.steps:,} steps{minutes} | {e.hardware} |")
    return "\n".join(lines)


def between(name: str) -> str:
    """What stands between the marks of a name."""
    found = re.search(rf"<!-- {name}:[^\n]*-->\n(.*?)\n?<!-- /{name} -->", README, re.S)
    assert found, name
    return found[1].strip()


def test_the_table_of_measures_is_that_of_its_page():
    """`evaluate table --docs docs/measured --into README.md` writes both. Before, a sentence stands there."""
    path = ROOT / "docs/measured/table.json"
    wanted = "*Not yet measured with the present weights.*"
    if path.is_file():
        wanted = Report("table", "", json.loads(path.read_text(encoding="utf-8"))["rows"]).table()
    assert between("table") == wanted, f"run: python -m thgen evaluate table --docs {path.parent} --into README.md"


def test_the_space_header_fits_the_pins():
    header = yaml.safe_load(README.split("---")[1])
    assert header["sdk"] == "gradio" and header["sdk_version"] == version("gradio")
    assert header["python_version"] == "3.11" and header["license"] == "mit"
    assert (ROOT / header["app_file"]).is_file()
    assert len(header["short_description"]) <= 60  # longer ones are refused by the Hub


def test_the_table_of_weights_is_the_manifest():
    assert between("weights") == weights_table(), "run: PYTHONPATH=. python tests/test_readme.py"


def test_local_links_lead_somewhere():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", README):
        assert (ROOT / target).exists(), target


def test_the_table_of_methods_names_the_factors_of_each():
    for name in METHODS:
        factors = ", ".join(factor.name for factor in METHODS[name].factors)
        assert re.search(rf"^\| `{name}`.*\| {factors} \|", README, re.M), name


def test_every_name_in_the_examples_exists():
    for key in re.findall(r"--set ([a-z]+\.[a-z0-9]+)=", README):
        assert key in SLIDERS
    for name in re.findall(r"--strength ([a-z]+)=", README):
        assert name in FACTORS
    for name in METHODS:
        assert f"`{name}`" in README


if __name__ == "__main__":  # after new weights: python tests/test_readme.py
    table = f"<!-- weights: kept in step with weights/manifest.json by tests/test_readme.py -->\n{weights_table()}\n"
    (ROOT / "README.md").write_text(re.sub(r"<!-- weights:.*(?=<!-- /weights)", lambda _: table, README, flags=re.S))
