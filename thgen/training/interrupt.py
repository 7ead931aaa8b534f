"""SIGINT and SIGTERM during a training: the loop finishes its step and saves a checkpoint before it stops."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def interruptible() -> Iterator[list[int]]:
    """Yields a list that gets the numbers of the signals; the loop reads it after each step."""
    caught: list[int] = []
    handlers = {}
    owner = os.getpid()

    def catch(number: int, _: object) -> None:
        if os.getpid() == owner:
            caught.append(number)
        else:  # a forked data worker inherits this handler; it must end at once
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(ValueError):  # outside of the main thread no handler can be set
            handlers[number] = signal.signal(number, catch)
    try:
        yield caught
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
