"""The endpoints `/generate` and `/preview` for gradio_client and plain HTTP, with the names of the command line."""

from __future__ import annotations

import contextlib
import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import gradio as gr
import numpy as np

from thgen.errors import ControlError, shown
from thgen.schema import FACTORS, Controls
from thgen.ui.form import SOURCES, Form
from thgen.ui.page import unprobed
from thgen.ui.session import Session

DICTIONARIES = ("controls", "strength", "live", "blend")
SETTINGS = ("motion", "others", "method", "seed", "face", "size", "paste_back", "max_side")


def _parameters(form: Form) -> dict[str, Any]:
    """Parameter name -> component. Few and named: sliders travel as one dictionary with the keys of `--set`."""
    clips = {k.replace(".", "_"): w for k, w in form.widgets.items() if k.endswith(SOURCES)}
    return {
        "photo": form.widgets["photo"],
        "audio": form.widgets["audio"],
        **clips,
        "controls": gr.JSON({}, visible=False, label="controls"),
        "strength": gr.JSON({}, visible=False, label="strength"),
        "live": gr.JSON({}, visible=False, label="live"),
        "blend": gr.JSON({}, visible=False, label="blend"),
        **{name: form.widgets[name] for name in SETTINGS},
    }


def api_fields(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of an endpoint -> fields of the page. Raises ControlError on an unknown or malformed entry."""
    named = {f"{factor}{what}".replace(".", "_"): factor + what for factor in FACTORS for what in SOURCES}
    fields = {named.get(k, k): v for k, v in arguments.items() if k not in DICTIONARIES}
    given = {name: _dictionary(name, arguments.get(name)) for name in DICTIONARIES}
    Controls(given["controls"], given["strength"], given["live"], blend=given["blend"])  # refuses unknown keys
    fields |= given["controls"]
    fields |= {f"{factor}.path": value for factor, value in given["blend"].items()}
    for name in ("strength", "live"):
        fields |= {f"{factor}.{name}": value for factor, value in given[name].items()}
    return fields


def _dictionary(name: str, value: Any) -> dict[str, Any]:
    """A JSON object, or its text, as some clients send it."""
    given = value
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            given = json.loads(value)
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ControlError(f"{name} must be a dictionary, for example {{'pose.yaw': 10}}, not {shown(value)}.")
    return dict(given)


def _endpoint(fn: Callable[..., Any], names: list[str]) -> Callable[..., Any]:
    """Give `fn(*values)` the parameter names that API clients see; all optional, gradio fills the widgets' values."""
    fn.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None) for name in names]
    )
    return fn


GENERATE_DOC = """Make a talking video from a photo and a voice.

photo, audio: files. <factor>_clip: a video or picture that drives this factor alone; <factor>_to: a second one, and
blend: factor -> how far between the two, 0 to 1, or keyframes [[second, t], ...]. controls: sliders by the names of
--set, e.g. {"pose.yaw": 10, "expression.happy": 0.7, "au.12": 3}. strength: factor -> 0 to 2. live: factor -> false
keeps it still.
Returns the mp4 and {method, weights, seed, warnings, seconds, frames, fps, elapsed, recipe}."""

PREVIEW_DOC = """One still with the given settings. The arguments are those of /generate; audio may be left out.

Returns the picture and {method, seed}."""


def wire_api(session: Session, form: Form) -> None:
    parameters = _parameters(form)
    names = list(parameters)
    video = unprobed(gr.Video)(visible=False)
    still, answer = gr.Image(visible=False, format="png"), gr.JSON(visible=False)

    def generate(*values: Any) -> Iterator[tuple[Any, Any]]:
        for update in session.generate(api_fields(dict(zip(names, values, strict=True)))):
            if update.finished is not None:
                yield str(update.finished.video), {**update.finished.info, "recipe": update.finished.recipe}
            else:
                yield gr.skip(), {"progress": round(update.fraction, 3), "doing": update.text}

    def preview(*values: Any) -> tuple[np.ndarray, dict[str, Any]]:
        request = session.request(api_fields(dict(zip(names, values, strict=True))), need_motion=False)
        return session.engine.preview(request), {"method": request.method, "seed": request.seed}

    inputs = list(parameters.values())
    gr.on([], _endpoint(generate, names), inputs, [video, answer], preprocess=False, api_name="generate",
          api_description=GENERATE_DOC, concurrency_id="generate", concurrency_limit=1)  # fmt: skip
    gr.on([], _endpoint(preview, names), inputs, [still, answer], preprocess=False, api_name="preview",
          api_description=PREVIEW_DOC, concurrency_id="preview", concurrency_limit=2)  # fmt: skip
