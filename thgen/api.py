"""The two public functions: `thgen.load` and `thgen.generate`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from thgen import pipeline
from thgen.io.files import PathLike
from thgen.pipeline import Session, Window
from thgen.request import Request
from thgen.schema import Controls


def load(method: str = "rig", device: str | None = None) -> Session:
    """A method and its face finder with verified weights, to be used for many videos.

    device: "cpu", "cuda", ... or None for the best there is. Raises MethodError, WeightsError.
    """
    return Session.load(method, device)


def generate(
    photo: PathLike | np.ndarray,
    audio: PathLike | np.ndarray | None = None,
    drivers: Mapping[str, PathLike] | None = None,
    controls: Controls | Mapping[str, float] | None = None,
    method: str | None = None,
    seed: int = 0,
    *,
    face: int = 0,
    size: int = 512,
    paste_back: bool = True,
    max_side: int = 1080,
    toward: Mapping[str, PathLike] | None = None,
    session: Session | None = None,
) -> Iterator[Window]:
    """Frames of a talking video, in windows of at most 8; see `Request` for the arguments.

    method: None takes the session's, or "rig"; controls: Controls, or just the sliders, e.g. {"pose.yaw": 10}; session:
    from `load`, to load nothing again.
    Inputs are read and checked at once. Closing the iterator stops the work. Raises any ThgenError.
    """
    if not isinstance(controls, Controls):
        controls = Controls(values=controls or {})
    method = method or (session.method.name if session else "rig")
    sources = drivers or {}, toward or {}
    request = Request(photo, audio, sources[0], controls, method, seed, face, size, paste_back, max_side, sources[1])
    return pipeline.generate(request, session)
