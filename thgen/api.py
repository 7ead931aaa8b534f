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
    """Load a method and a face finder with verified weights. The session can make many videos.

    device: "cpu", "cuda", ...; None: CUDA if available, else the CPU. Raises MethodError, WeightsError.
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

    photo:    one photo, or a list or tuple of photos of one person for methods that can use several
    controls: Controls, or only the values of sliders, e.g. {"pose.yaw": 10}
    method:   None: the method of the session, or "rig" without a session
    session:  from `load`; None: the weights are loaded for this call
    toward:   the old name of second_sources
    settings: every other setting of the video (`thgen.settings.Settings`): face, size, paste_back, max_side, ...
    The call reads and checks the inputs; the iteration decodes. Closing the iterator stops the work. Raises any
    ThgenError.
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
