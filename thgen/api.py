"""The public functions: `thgen.load`, `thgen.generate` and `thgen.view`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from thgen import pipeline
from thgen.io.files import PathLike
from thgen.pipeline import Session, Window
from thgen.request import VIEW_SIZE, Request, ViewRequest
from thgen.settings import Controls
from thgen.views import make_view


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
    clip: PathLike | None = None,
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
        photo=first, more_photos=tuple(more), audio=audio, clip=clip, drivers=drivers or {},
        second_sources=second_sources or toward or {}, controls=controls, seed=seed,
        method=method or (session.method.declaration.name if session else "rig"), **settings,
    )  # fmt: skip
    return pipeline.generate(request, session)


def view(
    name: str,
    photos: Sequence[PathLike | np.ndarray] = (),
    clip: PathLike | None = None,
    method: str | None = None,
    *,
    size: int = VIEW_SIZE,
    session: Session | None = None,
) -> np.ndarray:
    """A picture of its own that a method declares (`Declaration.views`), uint8 RGB [H W 3]: see `ViewRequest`.

    size: px of each picture of the sheet. Raises any ThgenError.
    """
    method = method or (session.method.declaration.name if session else "rig")
    request = ViewRequest(method=method, view=name, photos=tuple(photos), clip=clip, size=size)
    return make_view(request, session or Session.load(method))
