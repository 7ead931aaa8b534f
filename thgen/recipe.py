"""A recipe: one small JSON file with all settings and file names that are needed to make a video again.

    {"thgen": 2, "method": "rig", "seed": 0, "face": 0, "size": 512, "paste_back": true, "max_side": 1080,
     "controls": {"values": {"pose.yaw": 10}, "strength": {"lip": 1.2}, "idle": {"gaze": false}, "motion": "relative"},
     "files": {"photo": {"path": "me.jpg", "sha256": "..."}, "audio": {...}, "pose": {...}}}

A recipe contains no picture and no sound. The page writes it without `files`, the command line with them. Then
`generate --recipe in.json --out again.mp4` needs no other flag, as long as the files have not moved.

Version 1 had other names (`settings.OLD_NAMES`); thgen reads it, too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import field_validator

from thgen.errors import ControlError, OutputError, shown
from thgen.io.files import regular_file
from thgen.settings import Model, Settings, Whole, all_factors, plain

VERSION = 2
READS = (1, VERSION)
MAX_BYTES = 1 << 20
SECOND = "_to"  # suffix of a factor's name in `files`: the factor's second source


class SourceFile(Model):
    """An input file of a video: its path, and the SHA-256 of its bytes."""

    path: str
    sha256: str

    @classmethod
    def of(cls, path: str | Path) -> SourceFile:
        with open(path, "rb") as file:
            return cls(path=str(path), sha256=hashlib.file_digest(file, "sha256").hexdigest())

    def there(self) -> bool:
        """Whether the path is a regular file. False also for a path that the system does not allow."""
        try:
            return Path(self.path).is_file()
        except (OSError, ValueError):
            return False

    def unchanged(self) -> bool:
        """Whether the file still exists with the recorded content."""
        return self.there() and self.of(self.path).sha256 == self.sha256


def roles(photos: int = 1) -> tuple[str, ...]:
    """Possible keys of `files`: photo, photo_2 to photo_<photos>, audio, clip, <factor>, <factor>_to."""
    factors = all_factors()
    more = tuple(f"photo_{n}" for n in range(2, photos + 1))
    return ("photo", *more, "audio", "clip", *factors, *(name + SECOND for name, f in factors.items() if f.blends))


class Recipe(Settings):
    """The settings of a video, and the files it used (role -> file; may be empty)."""

    files: Mapping[str, SourceFile] = {}

    @field_validator("files", mode="before")
    @classmethod
    def _known_roles(cls, value: Any, info: Any) -> dict[str, SourceFile]:
        files = _mapping(value, "recipe's files")
        known = roles(1 + max(0, len([role for role in files if role.startswith("photo_")])))
        for role in files:
            if role not in known:
                raise ControlError(f"The recipe's files have an unknown key {shown(role)}; known: {', '.join(known)}.")
        return {role: _source(role, file) for role, file in files.items()}

    @classmethod
    def of(cls, settings: Settings) -> Recipe:
        """A recipe from settings alone, without files."""
        return cls(**{name: getattr(settings, name) for name in Settings.model_fields})

    def to_dict(self) -> dict[str, Any]:
        """The content of the JSON file; `from_dict` is the inverse."""
        return {"thgen": VERSION, **self.model_dump(mode="json", exclude=None if self.files else {"files"})}

    @classmethod
    def from_dict(cls, data: object) -> Recipe:
        """Checks every key, type and range. Raises MethodError, ControlError."""
        given = dict(_mapping(data, "recipe"))
        version = given.pop("thgen", VERSION)
        if version not in READS:
            raise ControlError(f"The recipe is of version {shown(version)}; this thgen reads version {VERSION} and 1.")
        given["controls"] = dict(_mapping(given.get("controls", {}), "recipe's controls"))
        for name, (model, spec) in plain().items():  # JSON has types, so a seed "7" (text) is an error
            value = (given if issubclass(Settings, model) else given["controls"]).get(name, 0)
            if isinstance(spec, Whole) and (not isinstance(value, int) or isinstance(value, bool)):
                raise ControlError(f"In the recipe {name!r} must be a whole number, not {shown(value)}.")
        return cls(**given)


def _mapping(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ControlError(f"The {what} must be a JSON object, not {type(value).__name__}.")
    return value


def _source(role: str, file: object) -> SourceFile:
    if isinstance(file, SourceFile):
        return file
    entry = _mapping(file, f"recipe's {role} file")
    if set(entry) != {"path", "sha256"} or not all(isinstance(v, str) for v in entry.values()):
        raise ControlError(f"The recipe's {role} file needs the texts path and sha256, not {shown(dict(entry))}.")
    return SourceFile(**entry)


def save(recipe: Recipe, path: str | Path) -> None:
    """Write the recipe as JSON. Raises OutputError."""
    try:
        Path(path).write_text(json.dumps(recipe.to_dict(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"The recipe {shown(str(path))} cannot be written: {error.strerror}.") from error


def load(path: str | Path) -> Recipe:
    """Read a recipe. Raises ControlError (absent, too large, not JSON, an unknown or wrong entry) and MethodError."""
    path = regular_file(path, ControlError, "recipe", MAX_BYTES)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ControlError(f"The recipe {shown(str(path))} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise ControlError(f"The recipe {shown(str(path))} is not valid JSON.") from error
    return Recipe.from_dict(data)
