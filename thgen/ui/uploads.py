"""Which files a visitor may name: what was uploaded to this server, and the media of the examples. Nothing else.

A file arrives as the path that the upload answered, in one of the shapes that gradio's clients send. Every other path
ends in one and the same sentence, whether a file lies there or not.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from thgen.errors import ThgenError

KEPT_SECONDS = 3600.0  # an upload, and a result, is deleted after this time


def uploaded_path(value: Any, what: str, error: type[ThgenError], uploads: Path, media: Iterable[Path]) -> str | None:
    """The path of a file as gradio's clients send it; None where none was given.

    value:   a path, {"path": ...}, {"video": {"path": ...}}, None or ""
    what:    the kind of file for the sentence, for example "photo"
    uploads: the folder into which the server puts uploads
    media:   other files that may be named

    Links are followed before it is decided. Raises `error` for everything else.
    """
    if isinstance(value, Mapping) and isinstance(value.get("video"), Mapping):
        value = value["video"]
    if isinstance(value, Mapping):
        value = value.get("path") or False  # an object without a path names no file, but it is not nothing
    if value is None or value == "":
        return None
    path = _resolved(value, uploads) or _one_of(value, media)
    if path is None:
        raise error(
            f"The {what} is not a file that was uploaded to this server: upload it first, or once more if that was "
            f"about {KEPT_SECONDS / 3600:.0f} hour ago."
        )
    return path


def _resolved(value: Any, uploads: Path) -> str | None:
    """The path without links, if it names a plain file below `uploads`."""
    if not isinstance(value, str) or "\0" in value:
        return None
    folders = (os.path.abspath(uploads), os.path.realpath(uploads))
    # First by its name alone: a path elsewhere is not even looked at, so that nothing tells whether it exists.
    if not any(_below(os.path.abspath(value), folder) for folder in folders):
        return None
    try:
        path = Path(value).resolve(strict=True)
        return str(path) if path.is_file() and _below(str(path), folders[1]) else None
    except (OSError, RuntimeError, ValueError):  # absent, a loop of links, a name that no file can have
        return None


def _below(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip(os.sep) + os.sep)


def _one_of(value: Any, media: Iterable[Path]) -> str | None:
    return next((str(path) for path in media if isinstance(value, str) and value == str(path)), None)


def names_a_file(value: Any) -> bool:
    """Whether a gradio file lies somewhere inside a value that is no file itself, for example among the controls."""
    if isinstance(value, Mapping):
        return ("path" in value and "meta" in value) or any(names_a_file(v) for v in value.values())
    return isinstance(value, list | tuple) and any(names_a_file(v) for v in value)
