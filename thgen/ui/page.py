"""The page's Blocks: what passes between gradio and the handlers, in both directions and for every one of them.

Handlers get checked values. Whatever goes wrong, before, in or after a handler, reaches a visitor as one sentence.
"""

from __future__ import annotations

import functools
import os
import re
from abc import ABCMeta
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from tempfile import gettempdir
from typing import Any, ParamSpec, TypeVar, cast

import gradio as gr
from gradio.data_classes import FileData
from gradio.utils import get_upload_folder

from thgen.errors import MESSAGE_MAX, AudioError, ClipError, ControlError, PhotoError, ThgenError, typed
from thgen.ui.uploads import names_a_file, uploaded_path

P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C", gr.Video, gr.Audio)

# component -> what its file is, and the error of a file that may not be named
FILES: dict[type[gr.components.Component], tuple[str, type[ThgenError]]] = {
    gr.Image: ("photo", PhotoError),
    gr.Audio: ("voice", AudioError),
    gr.File: ("clip", ClipError),
    gr.UploadButton: ("recipe", ControlError),
}


SAYS = "thgen_says"  # attribute of a component that holds files of another kind than FILES says
MOST_FILES = 100  # of one component


def says(component: T, what: str, error: type[ThgenError]) -> T:
    """The component, whose file is a `what` in sentences and raises `error`."""
    setattr(component, SAYS, (what, error))
    return component


def told(error: Exception) -> gr.Error:
    """Any exception as what gradio shows to a visitor: one sentence, and never a traceback.

    An error that names a file names it as the visitor does: the server's folders are cut off. A `gr.Error` keeps its
    words; the lender of a GPU raises it too, and gradio's own repeat what was sent, however long.
    """
    if isinstance(error, gr.Error):
        return gr.Error(error.message[:MESSAGE_MAX], error.duration, error.visible, error.title, print_exception=False)
    folders = {path for folder in (get_upload_folder(), gettempdir()) for path in (folder, os.path.realpath(folder))}
    ours = "|".join(map(re.escape, sorted(folders, key=len, reverse=True)))
    return gr.Error(re.sub(rf"(?:{ours})/(?:[^\s/'\"]+/)*", "", str(typed(error))), print_exception=False)


def answering(function: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Let a coroutine function raise nothing but `gr.Error`, of which gradio tells visitors the message.

    Of any other exception it tells them `null`.
    """

    @functools.wraps(function)
    async def answer(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await function(*args, **kwargs)
        except Exception as error:
            raise told(error) from error

    return answer


class Page(gr.Blocks):
    """Blocks whose handlers only see files that were uploaded here, as plain paths, and whose errors are sentences."""

    # Every call of a handler goes through this, queued or not, and every step of a generator.
    process_api = answering(gr.Blocks.process_api)

    async def preprocess_data(
        self, block_fn: Any, inputs: list[Any], state: Any, explicit_call: bool = False
    ) -> list[Any]:
        """The values of an event as its handler gets them: a path or None for a file, the rest as gradio makes it.

        Of handlers that do not preprocess gradio itself checks no file, and it fetches the URL that a file names.
        Raises ThgenError.
        """
        self._count(block_fn, inputs)
        paths: dict[int, str | list[str] | None] = {}
        for i, block in enumerate(block_fn.inputs):
            known = getattr(block, SAYS, None) or next((FILES[c] for c in FILES if isinstance(block, c)), None)
            if known:
                paths[i] = self._paths(inputs[i], known)
            elif names_a_file(inputs[i]):
                raise ControlError("A file was given where a setting belongs: files have arguments of their own.")
        # gradio sees no file at all: it would copy them, and keep them where `/deep_link` publishes them.
        values = [None if i in paths else value for i, value in enumerate(inputs)]
        values = await super().preprocess_data(block_fn, values, state, explicit_call)
        return [paths.get(i, value) for i, value in enumerate(values)]

    def _paths(self, value: Any, known: tuple[str, type[ThgenError]]) -> str | list[str] | None:
        """The checked path of a file, or of each of several."""
        if isinstance(value, list):
            return [path for one in value[:MOST_FILES] if isinstance(path := self._paths(one, known), str)] or None
        media = map(Path, self.allowed_paths)
        return uploaded_path(value, *known, Path(get_upload_folder()), media)

    @staticmethod
    def _count(block_fn: Any, inputs: list[Any]) -> None:
        """Raises ControlError when an endpoint gets too few or too many values."""
        wanted = len(block_fn.inputs)
        public = block_fn.api_visibility == "public"  # of other events gradio ignores what is too much, and so do we
        if len(inputs) < wanted or (public and len(inputs) > wanted):
            raise ControlError(
                f"/{block_fn.api_name} takes {wanted} values, but {len(inputs)} came: see the page's API view, or name "
                "the arguments with gradio_client."
            )


def _served(self: Any, value: str | Path | None) -> FileData | None:
    return None if value is None else FileData(path=str(value), orig_name=Path(value).name)


def unprobed(component: type[C]) -> type[C]:
    """The component, but it serves files as they are: they are known to play, thgen's mp4 and the examples' wav.

    gradio looks for `ffmpeg` on PATH, and if there is one runs `ffprobe`, which may be absent: then a finished video is
    lost. A class statement would do the same, but for every one gradio writes a .pyi file beside its source.
    """
    members = {"postprocess": _served, "__module__": __name__}
    return cast(type[C], ABCMeta.__new__(type(component), component.__name__, (component,), members))
