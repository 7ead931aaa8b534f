from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from thgen.__main__ import main
from thgen.cli import evaluate as cli
from thgen.evaluation.report import Report


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list:
    """Every evaluation answers at once; the arguments that it got."""
    asked: list = []

    def run(args) -> Report:
        asked.append(args)
        return Report("demo", "A demo", [{"what": args.what}])

    for module, _ in cli.EVALUATIONS.values():
        monkeypatch.setattr(f"{module}.run", run)
    return asked


def test_every_evaluation_is_offered_and_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["evaluate", "--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    for name, (_, about) in cli.EVALUATIONS.items():
        assert name in shown and about.split()[0] in shown
    assert "lips" in shown
    assert not any(line.split()[:1] == ["rig"] for line in shown.splitlines()), "old names are not offered"


@pytest.mark.parametrize("name", [*cli.EVALUATIONS, *cli.OLD_NAMES])
def test_each_has_its_own_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["evaluate", name, "--help"])
    shown = capsys.readouterr().out
    assert end.value.code == 0 and all(flag in shown for flag in ("--out", "--docs", "--into"))


def test_the_name_of_version_0_1_is_understood(said: list, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--method", "pd_fgc", "--identities", "3", "--out", str(tmp_path)]
    assert main(["evaluate", "rig", *words]) == 0
    assert "`evaluate rig` is now called `evaluate reenact`" in capsys.readouterr().err
    assert main(["evaluate", "reenact", *words]) == 0
    assert not capsys.readouterr().err
    old, new = (vars(args) for args in said)
    differs = {name for name in new if name not in ("what", "arguments") and old[name] != new[name]}
    assert not differs and new["method"] == "pd_fgc" and new["identities"] == 3


def test_a_report_is_printed_and_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "thgen.evaluation.cost.run", lambda args: Report("benchmark", "Speed", [{"size": args.sizes[0]}])
    )
    assert main(["evaluate", "benchmark", "--sizes", "128", "--out", str(tmp_path)]) == 0
    assert "| 128 |" in capsys.readouterr().out
    assert {p.name for p in tmp_path.iterdir()} == {"benchmark.json", "benchmark.md"}


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("reenact --method pd_fgc --frames 4", "reenact --method pd_fgc"),
        ("rig --identities 3", "reenact --identities 3"),
        ("variance --others zero", "variance --undriven zero"),
        ("drives 'a clip.mp4' me.png --sweep --hide-driver", "drives 'a clip.mp4' me.png --hide-driver --sweep"),
        ("benchmark --sizes 128 256", "benchmark --sizes 128 256"),
        ("lips a.wav b.wav --voices all", "lips a.wav b.wav --voices all"),
    ],
)
def test_a_page_names_the_command_that_measures_the_same(words: str, command: str, said: list, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    assert main(["evaluate", *shlex.split(words), "--out", str(tmp_path), "--docs", str(docs)]) == 0
    assert f"`python -m thgen evaluate {command}`" in (docs / "demo.md").read_text(encoding="utf-8")


def test_the_table_goes_into_a_page_that_shows_it(said: list, tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text("<!-- demo: -->\n<!-- /demo -->\n", encoding="utf-8")
    words = ["table", "--out", str(tmp_path), "--docs", str(tmp_path / "docs"), "--into", str(page)]
    assert main(["evaluate", *words]) == 0
    assert "| table |" in page.read_text(encoding="utf-8")
    assert "`python -m thgen evaluate table`" in (tmp_path / "docs/demo.md").read_text(encoding="utf-8")


def test_typed_errors_end_with_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "reenact", "--method", "none", "--out", str(tmp_path)]) == 2
    assert "no method 'none'" in capsys.readouterr().err
