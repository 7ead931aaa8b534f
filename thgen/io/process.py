"""A decoder or encoder in a process of its own: no wait is without end, each can be cancelled, no pipe blocks another.

A hostile file can make a decoder stand still, use a core for hours, or fill the memory. Inside this process that could
not be ended; a child process can.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from thgen.errors import ThgenError

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]

Tick = Callable[[], None]  # called at least every TICK_SECONDS while something waits; it may raise, which ends the wait

TICK_SECONDS = 0.25
STALL_SECONDS = 30.0  # without a byte in or out
CPU_SECONDS = 900
MEMORY_BYTES = 6 << 30  # of address space
LOG_BYTES = 8192  # of what a child says on stderr, its end is kept


def no_tick() -> None:
    """For callers that nobody can cancel."""


class Child:
    """A running command with pipes. Use it as a context manager: at the end of the block it runs no more.

        with Child(command, ClipError("..."), tick) as child:
            child.read_into(memoryview(buffer))

    stalled: raised when the command neither takes nor gives a byte for `stall` seconds.
    tick:    called while waiting; what it raises passes through.
    cpu, memory: limits in seconds and bytes of address space, where the system knows such limits.
    """

    def __init__(self, command: Sequence[str], stalled: ThgenError, tick: Tick = no_tick, *,
                 stall: float = STALL_SECONDS, cpu: int = CPU_SECONDS, memory: int = MEMORY_BYTES,
                 nice: int = 0, environment: Mapping[str, str] | None = None) -> None:  # fmt: skip
        self._stalled, self._tick, self._stall = stalled, tick, stall
        self._log = bytearray()
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0,
                                         env={**os.environ, **(environment or {})})  # fmt: skip
        _limit(self._process.pid, cpu, memory, nice)
        process = self._process
        assert process.stdin and process.stdout and process.stderr
        self._stdin, self._stdout, self._stderr = process.stdin, process.stdout, process.stderr
        os.set_blocking(self._stdin.fileno(), False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stderr, selectors.EVENT_READ)

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def log(self) -> bytes:
        """The end of what the command said on stderr."""
        return bytes(self._log)

    @property
    def exit_status(self) -> int | None:
        """As of `subprocess.Popen.returncode`; None while it runs."""
        return self._process.poll()

    def read_into(self, buffer: memoryview) -> int:
        """Fill the buffer from the command's output. Returns the bytes read: fewer than its size at the end."""
        done = 0
        while done < len(buffer):
            self._wait(self._stdout, selectors.EVENT_READ)
            count = self._stdout.readinto(buffer[done:])  # type: ignore[attr-defined]
            if not count:
                break
            done += count
        return done

    def read_line(self, longest: int = 80) -> bytes:
        """The next line of the command's output with its end; cut at `longest` bytes; b"" at the end."""
        line, byte = bytearray(), bytearray(1)
        while len(line) < longest and self.read_into(memoryview(byte)):
            line += byte
            if byte == b"\n":
                break
        return bytes(line)

    def read_all(self, longest: int) -> bytes:
        """All that the command still puts out, at most `longest` bytes."""
        buffer = bytearray(longest)
        return bytes(buffer[: self.read_into(memoryview(buffer))])

    def write(self, data: memoryview) -> None:
        """Hand all of `data` to the command. Raises BrokenPipeError when it has ended."""
        data = data.cast("B")
        while len(data):
            self._wait(self._stdin, selectors.EVENT_WRITE)
            with suppress(BlockingIOError):
                data = data[os.write(self._stdin.fileno(), data) :]

    def finish(self) -> int:
        """Close the command's input and wait for its end. Returns its exit status."""
        with suppress(BrokenPipeError):
            self._stdin.close()
        self._drain_log()
        deadline = time.monotonic() + self._stall
        while True:
            with suppress(subprocess.TimeoutExpired):
                return self._process.wait(TICK_SECONDS)
            self._check(deadline)

    def close(self) -> None:
        """End the command, whatever it does, and close its pipes."""
        if self._process.poll() is None:
            self._process.kill()
        self._selector.close()
        for pipe in (self._stdin, self._stdout, self._stderr):
            with suppress(BrokenPipeError):
                pipe.close()
        self._process.wait()

    def _wait(self, pipe: object, event: int) -> None:
        """Until the pipe is ready; meanwhile what the command says is taken, so that it never waits to say it."""
        deadline = time.monotonic() + self._stall
        key = self._selector.register(pipe, event)  # type: ignore[arg-type]
        try:
            while True:
                ready = [found.fileobj for found, _ in self._selector.select(TICK_SECONDS)]
                if self._stderr in ready:
                    self._take_log()
                if pipe in ready:
                    return
                self._check(deadline)
        finally:
            self._selector.unregister(key.fileobj)

    def _check(self, deadline: float) -> None:
        self._tick()
        if time.monotonic() > deadline:
            raise self._stalled

    def _take_log(self) -> bool:
        """Keep the end of what stands in the pipe; False at its end."""
        said = os.read(self._stderr.fileno(), 65_536)
        self._log = (self._log + said)[-LOG_BYTES:]
        if not said and self._stderr in {k.fileobj for k in self._selector.get_map().values()}:
            self._selector.unregister(self._stderr)
        return bool(said)

    def _drain_log(self) -> None:
        """Take what the command says until it closes its stderr."""
        deadline = time.monotonic() + self._stall
        while self._selector.get_map():
            if self._selector.select(TICK_SECONDS):
                self._take_log()
            else:
                self._check(deadline)


def _limit(pid: int, cpu: int, memory: int, nice: int) -> None:
    """Set the limits of a process that has just started; where it has ended already there is nothing to limit."""
    with suppress(OSError):
        if nice:
            os.setpriority(os.PRIO_PROCESS, pid, nice)
        if resource is not None and hasattr(resource, "prlimit"):
            resource.prlimit(pid, resource.RLIMIT_CPU, (cpu, cpu + 1))
            resource.prlimit(pid, resource.RLIMIT_AS, (memory, memory))
