"""One kind of report for all evaluations: rows of numbers with units, how they came about, as JSON and as a table."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

from thgen.errors import OutputError

Value = float | int | str | None


@dataclass(frozen=True)
class Report:
    """A table with its protocol. `rows` share their keys, which name the unit; None or NaN: not measured."""

    name: str  # of the files, e.g. "rig"
    title: str
    rows: list[dict[str, Value]]
    protocol: str = ""  # one or two sentences: on what, how many, how
    settings: dict[str, Value] = field(default_factory=dict)

    def markdown(self) -> str:
        """The table with its protocol beneath, GitHub flavoured."""
        columns = list(dict.fromkeys(key for row in self.rows for key in row))
        lines = [f"### {self.title}", ""]
        if columns:
            lines.append("| " + " | ".join(columns) + " |")
            lines.append("|" + "|".join(" --- " if i == 0 else " ---: " for i in range(len(columns))) + "|")
            lines += ["| " + " | ".join(_shown(row.get(c)) for c in columns) + " |" for row in self.rows]
        if self.protocol:
            lines += ["", self.protocol]
        if self.settings:
            lines += ["", "Settings: " + ", ".join(f"{k} {_shown(v)}" for k, v in self.settings.items()) + "."]
        return "\n".join(lines) + "\n"

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write `<name>.json` and `<name>.md` into `folder`, made if need be. Raises OutputError."""
        paths = folder / f"{self.name}.json", folder / f"{self.name}.md"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            plain = _finite(asdict(self))
            paths[0].write_text(json.dumps(plain, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            paths[1].write_text(self.markdown(), encoding="utf-8")
        except OSError as error:
            raise OutputError(
                f"The report cannot be written to {folder} ({error.strerror}); choose another --out."
            ) from (error)
        return paths


def _shown(value: Value) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, float):
        if math.isinf(value):
            return "∞"
        return f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}" if abs(value) < 100 else f"{value:.0f}"
    return str(value)


def _finite(value: object) -> object:
    """JSON knows neither NaN nor infinity: both become null."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
