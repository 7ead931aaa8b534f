from __future__ import annotations

import json
from pathlib import Path

import pytest

from thgen.errors import OutputError
from thgen.evaluation.report import Report

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


def test_files_are_plain_json_and_the_same_table(tmp_path: Path) -> None:
    json_path, markdown_path = REPORT.write(tmp_path / "new" / "folder")
    read = json.loads(json_path.read_text(encoding="utf-8"))
    assert read["rows"][0]["PSNR"] == 20.123456 and read["rows"][0]["EPE"] is None and read["rows"][1]["PSNR"] is None
    assert markdown_path.read_text(encoding="utf-8") == REPORT.markdown()


def test_a_folder_that_cannot_be_written_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="choose another --out"):
        REPORT.write(tmp_path / "file")
