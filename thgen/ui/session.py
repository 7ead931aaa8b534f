"""What the page can do, without the page: plain Python that never imports gradio, so that it is tested as such.

The page hands over a flat dictionary of fields, named once here and used by the widgets, the share links and the API:

    photo, audio            paths (str) or None
    <factor>.clip           path of a driving clip or None      e.g. "pose.clip"
    <factor>.strength       gain on what drives the factor, 0 to 2
    <factor>.live           bool: moves by itself when nothing drives it
    <control key>           a slider's value, in the unit of schema.CONTROLS    e.g. "pose.yaw"
    motion, method, seed, face, size, paste_back     as in pipeline.Request
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
from typing import Any, Protocol

import numpy as np

from thgen.errors import AudioError, ControlError, MethodError, PhotoError
from thgen.schema import CONTROLS, FACTORS, MOTIONS, Controls

SIZES = (256, 512)
SEED_MAX = 2**31 - 1
FACES_MAX = 20
PREVIEW_SIZE = 256
# Often enough that Cancel is felt at once: a generator can only be closed while it waits at a yield.
TICK_SECONDS = 0.25

# What the example rows set, in turn, so that a first click already shows that each factor has its own source.
EXAMPLE_FIELDS: tuple[Mapping[str, float], ...] = (
    {},
    {"expression.happy": 0.7, "pose.yaw": 8.0},
    {"gaze.yaw": -12.0, "pose.yaw": 12.0, "expression.surprised": 0.5},
)


class Engine(Protocol):
    """The part of `thgen.pipeline` that the page stands on; the tests put a small stand-in here."""

    def methods(self) -> dict[str, tuple[str, ...]]:
        """Method name -> the factors it declares, in order. Needs no weights."""

    def request(
        self,
        *,
        photo: Path,
        audio: Path,
        drivers: Mapping[str, Path],
        controls: Controls,
        method: str,
        seed: int,
        face: int,
        size: int,
        paste_back: bool,
    ) -> Any:
        """A `pipeline.Request`."""

    def preview(self, request: Any) -> np.ndarray:
        """One still, uint8 RGB [H W 3]; the encoded photo is kept between calls."""

    def render_video(self, request: Any, out: Path, progress: Callable[[float, str], None]) -> Any:
        """Write the mp4 and return a `pipeline.Result`. `progress` may raise, which ends the work."""

    def recipe(self, request: Any) -> dict[str, Any]:
        """The request's settings as the JSON that `--recipe` reads; holds no path and no picture."""

    def audio_seconds(self, audio: Path) -> float:
        """Length of the sound in seconds. Raises AudioError."""


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


def read_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of the page -> keyword arguments of `Engine.request`, checked. Missing fields have their neutral value.

    Raises PhotoError, AudioError or ControlError with the sentence for the visitor.
    """
    if not fields.get("photo"):
        raise PhotoError("There is no photo yet: upload one, or click an example.")
    if not fields.get("audio"):
        raise AudioError("There is no voice yet: upload or record one, or click an example.")
    values, strength, live, drivers = {}, {}, {}, {}
    for key, control in CONTROLS.items():
        value = fields.get(key)
        if value is not None and value != control.neutral:
            values[key] = value
    for name, factor in FACTORS.items():
        gain, moves, clip = (fields.get(f"{name}.{what}") for what in ("strength", "live", "clip"))
        if gain is not None and gain != 1:
            strength[name] = gain
        if factor.live and moves is not None and not moves:
            live[name] = False
        if clip:
            drivers[name] = Path(clip)
    size = _whole("size", fields.get("size", SIZES[-1]), min(SIZES), max(SIZES))
    if size not in SIZES:
        raise ControlError(f"The size must be one of {', '.join(map(str, SIZES))}, not {size}.")
    return {
        "photo": Path(fields["photo"]),
        "audio": Path(fields["audio"]),
        "drivers": drivers,
        "controls": Controls(values=values, strength=strength, live=live, motion=fields.get("motion") or MOTIONS[0]),
        "method": fields.get("method"),
        "seed": _whole("seed", fields.get("seed", 0), 0, SEED_MAX),
        "face": _whole("face", fields.get("face", 0), 0, FACES_MAX),
        "size": size,
        "paste_back": bool(fields.get("paste_back", True)),
    }


def _whole(name: str, value: object, low: int, high: int) -> int:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = float("nan")
    if number != number or number != int(number) or not low <= number <= high:
        raise ControlError(f"The {name} must be a whole number from {low} to {high}, not {value!r}.")
    return int(number)


class Session:
    """Everything the handlers of the page call. One per process; safe to call from several threads.

    engine:   what does the work; None takes the real pipeline, loaded at the first use
    examples: folder with portrait_*.png and voice_*.wav

    The attribute `run`, (request, out) -> iterator of Update, is what `generate` follows: `steps`, unless app.py has put
    a function there that borrows a GPU first.
    """

    def __init__(self, engine: Engine | None = None, examples: Path | None = None) -> None:
        if engine is None:
            from thgen.ui.engine import PipelineEngine

            engine = PipelineEngine()
        self.engine = engine
        self.examples_folder = examples or Path(__file__).parents[2] / "examples"
        self.run: Callable[[Any, Path], Iterator[Update]] = self.steps
        self._slot = threading.Semaphore(1)  # one generation at a time: two would halve each other's speed
        self._speed: dict[tuple[str, int], float] = {}  # (method, size) -> seconds of work per second of video
        self._speed_lock = threading.Lock()

    def methods(self) -> dict[str, tuple[str, ...]]:
        """Method name -> its factors; the first is the page's default."""
        return self.engine.methods()

    def example_rows(self) -> list[dict[str, Any]]:
        """Fields of each one-click example, made of the files that lie in the examples folder; [] if there are none."""
        portraits = sorted(self.examples_folder.glob("portrait_*.png"))
        voices = sorted(self.examples_folder.glob("voice_*.wav"))
        if not voices:
            return []
        return [
            {"photo": str(p), "audio": str(voices[i % len(voices)]), **EXAMPLE_FIELDS[i % len(EXAMPLE_FIELDS)]}
            for i, p in enumerate(portraits)
        ]

    def request(self, fields: Mapping[str, Any]) -> Any:
        """Fields -> a checked `pipeline.Request`. Raises ThgenError; see `read_fields`."""
        read = read_fields(fields)
        methods = self.methods()
        read["method"] = read["method"] or next(iter(methods))
        if read["method"] not in methods:
            raise MethodError(f"There is no method {read['method']!r}; choose one of: {', '.join(methods)}.")
        undriven = [f for f in read["drivers"] if "clip" not in FACTORS[f].drivers or f not in methods[read["method"]]]
        if undriven:
            raise ControlError(f"{FACTORS[undriven[0]].label} cannot be driven by a clip with {read['method']}.")
        return self.engine.request(**read)

    def preview(self, fields: Mapping[str, Any]) -> np.ndarray:
        """One still with the fields' settings, uint8 RGB [H W 3]. The voice does not matter and may be missing."""
        quick = {**fields, "audio": fields.get("audio") or "-", "size": PREVIEW_SIZE}
        return self.engine.preview(self.request(quick))

    def estimate(self, request: Any) -> float | None:
        """Seconds that a request should take, from the speed seen so far; None before the first run."""
        speed = self._speed.get((request.method, request.size))
        return None if speed is None else speed * self.engine.audio_seconds(request.audio)

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

    def steps(self, request: Any, out: Path) -> Iterator[Update]:
        """Run `engine.render_video` in a thread and report on it at least every TICK_SECONDS.

        Closing the iterator makes the next progress call inside the pipeline raise, which is how the pipeline stops
        and clears up; the next run waits until then, so that two heavy runs never overlap.
        """
        start = time.monotonic()
        while not self._slot.acquire(timeout=TICK_SECONDS):
            yield Update(0.0, "Waiting for another video to finish", time.monotonic() - start)
        work = _Work(self.engine, request, out, self._slot)
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

    def _finish(self, request: Any, result: Any, out: Path) -> Finished:
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
        return Finished(video=out, info=info, recipe=self.engine.recipe(request))

    def _learn_speed(self, request: Any, update: Update) -> None:
        assert update.finished is not None
        seconds = update.finished.info["seconds"]
        if seconds:
            with self._speed_lock:
                self._speed[request.method, request.size] = update.elapsed / seconds


class _Work(threading.Thread):
    """One `render_video` call in its own thread. It owns the slot and frees it only when it has really ended."""

    def __init__(self, engine: Engine, request: Any, out: Path, slot: threading.Semaphore) -> None:
        super().__init__(daemon=True, name="thgen-generate")
        self._engine, self._request, self._out, self._slot = engine, request, out, slot
        self._reports: queue.SimpleQueue[tuple[float, str]] = queue.SimpleQueue()
        self._ended, self._cancelled = threading.Event(), threading.Event()
        self._result: Any = None
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._result = self._engine.render_video(self._request, self._out, self._report)
        except BaseException as error:  # handed to the caller in result()
            self._error = error
        finally:
            if self._cancelled.is_set():  # the consumer has left, and cleared the folder before we wrote the last of it
                shutil.rmtree(self._out.parent, ignore_errors=True)
            self._slot.release()
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

    def result(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._result

    def cancel(self) -> None:
        if not self._ended.is_set():
            self._cancelled.set()
