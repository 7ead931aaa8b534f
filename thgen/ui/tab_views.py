"""An accordion for each view that a method declares, and the endpoint `/view`. Shown while its method is chosen."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

import gradio as gr
import numpy as np

from thgen.declare import Declaration, View
from thgen.errors import PhotoError
from thgen.methods import METHODS
from thgen.request import VIEW_SIZE
from thgen.ui.form import CLIP_TYPES, PHOTO_TYPES, Form
from thgen.ui.page import with_file_kind
from thgen.ui.session import PageSession

# Views wait in the queue of videos, so that one work at a time uses the machine.
QUEUE: dict[str, Any] = {"concurrency_id": "generate", "concurrency_limit": 1, "preprocess": False}


def build_views(session: PageSession, form: Form) -> None:
    """Build all views in the current context, below `form`. Nothing is built if no method declares one."""
    names = [*session.methods(), *session.absent()]
    declared = [(METHODS[name], view) for name in names for view in METHODS[name].views]
    if not declared:
        return
    folds = {_build(session, method, view, method.name == names[0]): method.name for method, view in declared}
    form.widgets["method"].change(
        lambda chosen: [gr.Accordion(visible=name == chosen) for name in folds.values()], form.widgets["method"],
        list(folds), queue=False, show_progress="hidden", api_visibility="private",
    )  # fmt: skip
    _wire_api(session, form, declared)


def _photos(label: str, **options: Any) -> gr.File:
    component = gr.File(label=label, file_types=PHOTO_TYPES, file_count="multiple", height=110, **options)
    return with_file_kind(component, "photo", PhotoError)


def _build(session: PageSession, method: Declaration, view: View, visible: bool) -> gr.Accordion:
    """The accordion of one view, with its inputs, its button and its picture."""
    label = f"{view.label}: {method.label}"
    fold = gr.Accordion(label, open=False, visible=visible, elem_id=_id(method, view), elem_classes="view")
    with fold:
        gr.HTML(f"<p>{html.escape(view.about)} It takes {html.escape(view.takes)}.</p>", padding=False)
        with gr.Row(elem_classes="driver"):
            photos = _photos("Photos, of one person or several", min_width=220)
            inputs: list[Any] = [photos]
            if view.frames:
                clip = gr.File(
                    label="Clip, of which frames are shown", file_types=CLIP_TYPES, height=110, min_width=220
                )
                inputs.append(clip)
        make = gr.Button("Make the picture", variant="primary")
        picture = gr.Image(label=view.label, interactive=False, format="png", buttons=["download", "fullscreen"])
    make.click(_maker(session, method.name, view.name), inputs, picture, api_visibility="private", **QUEUE)
    return fold


def _id(method: Declaration, view: View) -> str:
    return f"view-{method.name}-{view.name}".replace(".", "-").replace("_", "-")


def _maker(session: PageSession, method: str, view: str) -> Callable[..., np.ndarray]:
    def make(photos: list[str] | None, clip: str | None = None) -> np.ndarray:
        return session.view(method, view, photos, clip)

    return make


def _doc(declared: list[tuple[Declaration, View]]) -> str:
    """Documentation of `/view`, generated from the declarations."""
    known = "\n".join(f"{method.name} {view.name}: {view.about} It takes {view.takes}." for method, view in declared)
    return f"""Make a picture of its own that a method declares.

photos: files, each of any person. clip: a video, of which frames are shown. size: px of each picture of the sheet.
{known}
Returns the picture and {{method, view}}."""


def _wire_api(session: PageSession, form: Form, declared: list[tuple[Declaration, View]]) -> None:
    method, view = declared[0]
    names = gr.Textbox(method.name, label="method", visible=False), gr.Textbox(view.name, label="view", visible=False)
    photos, clip = _photos("photos", visible=False), gr.File(label="clip", file_types=CLIP_TYPES, visible=False)
    size = gr.Number(VIEW_SIZE, label="size", precision=0, visible=False)
    picture, answer = gr.Image(visible=False, format="png"), gr.JSON(visible=False)

    def view_of(
        method: Any = None, view: Any = None, photos: Any = None, clip: Any = None, size: Any = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        return session.view(method, view, photos, clip, size), {"method": method, "view": view}

    gr.on([], view_of, [*names, photos, clip, size], [picture, answer], api_name="view",
          api_description=_doc(declared), **QUEUE)  # fmt: skip
