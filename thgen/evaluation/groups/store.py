"""Results of an evaluation on disk, one small file per row and person, so that a stopped evaluation can go on."""

from __future__ import annotations

import hashlib
import json
import os
import re
import zipfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from thgen.errors import OutputError, shown
from thgen.io.files import part_file

Arrays = dict[str, np.ndarray]  # name -> what was measured of one person
DIGITS = 16  # hex digits of a key in a folder's name


class Store:
    """Arrays by key and person. A file gets its name only when it is complete; several processes may share a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, label: str, key: str, person: int) -> Arrays | None:
        """The arrays that were saved under the same words; None where there are none, or the file is damaged."""
        try:
            with np.load(self._path(label, key, person), allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
            return None

    def save(self, label: str, key: str, person: int, arrays: Arrays) -> None:
        """Raises OutputError."""
        path = self._path(label, key, person)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with ExitStack() as stack:
                part = part_file(path, stack)
                with part.open("wb") as file:
                    np.savez(file, allow_pickle=False, **arrays)
                os.replace(part, path)
        except OSError as error:
            raise OutputError(
                f"Results cannot be written to {shown(str(path.parent))} ({error.strerror}); choose another --out."
            ) from error

    def _path(self, label: str, key: str, person: int) -> Path:
        """label: words for people; key: all that the arrays depend on, see `key_of`."""
        return self.folder / f"{re.sub(r'[^a-z0-9.]+', '_', label.lower())}-{key}" / f"{person:04d}.npz"


def key_of(facts: Mapping[str, object]) -> str:
    """A short key that differs where any fact does. Facts are plain values, as in JSON."""
    text = json.dumps(facts, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]
