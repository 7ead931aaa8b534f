"""The interface between the page and `thgen.pipeline`. Tests of the page replace it by a small fake."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from thgen.errors import AudioError, ClipError, WeightsError
from thgen.io.ffmpeg import measure
from thgen.io.photo import is_photo
from thgen.methods import METHODS
from thgen.request import Request, ViewRequest

if TYPE_CHECKING:
    from thgen.pipeline import Result
    from thgen.pipeline import Session as LoadedMethod
    from thgen.weights.hub import Networks


class Engine(Protocol):
    """Makes stills and videos. Thread-safe."""

    def methods(self) -> tuple[str, ...]:
        """The methods whose weights are available, the default first. Loads nothing."""

    def absent(self) -> dict[str, str]:
        """Methods without available weights: name -> sentence with the remedy."""

    def seconds(self, request: Request) -> float:
        """Length of the video of a request, s, measured from its files. Raises AudioError, ClipError."""

    def preview(self, request: Request) -> np.ndarray:
        """One still, uint8 RGB [H W 3]; the encoded photo is kept between calls. Raises ThgenError."""

    def view(self, request: ViewRequest, progress: Callable[[float, str], None]) -> np.ndarray:
        """The sheet of a view, uint8 RGB [H W 3]. Raises ThgenError. An exception of `progress` ends the work."""

    def render_video(self, request: Request, out: Path, progress: Callable[[float, str], None],
                     longest: float | None = None) -> Result:  # fmt: skip
        """Write the mp4, of at most `longest` seconds. Raises ThgenError.

        An exception of `progress` ends the work and leaves no file.
        """


class PipelineEngine:
    """The engine of the app. It loads weights at the first still or video of a method and keeps them.

    device:         for videos; None = CUDA if available, else the CPU
    preview_device: for stills; None = the same. It differs if a GPU is borrowed for videos only
    """

    def __init__(self, device: str | None = None, preview_device: str | None = None) -> None:
        self._devices = {"video": device, "preview": preview_device or device}
        self._networks: dict[str | None, Networks] = {}  # device -> networks that its methods share
        self._loaded: dict[tuple[str, str | None], LoadedMethod] = {}
        self._lock = threading.Lock()

    def preload(self) -> None:
        """Load all methods, so that the first visitor does not wait. Missing weights are reported at their use."""
        for method in self.methods():
            with contextlib.suppress(WeightsError):
                self.load(method)
                self.load(method, "preview")

    def methods(self) -> tuple[str, ...]:
        from thgen.pipeline import available_methods

        # Without any weights the page still works. Each method then reports the remedy when it is used.
        return tuple(available_methods() or METHODS)

    def absent(self) -> dict[str, str]:
        from thgen.pipeline import why_absent

        return {name: why for name in METHODS if (why := why_absent(name))}

    def load(self, method: str, purpose: str = "video") -> LoadedMethod:
        """The method with its weights; `purpose` is "video" or "preview". Raises MethodError, WeightsError."""
        from thgen.pipeline import Session as LoadedMethod
        from thgen.weights.hub import Networks

        device = self._devices[purpose]
        with self._lock:
            if device not in self._networks:
                self._networks[device] = Networks(device)
            if (method, device) not in self._loaded:
                self._loaded[method, device] = LoadedMethod.load(method, device, networks=self._networks[device])
            return self._loaded[method, device]

    def seconds(self, request: Request) -> float:
        if request.audio is not None:
            return measure(Path(request.audio), AudioError)  # type: ignore[arg-type]
        return max((measure(clip, ClipError) for clip in map(Path, request.clips) if not is_photo(clip)), default=0.0)

    def preview(self, request: Request) -> np.ndarray:
        from thgen import pipeline

        return pipeline.preview(request, self.load(request.method, "preview"))

    def view(self, request: ViewRequest, progress: Callable[[float, str], None]) -> np.ndarray:
        from thgen.views import make_view

        return make_view(request, self.load(request.method, "preview"), progress)

    def render_video(self, request: Request, out: Path, progress: Callable[[float, str], None],
                     longest: float | None = None) -> Result:  # fmt: skip
        from thgen import pipeline

        progress(0.0, "Loading the weights")
        return pipeline.render_video(request, out, progress, self.load(request.method), longest)
