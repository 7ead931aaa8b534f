"""A child process never blocks its reader: it can be ended, cancelled and limited, and no pipe blocks another."""

import sys
import time

import numpy as np
import psutil
import pytest

from thgen.errors import ClipError
from thgen.io.ppm import read_frame
from thgen.io.process import Child

STALLED = ClipError("It stands still.")


def python(script: str, *, stall: float = 20.0, tick=lambda: None, cpu: int = 60, memory: int = 2 << 30) -> Child:
    return Child([sys.executable, "-c", script], STALLED, tick, stall=stall, cpu=cpu, memory=memory)


def test_output_comes_through_whole():
    with python("import sys; sys.stdout.buffer.write(bytes(range(256)) * 40_000)") as child:
        buffer = bytearray(256 * 40_000 + 5)
        assert child.read_into(memoryview(buffer)) == 256 * 40_000
        assert buffer[:-5] == bytes(range(256)) * 40_000 and child.finish() == 0


def test_input_arrives_while_the_child_writes_to_stderr():
    """The child writes 1 MB to stderr before it reads. Waiting for one pipe alone would never end."""
    script = (
        "import sys\nsys.stderr.write('x' * (1 << 20) + 'the end\\n'); sys.stderr.flush()\n"
        "got = sys.stdin.buffer.read(); sys.exit(7 if len(got) == 1 << 22 else 1)"
    )
    with python(script) as child:
        child.write(memoryview(bytes(1 << 22)))
        assert child.finish() == 7
        assert child.log.endswith(b"the end\n") and len(child.log) <= 8192


@pytest.mark.parametrize("act", ["read", "write", "finish"])
def test_a_child_that_hangs_is_ended(act):
    with python("import time; time.sleep(100)", stall=0.5) as child, pytest.raises(ClipError, match="stands still"):
        if act == "read":
            child.read_into(memoryview(bytearray(1)))
        elif act == "write":
            child.write(memoryview(bytes(1 << 22)))
        else:
            child.finish()
    assert child.exit_status is not None


def test_a_wait_can_be_cancelled():
    calls = []

    def tick() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), python("import time; time.sleep(100)", tick=tick) as child:
        child.read_into(memoryview(bytearray(1)))
    assert not psutil.pid_exists(child._process.pid)


def test_a_busy_child_reaches_its_time_limit():
    begin = time.monotonic()
    with python("while True: pass", cpu=1) as child:
        assert child.finish() < 0
    assert time.monotonic() - begin < 20


def test_a_child_reaches_its_memory_limit():
    with python("bytearray(3 << 30)", memory=1 << 30) as child:
        assert child.finish() == 1 and b"MemoryError" in child.log


def test_a_child_that_has_ended_takes_no_input():
    with python("") as child:
        child.finish()
        with pytest.raises((BrokenPipeError, ValueError)):
            child.write(memoryview(bytes(1 << 20)))


def frame_of(data: bytes) -> np.ndarray | None:
    with python(f"import sys; sys.stdout.buffer.write({data!r})") as child:
        return read_frame(child)


def test_frames_through_a_pipe():
    assert np.array_equal(frame_of(b"P6\n2 1\n255\nabcdef"), [[[97, 98, 99], [100, 101, 102]]])
    assert frame_of(b"") is None and frame_of(b"P6\n2 1\n255\nabc") is None


@pytest.mark.parametrize("data", [b"P6\n2 1\n65535\nabcdefabcdef", b"P5\n2 1\n255\nab", b"x" * 300, b"P6\n-2 1\n255\n"])
def test_other_output_is_refused(data):
    """For example 16 bits per channel, where a reader of 8 bits would lose its place in the pipe."""
    with pytest.raises(ValueError, match="not a ppm"):
        frame_of(data)
