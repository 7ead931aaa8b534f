"""The functions behind the page. They convert fields (`thgen.ui.fields`) to a `Request` and run it.

This module does not import gradio, so its tests need no page.
"""

from __future__ import annotations

import contextlib
import queue
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from thgen.errors import ClosedError, ThgenError, WeightsError
from thgen.plan import check_length
from thgen.request import Request, ViewRequest
from thgen.ui.engine import Engine, PipelineEngine
from thgen.ui.fields import SIZES, read_fields, recipe_of

if TYPE_CHECKING:
    from thgen.pipeline import Result

PREVIEW_SIZE = 256  # side of the preview, px
MAX_SECONDS = 120.0  # longest video of the page, s, because others wait; the command line has no such limit
# Time for which a GPU is borrowed, s: least and most, for loading, per second of 512 px video. Not measured yet, but
# generous: too long a time is only reserved.
GPU_SECONDS, GPU_LOADING, GPU_RATE = (30, 300), 20.0, 2.0
# Time between updates, s. It is short, so that Cancel acts quickly: a generator can be closed only at a yield.
TICK_SECONDS = 0.25
CLOSED = "The server is being stopped; try again in a minute."

# Fields of the example rows, in turn. They show that each factor has its own source.
EXAMPLE_FIELDS: tuple[Mapping[str, float], ...] = (
    {},
    {"expression.happy": 0.7, "pose.yaw": 8.0},
    {"gaze.yaw": -10.0, "expression.surprised": 0.5},
)
EXAMPLE_FILES = ("portrait_*.png", "voice_*.wav", "*.mp4")


@dataclass(frozen=True)
class Finished:
    """A finished video with its provenance and the recipe to make it again."""

    video: Path
    info: dict[str, Any]  # method, weights, seed, warnings, seconds, frames, fps, elapsed
    recipe: dict[str, Any]


@dataclass(frozen=True)
class Update:
    """Progress of a running generation. remaining: None while no estimate is possible."""

    fraction: float  # 0 to 1
    text: str
    elapsed: float  # seconds since the start
    remaining: float | None = None  # seconds
    finished: Finished | None = None


class _CancelledError(Exception):
    """Raised in the pipeline's progress callback to end work that was cancelled."""


class PageSession:
    """All functions that the page's handlers call. One per process; thread-safe.

    engine:   makes stills and videos; None = PipelineEngine
    examples: folder with portrait_*.png and voice_*.wav

    `generate` calls the attribute `run`, (request, out) -> iterator of Update. It is `steps`, unless app.py replaces it
    by a function that borrows a GPU.
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
        """The methods whose weights are available. The first is the page's default."""
        return self.engine.methods()

    def absent(self) -> dict[str, str]:
        """Methods without available weights: name -> sentence with the remedy."""
        return self.engine.absent()

    def example_rows(self) -> list[dict[str, Any]]:
        """Fields of each example, from the files of the examples folder; [] if there are none.

        A row has a portrait_*.png and a voice_*.wav. A driving clip (*.mp4), if any, turns the last portrait's head.
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
        """A small still of the face alone, fast enough to follow a slider."""
        return self.preview({**fields, "size": PREVIEW_SIZE, "paste_back": False})

    def view(self, method: str, view: str, photos: Sequence[str] | None, clip: str | None,
             size: int | None = None) -> np.ndarray:  # fmt: skip
        """The sheet of a view that a method declares, uint8 RGB [H W 3]. Raises ThgenError.

        It runs when no video runs. The end of the server ends it at its next step.
        """
        given = {} if size is None else {"size": size}
        request = ViewRequest(method=method, view=view, photos=photos or (), clip=clip or None, **given)  # type: ignore[arg-type]
        if why := self.absent().get(request.method):
            raise WeightsError(why)
        while not self._slot.acquire(timeout=TICK_SECONDS):
            self._going_on(0.0, "")
        try:
            self._going_on(0.0, "")
            return self.engine.view(request, self._going_on)
        finally:
            self._slot.release()

    def _going_on(self, fraction: float, text: str) -> None:
        """A `Progress` that only ends the work when the server is being stopped."""
        if self._closed.is_set():
            raise ClosedError(CLOSED)

    def estimate(self, request: Request) -> float | None:
        """Expected time of a request, s, from the speed of the last run; None before the first run.

        Raises AudioError or ClipError if its files cannot be read or give more than MAX_SECONDS.
        """
        speed, length = self._speed.get((request.method, request.size)), self._length(request)
        return None if speed is None else speed * length

    def _length(self, request: Request) -> float:
        """Length of the video of a request, s. Raises AudioError beyond MAX_SECONDS, and errors of its files."""
        length = self.engine.seconds(request)
        check_length(length, MAX_SECONDS)
        return length

    def gpu_seconds(self, request: Request, out: Path) -> int:
        """Time for which `run(request, out)` borrows a GPU, s."""
        try:
            length = self.engine.seconds(request)
        except ThgenError:  # the run itself reports it
            length = 0.0
        low, high = GPU_SECONDS
        return int(min(max(GPU_LOADING + GPU_RATE * length * (request.size / SIZES[-1]) ** 2, low), high))

    def generate(self, fields: Mapping[str, Any]) -> Iterator[Update]:
        """Make the video. The last update contains it. Closing the iterator ends the work and deletes its files.

        The video is in a private folder. It is deleted when the consumer asks for the step after the last one, so copy
        it before. Raises ThgenError.
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
        """Run `engine.render_video` in a thread, with an update at least every TICK_SECONDS.

        After the iterator is closed, the next progress call in the pipeline raises an exception. The pipeline then
        stops and deletes its files. The next run waits for it, so that two runs never overlap.
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
                # The first few per cent are loading and reading, which do not allow an estimate.
                remaining = elapsed * (1 - fraction) / fraction if fraction > 0.08 else None
                yield Update(fraction, text, elapsed, remaining)
            result = work.result()
        finally:
            work.cancel()
        yield Update(1.0, "Done", time.monotonic() - start, 0.0, self._finish(request, result, out))

    def close(self, seconds: float) -> None:
        """Accept no new work, cancel all running work, and wait at most `seconds` for its end."""
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
    """One `render_video` call in its own thread. It releases the slot when the call has really ended."""

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
        except BaseException as error:  # raised again in result()
            self._error = error
        finally:
            if self._cancelled.is_set():  # the consumer deleted the folder before the last write
                shutil.rmtree(self._out.parent, ignore_errors=True)
            self._slot.release()
            self._all.discard(self)
            self._ended.set()

    def _report(self, fraction: float, text: str) -> None:
        if self._cancelled.is_set():
            raise _CancelledError
        self._reports.put((min(max(float(fraction), 0.0), 1.0), text))

    def done(self) -> bool:
        """Whether the call has ended; waits at most TICK_SECONDS for it."""
        return self._ended.wait(TICK_SECONDS)

    def latest(self, fraction: float, text: str) -> tuple[float, str]:
        """The newest report, or the given one if there is none."""
        with contextlib.suppress(queue.Empty):
            while True:
                fraction, text = self._reports.get_nowait()
        return fraction, text

    def result(self) -> Result:
        """The result after the end. Raises the error of the call."""
        if isinstance(self._error, _CancelledError):  # by the end of the server: the consumer still waits
            raise ClosedError(CLOSED) from None
        if self._error is not None:
            raise self._error
        assert self._result is not None
        return self._result

    def cancel(self) -> None:
        if not self._ended.is_set():
            self._cancelled.set()
