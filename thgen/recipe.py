"""Everything that makes a video again, as one small JSON file.

    {"thgen": 1, "method": "rig", "seed": 0, "face": 0, "size": 512, "paste_back": true, "max_side": 1080,
     "controls": {"values": {"pose.yaw": 10}, "strength": {"lip": 1.2}, "live": {"gaze": false}, "motion": "relative"},
     "files": {"photo": {"path": "me.jpg", "sha256": "..."}, "audio": {...}, "pose": {...}}}

A recipe holds no picture and no sound. The page writes it without `files`; the command line with them, so that
`generate --recipe in.json --out again.mp4` needs nothing else while the files lie where they lay.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from thgen.errors import ControlError, OutputError, shown
from thgen.io.files import regular_file
from thgen.schema import FACTORS, Controls

VERSION = 1
MAX_BYTES = 1 << 20
TOWARD = "_to"  # after the name of a factor: its second source
ROLES = ("photo", "audio", *FACTORS, *(name + TOWARD for name, f in FACTORS.items() if f.blends))  # of recorded files


@dataclass(frozen=True)
class SourceFile:
    """A file that went into a video: where it lay, and the SHA-256 of its bytes."""

    path: str
    sha256: str

    @classmethod
    def of(cls, path: str | Path) -> SourceFile:
        with open(path, "rb") as file:
            return cls(str(path), hashlib.file_digest(file, "sha256").hexdigest())

    def there(self) -> bool:
        """Whether a plain file lies there; a name that the system cannot take is none."""
        try:
            return Path(self.path).is_file()
        except (OSError, ValueError):
            return False

    def unchanged(self) -> bool:
        """Whether a file with the recorded content still lies there."""
        return self.there() and self.of(self.path).sha256 == self.sha256


@dataclass(frozen=True)
class Recipe:
    """The settings of a `Request`, and the files it used (role -> file; may be empty)."""

    method: str = "rig"
    seed: int = 0
    face: int = 0
    size: int = 512
    paste_back: bool = True
    max_side: int = 1080
    controls: Controls = field(default_factory=Controls)
    files: Mapping[str, SourceFile] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """What JSON holds; `from_dict` reads it back to an equal recipe."""
        settings = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("controls", "files")}
        result = {"thgen": VERSION, **settings, "controls": self.controls.to_dict()}
        if self.files:
            result["files"] = {role: asdict(file) for role, file in self.files.items()}
        return result

    @classmethod
    def from_dict(cls, data: object) -> Recipe:
        """Checks every key, type and range. Raises ControlError."""
        known = {"thgen", *(f.name for f in fields(cls))}
        data = _mapping(data, "recipe", known)
        if data.get("thgen", VERSION) != VERSION:
            raise ControlError(f"The recipe is of version {shown(data['thgen'])}; this thgen reads version {VERSION}.")
        kinds = {"method": str, "seed": int, "face": int, "size": int, "paste_back": bool, "max_side": int}
        settings = {key: _typed(key, data[key], kind) for key, kind in kinds.items() if key in data}
        controls = _mapping(data.get("controls", {}), "recipe's controls", {f.name for f in fields(Controls)})
        for name in ("values", "strength", "live", "blend"):
            _mapping(controls.get(name, {}), f"recipe's {name}", None)
        for name, on in controls.get("live", {}).items():
            _typed(f"live.{name}", on, bool)
        files = _mapping(data.get("files", {}), "recipe's files", set(ROLES))
        sources = {}
        for role, file in files.items():
            file = _mapping(file, f"recipe's {role} file", {"path", "sha256"})
            sources[role] = SourceFile(*(_typed(f"{role}.{k}", file.get(k), str) for k in ("path", "sha256")))
        return cls(**settings, controls=Controls(**controls), files=sources)


def _mapping(value: object, what: str, known: set[str] | None) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ControlError(f"The {what} must be a JSON object, not {type(value).__name__}.")
    for key in value:
        if known is not None and key not in known:
            raise ControlError(f"The {what} has an unknown key {shown(key)}; known are {', '.join(sorted(known))}.")
    return value


def _typed(key: str, value: object, kind: type) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ControlError(f"In the recipe {key!r} must be of type {kind.__name__}, not {shown(value)}.")
    return value


def save(recipe: Recipe, path: str | Path) -> None:
    """Write the recipe as JSON. Raises OutputError."""
    try:
        Path(path).write_text(json.dumps(recipe.to_dict(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"The recipe {shown(str(path))} cannot be written: {error.strerror}.") from error


def load(path: str | Path) -> Recipe:
    """Read a recipe. Raises ControlError: absent, too large, not JSON, or with an unknown or wrong entry."""
    path = regular_file(path, ControlError, "recipe", MAX_BYTES)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ControlError(f"The recipe {shown(str(path))} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise ControlError(f"The recipe {shown(str(path))} is not valid JSON.") from error
    return Recipe.from_dict(data)
