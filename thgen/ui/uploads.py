"""Checks the files that a visitor names. Allowed are uploads to this server and the media of the examples.

A file arrives as the path that the upload returned, in one of the forms that gradio's clients send. All other paths
give the same error, whether the file exists or not.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from thgen.errors import ThgenError

KEPT_SECONDS = 3600.0  # age at which uploads and results are deleted


def uploaded_path(value: Any, what: str, error: type[ThgenError], uploads: Path, media: Iterable[Path]) -> str | None:
    """The path of a file as gradio's clients send it; None if no file was given.

    value:   a path, {"path": ...}, {"video": {"path": ...}}, None or ""
    what:    the kind of file for the message, for example "photo"
    uploads: the folder of the server's uploads
    media:   other allowed files

    Links are resolved before the check. Raises `error` for all other values.
    """
    if isinstance(value, Mapping) and isinstance(value.get("video"), Mapping):
        value = value["video"]
    if isinstance(value, Mapping):
        value = value.get("path") or False  # an object without a path is an error, not a missing file
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
    """The resolved path if it is a regular file below `uploads`, else None."""
    if not isinstance(value, str) or "\0" in value:
        return None
    folders = (os.path.abspath(uploads), os.path.realpath(uploads))
    # The name is checked first. Other paths are never accessed, so no timing or error reveals whether they exist.
    if not any(_below(os.path.abspath(value), folder) for folder in folders):
        return None
    try:
        path = Path(value).resolve(strict=True)
        return str(path) if path.is_file() and _below(str(path), folders[1]) else None
    except (OSError, RuntimeError, ValueError):  # absent, a loop of links, or an invalid name
        return None


def _below(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip(os.sep) + os.sep)


def _one_of(value: Any, media: Iterable[Path]) -> str | None:
    return next((str(path) for path in media if isinstance(value, str) and value == str(path)), None)


def names_a_file(value: Any) -> bool:
    """Whether a value that is not a file, for example the controls, contains a gradio file."""
    if isinstance(value, Mapping):
        return ("path" in value and "meta" in value) or any(names_a_file(v) for v in value.values())
    return isinstance(value, list | tuple) and any(names_a_file(v) for v in value)
