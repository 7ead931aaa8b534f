"""Paths that users name: plain files to read, and names to write to."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from thgen.errors import OutputError, ThgenError, shown

PathLike = str | os.PathLike[str]
NAME_MAX_BYTES = 255  # of one name, on every common file system


def regular_file(path: PathLike, error: type[ThgenError], what: str, max_bytes: int) -> Path:
    """The path, once it is known to be a plain file of at most `max_bytes`. A pipe or a device would never end.

    what: the kind of file for the sentence, for example "photo". Raises `error`.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise error(f"There is no {what} file {shown(str(path))}.")
        size = path.stat().st_size
    except (OSError, ValueError) as cause:
        reason = getattr(cause, "strerror", None) or "its name cannot be used"
        raise error(f"The {what} file {shown(str(path))} cannot be opened: {reason}.") from cause
    if size == 0:
        raise error(f"The {what} file {shown(path.name)} is empty.")
    if size > max_bytes:
        raise error(f"The {what} file {shown(path.name)} is larger than {max_bytes >> 20} MB; give a smaller one.")
    return path


def check_output(path: PathLike, suffix: str = ".mp4", inputs: Iterable[PathLike] = ()) -> Path:
    """The path, once it is known that a file can be written there and that it replaces none of `inputs`.

    Leaves nothing behind. Raises OutputError.
    """
    path = Path(path)
    if path.suffix.lower() != suffix or "\0" in str(path):
        raise OutputError(f"The output {shown(str(path))} must be a file name that ends in {suffix}.")
    if len(os.fsencode(path.name)) > NAME_MAX_BYTES:
        raise OutputError(f"The name of the output is longer than {NAME_MAX_BYTES} bytes; give a shorter one.")
    try:
        if path.is_dir():
            raise OutputError(f"The output {shown(str(path))} is a folder; name a file.")
        if not path.parent.is_dir():
            raise OutputError(f"The folder {shown(str(path.parent))} does not exist; create it first.")
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise OutputError(f"Nothing can be written to {shown(str(path.parent))}: {error.strerror}.") from error
    for source in inputs:
        if _same_file(path, source):
            raise OutputError(f"The output {shown(str(path))} would replace one of the inputs; give another name.")
    return path


def _same_file(one: Path, other: PathLike) -> bool:
    """Whether two paths name one existing file, through links of any kind."""
    try:
        return os.path.samefile(one, other)
    except (OSError, ValueError):
        return False


def part_file(path: Path, stack: ExitStack) -> Path:
    """An empty file beside `path`. The stack removes it if it still lies there. Raises OutputError.

    Its name does not contain the name of `path`: that may be as long as the file system allows.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=".thgen-", suffix=".part", dir=path.parent)
    except OSError as error:
        raise OutputError(f"{shown(str(path))} cannot be written: {error.strerror}.") from error
    os.close(handle)
    part = Path(name)
    stack.callback(part.unlink, missing_ok=True)
    mask = os.umask(0)
    os.umask(mask)
    part.chmod(0o666 & ~mask)  # mkstemp's 0600 would stay on the finished file
    return part
