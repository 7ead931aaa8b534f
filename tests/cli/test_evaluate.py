from __future__ import annotations

from pathlib import Path

import pytest

from thgen.__main__ import main
from thgen.cli import evaluate as cli
from thgen.evaluation.report import Report


def test_every_evaluation_is_offered_and_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["evaluate", "--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    for name, (_, about) in cli.EVALUATIONS.items():
        assert name in shown and about.split()[0] in shown
    assert "lips" in shown


@pytest.mark.parametrize("name", [*cli.EVALUATIONS, "lips"])
def test_each_has_its_own_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["evaluate", name, "--help"])
    assert end.value.code == 0 and "--out" in capsys.readouterr().out


def test_a_report_is_printed_and_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "thgen.evaluation.cost.run", lambda args: Report("benchmark", "Speed", [{"size": args.sizes[0]}])
    )
    assert main(["evaluate", "benchmark", "--sizes", "128", "--out", str(tmp_path)]) == 0
    assert "| 128 |" in capsys.readouterr().out
    assert {p.name for p in tmp_path.iterdir()} == {"benchmark.json", "benchmark.md"}


def test_typed_errors_end_with_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "rig", "--method", "none", "--out", str(tmp_path)]) == 2
    assert "no method 'none'" in capsys.readouterr().err
