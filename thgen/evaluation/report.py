"""The report of every evaluation: a table of numbers and the way of measurement, as JSON and as markdown."""

from __future__ import annotations

import json
import math
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from thgen.errors import OutputError

Value = float | int | str | None


@dataclass(frozen=True)
class Report:
    """A table and the way in which it was measured.

    name:     of its files, for example "talk"; reports with different settings need different names
    title:    heading of the table
    rows:     all with the same keys, which are the columns and contain the unit; None or NaN: not measured
    protocol: what was measured, on which data and how many, in a few sentences
    settings: name -> value, printed below the table
    weights:  names in the manifest of the networks that were measured
    parts:    further tables of the same command
    details:  further numbers, in the JSON only
    shared:   other pages show the table, too, and are compared with the JSON beside its own page
    """

    name: str
    title: str
    rows: list[dict[str, Value]]
    protocol: str = ""
    settings: dict[str, Value] = field(default_factory=dict)
    weights: tuple[str, ...] = ()
    parts: tuple[Report, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    shared: bool = False

    def markdown(self) -> str:
        """The tables, each with its protocol, as GitHub's markdown."""
        return f"### {self.title}\n\n{self._body()}" + self._further()

    def page(self, command: str) -> str:
        """The markdown of a page of the documentation: the tables, and what is needed to measure them again.

        command: the command line that made the report. Raises WeightsError.
        """
        origin = self.origin(command)
        ran = ", ".join(f"{name} `{sha}`" for name, sha in origin["weights"].items()) or "none"
        told = f"`{command}`\n\n{origin['date']}, {origin['machine']}; weights: {ran}.\n\n"
        return f"# {self.title}\n\n{told}{self._body()}" + self._further()

    def origin(self, command: str) -> dict[str, Any]:
        """What is needed to measure the same again: command, date, machine, first digits of the weights' SHA-256.

        Raises WeightsError.
        """
        from thgen.weights import hub

        weights = {name: hub.describe(name)["sha256"] for name in self.weights}
        return {"command": command, "date": date.today().isoformat(), "machine": machine(), "weights": weights}

    def table(self) -> str:
        """The rows alone, as GitHub's markdown; "" without rows."""
        columns = list(dict.fromkeys(key for row in self.rows for key in row))
        if not columns:
            return ""
        lines = ["| " + " | ".join(columns) + " |"]
        lines.append("|" + "|".join(" --- " if i == 0 else " ---: " for i in range(len(columns))) + "|")
        return "\n".join(lines + ["| " + " | ".join(_shown(row.get(c)) for c in columns) + " |" for row in self.rows])

    def _further(self) -> str:
        return "".join(f"\n{part.markdown()}" for part in self.parts)

    def _body(self) -> str:
        blocks = [self.table()] if self.rows else []
        if self.protocol:
            blocks.append(self.protocol)
        if self.settings:
            blocks.append("Settings: " + ", ".join(f"{k} {_shown(v)}" for k, v in self.settings.items()) + ".")
        return "\n\n".join(blocks) + "\n" if blocks else ""

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write `<name>.json` and `<name>.md` into `folder`, which is made if it is missing. Raises OutputError."""
        return _write(folder / f"{self.name}.json", self._json(), "--out"), _write(
            folder / f"{self.name}.md", self.markdown(), "--out"
        )

    def write_page(self, folder: Path, command: str) -> list[Path]:
        """Write `page` to `<name>.md` in `folder`, which is made if it is missing; `<name>.json` too, with the origin,
        if other pages show this table (`shared`). Raises OutputError, WeightsError."""
        paths = [_write(folder / f"{self.name}.md", self.page(command), "--docs")]
        if self.shared:
            paths.append(_write(folder / f"{self.name}.json", self._json(self.origin(command)), "--docs"))
        return paths

    def write_into(self, path: Path) -> Path:
        """Replace what stands between `<!-- NAME: ... -->` and `<!-- /NAME -->` in a file by the table, NAME being the
        report's. Raises OutputError if the file cannot be read or has no such place."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise OutputError(f"{path} cannot be read for the table ({error}); choose another --into.") from error
        place = re.compile(rf"(<!-- {self.name}:[^\n]*-->\n).*?(<!-- /{self.name} -->)", re.S)
        changed, count = place.subn(lambda found: f"{found[1]}{self.table()}\n{found[2]}", text)
        if count != 1:
            places = f"{count} places" if count else "no place"
            raise OutputError(
                f"{path} has {places} for this table; it needs one pair of lines: <!-- {self.name}: --> and "
                f"<!-- /{self.name} -->."
            )
        return _write(path, changed, "--into")

    def _json(self, origin: Mapping[str, Any] | None = None) -> str:
        """All numbers, and where they come from, if that is given."""
        numbers = {**({"origin": origin} if origin else {}), **asdict(self)}
        return json.dumps(_finite(numbers), indent=2, ensure_ascii=False, default=float) + "\n"


def machine() -> str:
    """The machine of the measurement, in words."""
    import torch

    device = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{os.cpu_count()} CPU cores ({platform.machine()}){device}, PyTorch {torch.__version__}"


def _write(path: Path, text: str, option: str) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"The report cannot be written to {path.parent} ({error.strerror}); choose another {option}."
        ) from error
    return path


def _shown(value: Value) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, float):
        if math.isinf(value):
            return "∞"
        return f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}" if abs(value) < 100 else f"{value:.0f}"
    return str(value)


def _finite(value: object) -> object:
    """JSON has neither NaN nor infinity: both become null."""
    if isinstance(value, Mapping):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
