"""Checks of paths from users: files to read, and file names to write to."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from thgen.errors import OutputError, ThgenError, shown

PathLike = str | os.PathLike[str]
NAME_MAX_BYTES = 255  # bytes: longest file name on common file systems


def regular_file(path: PathLike, error: type[ThgenError], what: str, max_bytes: int) -> Path:
    """Check that a path is a plain file with 1 to `max_bytes` bytes, and return it as Path.

    A pipe or a device is refused, since reading it might never end. what: kind of file in the error message, such as
    "photo". Raises `error`.
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
    """Check that a file can be written to a path and would replace none of `inputs`, and return it as Path.

    suffix: required ending of the name. Creates no file. Raises OutputError.
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
    """Whether two paths lead to the same existing file, also through links."""
    try:
        return os.path.samefile(one, other)
    except (OSError, ValueError):
        return False


def part_file(path: Path, stack: ExitStack) -> Path:
    """Create an empty temporary file in the folder of `path`. `stack` removes it, unless it was renamed before.

    Its name does not contain the name of `path`, which may have the maximum length. Raises OutputError.
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
    part.chmod(0o666 & ~mask)  # mkstemp sets 0600, which the finished file would keep
    return part
