"""The page's Blocks. It checks the values that handlers get from gradio, and converts their errors.

Every error before, in or after a handler reaches the visitor as one sentence.
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

# component -> kind of its file, and the error for a forbidden file
FILES: dict[type[gr.components.Component], tuple[str, type[ThgenError]]] = {
    gr.Image: ("photo", PhotoError),
    gr.Audio: ("voice", AudioError),
    gr.File: ("clip", ClipError),
    gr.UploadButton: ("recipe", ControlError),
}

FILE_KIND = "thgen_file_kind"  # attribute of a component whose kind of file differs from FILES
MOST_FILES = 100  # files of one component, at most


def with_file_kind(component: T, kind: str, error: type[ThgenError]) -> T:
    """The component, whose files are called `kind` in messages and raise `error`."""
    setattr(component, FILE_KIND, (kind, error))
    return component


def shown_error(error: Exception) -> gr.Error:
    """Any exception as the error that gradio shows: one sentence without a traceback.

    The server's folders are removed from file names. The message of a `gr.Error` is kept up to MESSAGE_MAX characters:
    gradio's own errors quote the input, and the GPU service of a Space raises `gr.Error` too.
    """
    if isinstance(error, gr.Error):
        return gr.Error(error.message[:MESSAGE_MAX], error.duration, error.visible, error.title, print_exception=False)
    folders = {path for folder in (get_upload_folder(), gettempdir()) for path in (folder, os.path.realpath(folder))}
    ours = "|".join(map(re.escape, sorted(folders, key=len, reverse=True)))
    return gr.Error(re.sub(rf"(?:{ours})/(?:[^\s/'\"]+/)*", "", str(typed(error))), print_exception=False)


def answering(function: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Let a coroutine function raise `gr.Error` only. For any other exception gradio shows `null`."""

    @functools.wraps(function)
    async def answer(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await function(*args, **kwargs)
        except Exception as error:
            raise shown_error(error) from error

    return answer


class Page(gr.Blocks):
    """Blocks whose handlers get paths of uploaded files only, and whose errors are sentences."""

    # gradio calls it for every run of a handler, queued or not, and for every step of a generator.
    process_api = answering(gr.Blocks.process_api)

    async def preprocess_data(
        self, block_fn: Any, inputs: list[Any], state: Any, explicit_call: bool = False
    ) -> list[Any]:
        """The values of an event for its handler: a path or None for a file, other values as gradio makes them.

        For handlers without preprocessing gradio checks no file and downloads the URL of a file. So files are checked
        here. Raises ThgenError.
        """
        self._count(block_fn, inputs)
        paths: dict[int, str | list[str] | None] = {}
        for i, block in enumerate(block_fn.inputs):
            known = getattr(block, FILE_KIND, None) or next((FILES[c] for c in FILES if isinstance(block, c)), None)
            if known:
                paths[i] = self._paths(inputs[i], known)
            elif names_a_file(inputs[i]):
                raise ControlError("A file was given where a setting belongs: files have arguments of their own.")
        # gradio gets no file at all. It would copy them to a place that `/deep_link` publishes.
        values = [None if i in paths else value for i, value in enumerate(inputs)]
        values = await super().preprocess_data(block_fn, values, state, explicit_call)
        return [paths.get(i, value) for i, value in enumerate(values)]

    def _paths(self, value: Any, known: tuple[str, type[ThgenError]]) -> str | list[str] | None:
        """The checked path of a file, or the paths of several."""
        if isinstance(value, list):
            return [path for one in value[:MOST_FILES] if isinstance(path := self._paths(one, known), str)] or None
        media = map(Path, self.allowed_paths)
        return uploaded_path(value, *known, Path(get_upload_folder()), media)

    @staticmethod
    def _count(block_fn: Any, inputs: list[Any]) -> None:
        """Raises ControlError if an endpoint gets too few or too many values."""
        wanted = len(block_fn.inputs)
        public = block_fn.api_visibility == "public"  # for other events gradio ignores additional values
        if len(inputs) < wanted or (public and len(inputs) > wanted):
            raise ControlError(
                f"/{block_fn.api_name} takes {wanted} values, but {len(inputs)} came: see the page's API view, or name "
                "the arguments with gradio_client."
            )


def _postprocess(self: Any, value: str | Path | None) -> FileData | None:
    return None if value is None else FileData(path=str(value), orig_name=Path(value).name)


def unprobed(component: type[C]) -> type[C]:
    """The component without gradio's check of media files. thgen's mp4 and the examples' wav play everywhere.

    If `ffmpeg` is on PATH, gradio runs `ffprobe`. If that is absent, it fails and a finished video is lost. The class
    is made by a call, because for a class statement gradio writes a .pyi file next to the source.
    """
    members = {"postprocess": _postprocess, "__module__": __name__}
    return cast(type[C], ABCMeta.__new__(type(component), component.__name__, (component,), members))
