"""weights/manifest.json: the existing weights, with their contents and origin.

    {"weights": {"<name>": {"file": "<name>/model.safetensors", "sha256": ..., "bytes": ..., ...}}}

The format is deterministic: sorted keys, two spaces, one final newline.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path, PurePosixPath
from typing import Any

from thgen.errors import WeightsError

BUNDLED = Path(__file__).resolve().parents[2] / "weights"
MANIFEST = "manifest.json"
HIGHER, LOWER, NEITHER = "higher", "lower", "neither"  # which of two values of a score is better
LICENCE = "MIT; trained on renders of the ICT FaceKit head (c) USC Institute for Creative Technologies, MIT"


@dataclass(frozen=True)
class Entry:
    """One weights file.

    file:     path inside the weights folder and inside the Hub repository, ends in .safetensors
    network:  class key of `thgen.weights.hub.NETWORKS`
    config:   arguments of the network's constructor
    data, steps, minutes, hardware: training data, length of the training, and its machine
    scores:   results of the last validation
    better:   score -> HIGHER or LOWER, for the scores that measure quality
    bytes:    size of the file; 0 = unknown (weights of others, see training.priors)
    revision: commit of the Hub repository that contains this file; None before the first push
    """

    file: str
    sha256: str
    bytes: int
    network: str
    config: dict[str, Any] = field(default_factory=dict)
    data: str = ""
    steps: int = 0
    minutes: float = 0.0
    hardware: str = ""
    licence: str = LICENCE
    scores: dict[str, float] = field(default_factory=dict)
    better: dict[str, str] = field(default_factory=dict)
    revision: str | None = None


def read_manifest(folder: Path) -> dict[str, Entry]:
    """All entries by name. Raises WeightsError if the manifest is absent or malformed."""
    path = folder / MANIFEST
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise WeightsError(
            f"There is no weights manifest at {path}; run thgen from a checkout of its repository."
        ) from error
    except (OSError, ValueError) as error:
        raise WeightsError(f"The weights manifest {path} cannot be read: {error}.") from error
    if not isinstance(raw, dict) or not isinstance(raw.get("weights"), dict):
        raise WeightsError(f"The weights manifest {path} needs a mapping 'weights'.")
    return {name: _entry(path, name, entry) for name, entry in raw["weights"].items()}


def write_manifest(folder: Path, entries: Mapping[str, Entry]) -> None:
    """Replace the manifest atomically."""
    text = json.dumps({"weights": {n: asdict(e) for n, e in entries.items()}}, indent=2, sort_keys=True) + "\n"
    part = folder / f".{MANIFEST}.{os.getpid()}"
    part.write_text(text, encoding="utf-8")
    part.replace(folder / MANIFEST)


def update_manifest(folder: Path, changes: Mapping[str, Entry]) -> None:
    """Add or replace entries, under a lock: several trainings may run at the same time."""
    from filelock import FileLock

    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(str(folder / f".{MANIFEST}.lock")):
        entries = read_manifest(folder) if (folder / MANIFEST).is_file() else {}
        write_manifest(folder, {**entries, **changes})


def _entry(path: Path, name: str, raw: Any) -> Entry:
    known = {f.name: f for f in fields(Entry)}
    if not isinstance(raw, dict) or not set(raw) <= set(known):
        extra = ", ".join(sorted(set(raw) - set(known))) if isinstance(raw, dict) else "no mapping"
        raise WeightsError(f"{path}: the entry {name!r} has fields that this version does not know: {extra}.")
    missing = [n for n, f in known.items() if n not in raw and f.default is MISSING and f.default_factory is MISSING]
    if missing:
        raise WeightsError(f"{path}: the entry {name!r} lacks: {', '.join(missing)}.")
    entry = Entry(**raw)
    if not re.fullmatch(r"[0-9a-f]{64}", str(entry.sha256)):
        raise WeightsError(f"{path}: the entry {name!r} needs a SHA-256 of 64 hex digits.")
    if entry.revision is not None and not re.fullmatch(r"[0-9a-f]{40}", str(entry.revision)):
        raise WeightsError(f"{path}: the revision of {name!r} must be a full commit of 40 hex digits, not a branch.")
    inside = PurePosixPath(entry.file)
    if inside.suffix != ".safetensors" or inside.is_absolute() or ".." in inside.parts:
        raise WeightsError(f"{path}: {name!r} must be a .safetensors file inside the weights folder, not {entry.file}.")
    return entry
