"""SIGINT and SIGTERM while a stage trains: the step at hand is finished and saved first."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def interruptible() -> Iterator[list[int]]:
    """Yields a list that collects the numbers of the signals; the loop looks at it after each step."""
    caught: list[int] = []
    handlers = {}
    owner = os.getpid()

    def catch(number: int, _: object) -> None:
        if os.getpid() == owner:
            caught.append(number)
        else:  # a forked data worker that inherited this handler must still be possible to end
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(ValueError):  # not in the main thread: signals stay as they are
            handlers[number] = signal.signal(number, catch)
    try:
        yield caught
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
