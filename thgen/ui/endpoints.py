"""The endpoints `/generate` and `/preview` for gradio_client and HTTP. Names are those of the command line."""

from __future__ import annotations

import contextlib
import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import gradio as gr
import numpy as np

from thgen.errors import ControlError, shown
from thgen.settings import OLD_NAMES, Flag, Keyframes, PerFactor, per_factor, plain
from thgen.ui.fields import all_controls, check_known, is_file
from thgen.ui.form import Form
from thgen.ui.page import unprobed
from thgen.ui.session import PageSession

CONTROLS = "controls"  # the parameter with sliders, choices and switches by key


def dictionaries() -> dict[str, PerFactor | None]:
    """Parameters that are dictionaries: controls by key and settings by factor, also with names of version 1."""
    today: dict[str, PerFactor | None] = {CONTROLS: None, **per_factor()}
    return today | {old: today[new] for old, new in OLD_NAMES.items() if new in today}


def _parameters(form: Form) -> dict[str, Any]:
    """Parameter name -> component. All sliders are in one dictionary with the keys of `--set`."""
    files = {k.replace(".", "_"): w for k, w in form.widgets.items() if is_file(k)}
    old_plain = {old: gr.JSON(None, visible=False, label=old) for old, new in OLD_NAMES.items() if new in plain()}
    return {
        **files,
        **{name: gr.JSON({}, visible=False, label=name) for name in dictionaries()},
        **{name: form.widgets[name] for name in plain()},
        **old_plain,
    }


def api_fields(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of an endpoint -> fields of the page. Raises ControlError on an unknown or malformed entry."""
    kinds = dictionaries()
    given = {name: _dictionary(name, arguments.get(name)) for name in kinds}
    for name, values in given.items():
        check_known("values" if name == CONTROLS else OLD_NAMES.get(name, name), values)
    fields = {_field(k): v for k, v in arguments.items() if k not in kinds and not (k in OLD_NAMES and v is None)}
    for name, spec in kinds.items():
        if spec is None:
            fields |= given[name]
        else:
            what = "path" if isinstance(spec.value, Keyframes) else spec.name
            fields |= {f"{factor}.{what}": value for factor, value in given[name].items()}
    return fields


def _field(parameter: str) -> str:
    """ "pose_clip" -> "pose.clip"; a name of version 1 -> today's; other names stay."""
    factor, _, what = parameter.rpartition("_")
    return f"{factor}.{what}" if is_file(f"{factor}.{what}") else OLD_NAMES.get(parameter, parameter)


def _dictionary(name: str, value: Any) -> dict[str, Any]:
    """A dictionary from a JSON object or from its text, which some clients send."""
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
    """Give `fn(*values)` the parameter names of the API. All are optional; gradio inserts the widgets' values."""
    fn.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None) for name in names]
    )
    return fn


def generate_doc() -> str:
    """Documentation of `/generate`, generated from the settings."""
    each = "; ".join(f"{name}: factor -> {_takes(spec)}" for name, spec in per_factor().items())
    one = "; ".join(f"{name}: {getattr(spec, 'info', '') or spec.label.lower()}" for name, (_, spec) in plain().items())
    keys = list(all_controls())
    return f"""Make a talking video from a photo and a voice.

photo, audio: files. clip: a video or picture that drives all factors without one of their own; what a voice drives is
left to the voice. <factor>_clip: a video or picture that drives this factor alone; <factor>_to: a second one, see
blend. controls: sliders and choices by the names of --set, e.g. {{"{keys[0]}": 10}}: {", ".join(keys)}.
{each}.
{one}.
Returns the mp4 and {{method, weights, seed, warnings, seconds, frames, fps, elapsed, recipe}}."""


def _takes(spec: PerFactor) -> str:
    if isinstance(spec.value, Flag):
        return "true or false"
    if isinstance(spec.value, Keyframes):
        return "how far between its two sources, 0 to 1, or keyframes [[second, t], ...]"
    return f"{spec.value.low:g} to {spec.value.high:g}"


PREVIEW_DOC = """One still with the given settings. The arguments are those of /generate; audio may be left out.

Returns the picture and {method, seed}."""


def wire_api(session: PageSession, form: Form) -> None:
    """Add both endpoints to the page."""
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
          api_description=generate_doc(), concurrency_id="generate", concurrency_limit=1)  # fmt: skip
    gr.on([], _endpoint(preview, names), inputs, [still, answer], preprocess=False, api_name="preview",
          api_description=PREVIEW_DOC, concurrency_id="preview", concurrency_limit=2)  # fmt: skip
