"""The two public functions: `thgen.load` and `thgen.generate`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from thgen import pipeline
from thgen.io.files import PathLike
from thgen.pipeline import Session, Window
from thgen.request import Request
from thgen.settings import Controls


def load(method: str = "rig", device: str | None = None) -> Session:
    """A method and its face finder with verified weights, to be used for many videos.

    device: "cpu", "cuda", ... or None for the best there is. Raises MethodError, WeightsError.
    """
    return Session.load(method, device)


def generate(
    photo: PathLike | np.ndarray | Sequence[PathLike | np.ndarray],
    audio: PathLike | np.ndarray | None = None,
    drivers: Mapping[str, PathLike] | None = None,
    controls: Controls | Mapping[str, Any] | None = None,
    method: str | None = None,
    seed: int = 0,
    *,
    second_sources: Mapping[str, PathLike] | None = None,
    session: Session | None = None,
    toward: Mapping[str, PathLike] | None = None,
    **settings: Any,
) -> Iterator[Window]:
    """Frames of a talking video, in windows of at most 8; see `Request` for the arguments.

    photo:    one, or several of the same person (list or tuple), for methods that can use them
    controls: Controls, or just the sliders, e.g. {"pose.yaw": 10}
    method:   None takes the session's, or "rig"
    session:  from `load`, to load nothing again
    toward:   the old name of second_sources
    settings: every other setting of the video (`thgen.settings.Settings`): face, size, paste_back, max_side, ...
    Inputs are read and checked at once. Closing the iterator stops the work. Raises any ThgenError.
    """
    if not isinstance(controls, Controls):
        controls = Controls(values=controls or {})
    first, *more = photo if isinstance(photo, list | tuple) else [photo]
    request = Request(
        photo=first, more_photos=tuple(more), audio=audio, drivers=drivers or {},
        second_sources=second_sources or toward or {}, controls=controls, seed=seed,
        method=method or (session.method.declaration.name if session else "rig"), **settings,
    )  # fmt: skip
    return pipeline.generate(request, session)
