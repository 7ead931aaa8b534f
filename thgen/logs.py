"""Show the records of thgen's loggers on stderr. Each program switches this on once, at its start.

Each module has a logger of its own name, `logging.getLogger(__name__)`. Warnings and errors are always shown. The flag
--verbose of the command line also shows what was loaded, from where, and how long it took. THGEN_LOG=info does the same
for every program, app.py included.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from thgen.errors import ControlError, shown

VARIABLE = "THGEN_LOG"
LEVELS = ("debug", "info", "warning", "error")
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def level_of(environment: Mapping[str, str] = os.environ) -> int:
    """The level of `logging` that THGEN_LOG names, WARNING where it is not set. Raises ControlError for others."""
    word = environment.get(VARIABLE, "").lower() or "warning"
    if word not in LEVELS:
        raise ControlError(f"{VARIABLE} must be one of {', '.join(LEVELS)}, not {shown(word)}.")
    return int(getattr(logging, word.upper()))


def show(level: int) -> logging.Handler:
    """From now on, write the records of thgen's loggers at `level` or above to stderr. Returns the handler."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(level)
    handler.setFormatter(logging.Formatter(FORMAT, "%H:%M:%S"))
    logger = logging.getLogger("thgen")
    logger.addHandler(handler)
    if level < logger.getEffectiveLevel():
        logger.setLevel(level)
    return handler


@contextmanager
def showing(level: int) -> Iterator[None]:
    """`show` until the end of the block; then all is as before."""
    logger = logging.getLogger("thgen")
    before = logger.level
    handler = show(level)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
