"""A decoder or encoder as a child process. Every wait has a time limit and can be cancelled; no pipe blocks another.

A hostile file can make a decoder hang, use a core for hours or fill the memory. A child process can be ended; a decoder
inside this process could not.
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
except ImportError:  # Windows has no resource limits
    resource = None  # type: ignore[assignment]

Tick = Callable[[], None]  # called at least every TICK_SECONDS during a wait; an exception from it ends the wait

TICK_SECONDS = 0.25
STALL_SECONDS = 30.0  # longest time without a byte of input or output
CPU_SECONDS = 900
MEMORY_BYTES = 6 << 30  # address space
LOG_BYTES = 8192  # the last bytes of stderr that are kept


def no_tick() -> None:
    """Tick of callers that cannot be cancelled."""


class Child:
    """A running command with pipes. Use it as a context manager: the end of the block ends the command.

        with Child(command, ClipError("..."), tick) as child:
            child.read_into(memoryview(buffer))

    stalled: exception for a command that takes and gives no byte for `stall` seconds.
    tick: called during every wait; its exceptions pass through.
    cpu, memory: limits in seconds and in bytes of address space, on systems that have them.
    nice: priority of the process, 0 to 19, larger is lower. environment: additional environment variables.
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
        """The last LOG_BYTES that the command wrote to stderr."""
        return bytes(self._log)

    @property
    def exit_status(self) -> int | None:
        """As `subprocess.Popen.returncode`; None while the command runs."""
        return self._process.poll()

    def read_into(self, buffer: memoryview) -> int:
        """Fill the buffer from the command's output. Returns the number of bytes: less than its size at the end."""
        done = 0
        while done < len(buffer):
            self._wait(self._stdout, selectors.EVENT_READ)
            count = self._stdout.readinto(buffer[done:])  # type: ignore[attr-defined]
            if not count:
                break
            done += count
        return done

    def read_line(self, longest: int = 80) -> bytes:
        """The next line of output with its newline, at most `longest` bytes; b"" at the end of the output."""
        line, byte = bytearray(), bytearray(1)
        while len(line) < longest and self.read_into(memoryview(byte)):
            line += byte
            if byte == b"\n":
                break
        return bytes(line)

    def read_all(self, longest: int) -> bytes:
        """The rest of the output, at most `longest` bytes."""
        buffer = bytearray(longest)
        return bytes(buffer[: self.read_into(memoryview(buffer))])

    def write(self, data: memoryview) -> None:
        """Write all of `data` to the command's input. Raises BrokenPipeError if the command has ended."""
        data = data.cast("B")
        while len(data):
            self._wait(self._stdin, selectors.EVENT_WRITE)
            with suppress(BlockingIOError):
                data = data[os.write(self._stdin.fileno(), data) :]

    def finish(self) -> int:
        """Close the command's input and wait until it ends. Returns its exit status."""
        with suppress(BrokenPipeError):
            self._stdin.close()
        self._drain_log()
        deadline = time.monotonic() + self._stall
        while True:
            with suppress(subprocess.TimeoutExpired):
                return self._process.wait(TICK_SECONDS)
            self._check(deadline)

    def close(self) -> None:
        """Kill the command if it still runs, and close its pipes."""
        if self._process.poll() is None:
            self._process.kill()
        self._selector.close()
        for pipe in (self._stdin, self._stdout, self._stderr):
            with suppress(BrokenPipeError):
                pipe.close()
        self._process.wait()

    def _wait(self, pipe: object, event: int) -> None:
        """Wait until the pipe is ready. Read stderr meanwhile, so that the command never blocks on it."""
        deadline = time.monotonic() + self._stall
        key = self._selector.register(pipe, event)  # type: ignore[arg-type]
        try:
            while True:
                ready = [entry.fileobj for entry, _ in self._selector.select(TICK_SECONDS)]
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
        """Read stderr and keep its end. False at the end of the pipe."""
        data = os.read(self._stderr.fileno(), 65_536)
        self._log = (self._log + data)[-LOG_BYTES:]
        if not data and self._stderr in {k.fileobj for k in self._selector.get_map().values()}:
            self._selector.unregister(self._stderr)
        return bool(data)

    def _drain_log(self) -> None:
        """Read stderr until the command closes it."""
        deadline = time.monotonic() + self._stall
        while self._selector.get_map():
            if self._selector.select(TICK_SECONDS):
                self._take_log()
            else:
                self._check(deadline)


def _limit(pid: int, cpu: int, memory: int, nice: int) -> None:
    """Set the limits of a process that has just started. Does nothing if it has already ended."""
    with suppress(OSError):
        if nice:
            os.setpriority(os.PRIO_PROCESS, pid, nice)
        if resource is not None and hasattr(resource, "prlimit"):
            resource.prlimit(pid, resource.RLIMIT_CPU, (cpu, cpu + 1))
            resource.prlimit(pid, resource.RLIMIT_AS, (memory, memory))
