"""What the page can do, without the page: plain Python that never imports gradio, and is tested without it.

The page hands over fields (`thgen.ui.fields`); a `Request` is made of them.
"""

from __future__ import annotations

import contextlib
import queue
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from thgen.errors import ClosedError, ThgenError, WeightsError
from thgen.plan import check_length
from thgen.request import Request
from thgen.ui.engine import Engine, PipelineEngine
from thgen.ui.fields import SIZES, read_fields, recipe_of

if TYPE_CHECKING:
    from thgen.pipeline import Result

PREVIEW_SIZE = 256
MAX_SECONDS = 120.0  # of a video made here: others wait in line; the command line takes longer voices
# A borrowed GPU: bounds, s for loading, and s per second of 512 px video. Not measured yet; too much is only reserved.
GPU_SECONDS, GPU_LOADING, GPU_RATE = (30, 300), 20.0, 2.0
# Often enough that Cancel is felt at once: a generator can only be closed while it waits at a yield.
TICK_SECONDS = 0.25
CLOSED = "The server is being stopped; try again in a minute."

# What the example rows set, in turn, so that a first click already shows that each factor has its own source.
EXAMPLE_FIELDS: tuple[Mapping[str, float], ...] = (
    {},
    {"expression.happy": 0.7, "pose.yaw": 8.0},
    {"gaze.yaw": -10.0, "expression.surprised": 0.5},
)
EXAMPLE_FILES = ("portrait_*.png", "voice_*.wav", "*.mp4")


@dataclass(frozen=True)
class Finished:
    """A video that is ready, with everything needed to say how it was made and to make it again."""

    video: Path
    info: dict[str, Any]  # method, weights, seed, warnings, seconds, frames, fps, elapsed
    recipe: dict[str, Any]


@dataclass(frozen=True)
class Update:
    """One step of a running generation. `remaining` is None while there is nothing to estimate it from."""

    fraction: float  # 0 to 1
    text: str
    elapsed: float  # seconds since the start
    remaining: float | None = None  # seconds
    finished: Finished | None = None


class _CancelledError(Exception):
    """Raised inside the pipeline's progress callback to end the work that nobody waits for any more."""


class Session:
    """Everything the handlers of the page call. One per process; safe to call from several threads.

    engine:   what does the work; None takes the real pipeline, loaded at the first use
    examples: folder with portrait_*.png and voice_*.wav

    The attribute `run`, (request, out) -> iterator of Update, is what `generate` follows: `steps`, unless app.py has
    put a function there that borrows a GPU first.
    """

    def __init__(self, engine: Engine | None = None, examples: Path | None = None) -> None:
        self.engine: Engine = engine or PipelineEngine()
        self.examples_folder = examples or Path(__file__).parents[2] / "examples"
        self.run: Callable[[Request, Path], Iterator[Update]] = self.steps
        self._slot = threading.Semaphore(1)  # one generation at a time: two would halve each other's speed
        self._speed: dict[tuple[str, int], float] = {}  # (method, size) -> seconds of work per second of video
        self._speed_lock = threading.Lock()
        self._running: set[_Work] = set()
        self._closed = threading.Event()

    def methods(self) -> tuple[str, ...]:
        """The methods whose weights are here; the first is the page's default."""
        return self.engine.methods()

    def absent(self) -> dict[str, str]:
        """Method name -> what to do to have it, of those whose weights are not here."""
        return self.engine.absent()

    def example_rows(self) -> list[dict[str, Any]]:
        """Fields of each one-click example, made of the files that lie in the examples folder; [] if there are none.

        portrait_*.png and voice_*.wav in turn; if there is a driving clip (*.mp4), it turns the last portrait's head.
        """
        portraits, voices, clips = (sorted(self.examples_folder.glob(p)) for p in EXAMPLE_FILES)
        if not voices:
            return []
        rows: list[dict[str, Any]] = [
            {"photo": str(p), "audio": str(voices[i % len(voices)]), **EXAMPLE_FIELDS[i % len(EXAMPLE_FIELDS)]}
            for i, p in enumerate(portraits)
        ]
        if rows and clips:
            rows[-1]["pose.clip"] = str(clips[0])
        return rows

    def request(self, fields: Mapping[str, Any], need_motion: bool = True) -> Request:
        """Fields -> a checked `Request`. Raises ThgenError; see `read_fields`."""
        read = read_fields(fields, need_motion)
        methods = self.methods()
        read.setdefault("method", methods[0])
        if why := self.absent().get(read["method"]):
            raise WeightsError(why)
        return Request(**read)

    def preview(self, fields: Mapping[str, Any]) -> np.ndarray:
        """One still with the fields' settings, uint8 RGB [H W 3]; voice and clips may be missing. Raises ThgenError."""
        return self.engine.preview(self.request(fields, need_motion=False))

    def quick_preview(self, fields: Mapping[str, Any]) -> np.ndarray:
        """The still that follows a moving slider: small, and the face alone, where every change is seen best."""
        return self.preview({**fields, "size": PREVIEW_SIZE, "paste_back": False})

    def estimate(self, request: Request) -> float | None:
        """Seconds that a request should take, from the speed seen so far; None before the first run.

        Raises AudioError or ClipError when its files cannot be read, or make more than MAX_SECONDS.
        """
        speed, length = self._speed.get((request.method, request.size)), self._length(request)
        return None if speed is None else speed * length

    def _length(self, request: Request) -> float:
        """Seconds of video that a request makes. Raises AudioError beyond MAX_SECONDS, or what the files cause."""
        length = self.engine.seconds(request)
        check_length(length, MAX_SECONDS)
        return length

    def gpu_seconds(self, request: Request, out: Path) -> int:
        """How long to borrow a GPU for `run(request, out)`: loading, and a generous rate per second of video."""
        try:
            length = self.engine.seconds(request)
        except ThgenError:  # said properly by the run itself
            length = 0.0
        low, high = GPU_SECONDS
        return int(min(max(GPU_LOADING + GPU_RATE * length * (request.size / SIZES[-1]) ** 2, low), high))

    def generate(self, fields: Mapping[str, Any]) -> Iterator[Update]:
        """Make the video; the last update carries it. Closing the iterator ends the work and leaves nothing behind.

        The video lies in a folder of its own, readable by this user only, and is removed once the consumer asks for
        the step after the last: take a copy before. Raises ThgenError.
        """
        request = self.request(fields)
        expected = self.estimate(request)
        folder = Path(tempfile.mkdtemp(prefix="thgen_"))
        steps = self.run(request, folder / "talking.mp4")
        try:
            for update in steps:
                if update.finished is not None:
                    self._learn_speed(request, update)
                elif update.remaining is None and expected is not None:
                    update = Update(update.fraction, update.text, update.elapsed, max(expected - update.elapsed, 1.0))
                yield update
        finally:
            if hasattr(steps, "close"):
                steps.close()
            shutil.rmtree(folder, ignore_errors=True)

    def steps(self, request: Request, out: Path) -> Iterator[Update]:
        """Run `engine.render_video` in a thread and report on it at least every TICK_SECONDS.

        Closing the iterator makes the next progress call inside the pipeline raise, which is how the pipeline stops
        and clears up; the next run waits until then, so that two heavy runs never overlap.
        """
        start = time.monotonic()
        while not self._slot.acquire(timeout=TICK_SECONDS):
            yield Update(0.0, "Waiting for another video to finish", time.monotonic() - start)
        if self._closed.is_set():
            self._slot.release()
            raise ClosedError(CLOSED)
        work = _Work(self.engine, request, out, self._slot, self._running)
        start = time.monotonic()
        try:
            work.start()
            fraction, text = 0.0, "Starting"
            while not work.done():
                fraction, text = work.latest(fraction, text)
                elapsed = time.monotonic() - start
                # The first few per cent are loading and reading: too little to say when it ends.
                remaining = elapsed * (1 - fraction) / fraction if fraction > 0.08 else None
                yield Update(fraction, text, elapsed, remaining)
            result = work.result()
        finally:
            work.cancel()
        yield Update(1.0, "Done", time.monotonic() - start, 0.0, self._finish(request, result, out))

    def close(self, seconds: float) -> None:
        """Begin no more work, end all that is going on, and wait at most `seconds` until it has cleared up."""
        self._closed.set()
        deadline = time.monotonic() + seconds
        for work in tuple(self._running):
            work.cancel()
            work.join(max(0.0, deadline - time.monotonic()))

    def _finish(self, request: Request, result: Result, out: Path) -> Finished:
        info = {
            "method": request.method,
            "weights": result.weights,
            "seed": request.seed,
            "warnings": result.warnings,
            "seconds": round(result.seconds, 3),
            "frames": result.frames,
            "fps": result.fps,
            "elapsed": round(result.elapsed, 2),
        }
        return Finished(video=out, info=info, recipe=recipe_of(request))

    def _learn_speed(self, request: Request, update: Update) -> None:
        assert update.finished is not None
        seconds = update.finished.info["seconds"]
        if seconds:
            with self._speed_lock:
                self._speed[request.method, request.size] = update.elapsed / seconds


class _Work(threading.Thread):
    """One `render_video` call in its own thread. It owns the slot and frees it only when it has really ended."""

    def __init__(
        self, engine: Engine, request: Request, out: Path, slot: threading.Semaphore, running: set[_Work]
    ) -> None:
        super().__init__(daemon=True, name="thgen-generate")
        self._engine, self._request, self._out, self._slot, self._all = engine, request, out, slot, running
        self._all.add(self)
        self._reports: queue.SimpleQueue[tuple[float, str]] = queue.SimpleQueue()
        self._ended, self._cancelled = threading.Event(), threading.Event()
        self._result: Result | None = None
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._result = self._engine.render_video(self._request, self._out, self._report, MAX_SECONDS)
        except BaseException as error:  # handed to the caller in result()
            self._error = error
        finally:
            if self._cancelled.is_set():  # the consumer cleared the folder before the last of it was written
                shutil.rmtree(self._out.parent, ignore_errors=True)
            self._slot.release()
            self._all.discard(self)
            self._ended.set()

    def _report(self, fraction: float, text: str) -> None:
        if self._cancelled.is_set():
            raise _CancelledError
        self._reports.put((min(max(float(fraction), 0.0), 1.0), text))

    def done(self) -> bool:
        """Wait at most TICK_SECONDS for the end."""
        return self._ended.wait(TICK_SECONDS)

    def latest(self, fraction: float, text: str) -> tuple[float, str]:
        """The newest report, or what was known before."""
        with contextlib.suppress(queue.Empty):
            while True:
                fraction, text = self._reports.get_nowait()
        return fraction, text

    def result(self) -> Result:
        if isinstance(self._error, _CancelledError):  # by the end of the server, since somebody still waits for it
            raise ClosedError(CLOSED) from None
        if self._error is not None:
            raise self._error
        assert self._result is not None
        return self._result

    def cancel(self) -> None:
        if not self._ended.is_set():
            self._cancelled.set()
