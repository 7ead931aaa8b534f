"""The bounds of every hostile input: time, memory, processes and files left, and the form of the sentence."""

from __future__ import annotations

import contextlib
import re
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from thgen.errors import ThgenError, UnexpectedError

ADDRESS = re.compile(r"0x[0-9a-f]{5}")
MEGABYTE = 1 << 20
SECONDS, MEMORY = 40.0, 1500 * MEGABYTE  # of one input; the decoder of a photo may take 10 s of a core


class TooSlowError(Exception):
    """An input held up the reader for longer than SECONDS."""


@dataclass
class Cost:
    """What one input took: seconds, and bytes that this process and its children held beyond what they held before."""

    seconds: float = 0.0
    memory: int = 0


@contextlib.contextmanager
def watched(folder: Path, seconds: float = SECONDS, memory: int = MEMORY) -> Iterator[Cost]:
    """Run the block with `folder` for temporary files. Raises TooSlowError, AssertionError."""
    cost, stop = Cost(), threading.Event()
    process = psutil.Process()
    before = process.memory_info().rss
    children = set(process.children(recursive=True))

    def sample() -> None:
        while not stop.wait(0.05):  # memory that breaks the bound takes longer to fill; each look costs milliseconds
            held = 0
            for one in [process, *process.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    held += one.memory_info().rss
            cost.memory = max(cost.memory, held - before)

    def late(*_: object) -> None:
        raise TooSlowError(f"more than {seconds} s")

    sampler = threading.Thread(target=sample, daemon=True)
    old_folder, tempfile.tempdir = tempfile.tempdir, str(folder)
    old_alarm = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    sampler.start()
    begin = time.monotonic()
    try:
        yield cost
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old_alarm)
        tempfile.tempdir = old_folder
        cost.seconds = time.monotonic() - begin
        stop.set()
        sampler.join()
    assert cost.memory < memory, f"{cost.memory / MEGABYTE:.0f} MB"
    assert list(folder.iterdir()) == [], "files were left"
    assert set(process.children(recursive=True)) <= children, "processes were left"


def is_sentence(error: ThgenError) -> bool:
    """Whether a message is fit for a visitor: typed, one line, not long, without addresses, paths and raw bytes."""
    text = str(error)
    clean = text.isprintable() and len(text) <= 600 and not ADDRESS.search(text) and "Traceback" not in text
    return clean and not isinstance(error, UnexpectedError) and text.endswith(".") and "/tmp" not in text
