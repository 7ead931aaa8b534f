from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from thgen.errors import OutputError
from thgen.evaluation.report import Report
from thgen.weights import hub

REPORT = Report(
    "demo", "A demo",
    [{"": "floor", "PSNR": 20.123456, "EPE": float("nan")}, {"": "self", "PSNR": float("inf"), "n": 3}],
    "On nothing.", {"size": 256},
)  # fmt: skip


def test_markdown_holds_every_number_and_a_dash_for_what_was_not_measured() -> None:
    lines = REPORT.markdown().splitlines()
    assert lines[0] == "### A demo"
    assert lines[2] == "|  | PSNR | EPE | n |"
    assert lines[4] == "| floor | 20.12 | – | – |"
    assert lines[5] == "| self | ∞ | – | 3 |"
    assert "On nothing." in lines and "Settings: size 256." in lines


def test_small_numbers_keep_three_digits_and_large_ones_none() -> None:
    text = Report("x", "X", [{"a": 0.01234, "b": 1234.6, "c": -3.14159}]).markdown()
    assert "| 0.012 | 1235 | -3.14 |" in text


def test_further_tables_follow_with_titles_of_their_own() -> None:
    text = Report("x", "X", [{"a": 1}], parts=(REPORT,)).markdown()
    assert text.splitlines()[:6] == ["### X", "", "| a |", "| --- |", "| 1 |", ""]
    assert text.endswith("\n" + REPORT.markdown())


def test_files_are_plain_json_and_the_same_table(tmp_path: Path) -> None:
    report = Report("demo", "A demo", REPORT.rows, parts=(REPORT,), details={"a": [float("nan"), 1.5]})
    json_path, markdown_path = report.write(tmp_path / "new" / "folder")
    read = json.loads(json_path.read_text(encoding="utf-8"))
    assert read["rows"][0]["PSNR"] == 20.123456 and read["rows"][0]["EPE"] is None and read["rows"][1]["PSNR"] is None
    assert read["parts"][0]["settings"] == {"size": 256} and read["details"] == {"a": [None, 1.5]}
    assert markdown_path.read_text(encoding="utf-8") == report.markdown()


def test_a_page_says_how_to_measure_the_same_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "describe", lambda name: {"sha256": f"sha-of-{name}"})
    report = Report("demo", "A demo", REPORT.rows, weights=("analyser", "rig"))
    (path,) = report.write_page(tmp_path / "measured", "python -m thgen evaluate demo --size 256")
    assert path.name == "demo.md"
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# A demo" and lines[2] == "`python -m thgen evaluate demo --size 256`"
    assert lines[4].startswith(date.today().isoformat()) and "CPU cores" in lines[4]
    assert "analyser `sha-of-analyser`, rig `sha-of-rig`" in lines[4]
    assert "| floor | 20.12 | – | – |" in lines


def test_a_shared_table_has_its_numbers_and_origin_beside_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "describe", lambda name: {"sha256": f"sha-of-{name}"})
    report = Report("demo", "A demo", REPORT.rows, weights=("rig",), shared=True)
    page, numbers = report.write_page(tmp_path, "python -m thgen evaluate demo")
    read = json.loads(numbers.read_text(encoding="utf-8"))
    assert read["origin"]["command"] == "python -m thgen evaluate demo" and "CPU cores" in read["origin"]["machine"]
    assert read["origin"]["weights"] == {"rig": "sha-of-rig"} and read["origin"]["date"] == date.today().isoformat()
    again = Report("demo", "A demo", [row | {"PSNR": row["PSNR"] or float("inf")} for row in read["rows"]])
    assert again.table() == report.table() and report.table() in page.read_text(encoding="utf-8")


README = "Before.\n<!-- demo: written by a command -->\n| old |\n| --- |\n<!-- /demo -->\nAfter <!-- demo -->.\n"


def test_the_table_is_put_between_its_marks(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(README, encoding="utf-8")
    assert REPORT.write_into(path) == path
    text = path.read_text(encoding="utf-8")
    assert text == README.replace("| old |\n| --- |", REPORT.table())
    REPORT.write_into(path)
    assert path.read_text(encoding="utf-8") == text, "writing again changes nothing"


@pytest.mark.parametrize("text", ["nothing", README + README, README.replace("/demo", "/other"), None])
def test_a_file_without_one_place_for_the_table_stays_as_it_is(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "README.md"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(OutputError, match="cannot be read for the table" if text is None else "places? for this table"):
        REPORT.write_into(path)
    assert text is None or path.read_text(encoding="utf-8") == text


def test_a_folder_that_cannot_be_written_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="choose another --out"):
        REPORT.write(tmp_path / "file")
    with pytest.raises(OutputError, match="choose another --docs"):
        REPORT.write_page(tmp_path / "file", "")
