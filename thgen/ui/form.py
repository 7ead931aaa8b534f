"""The input widgets: photo, voice, and one block of controls per declared factor.

Every block is built from `schema.FACTORS`, `schema.CONTROLS` and the methods' `factors` alone: a sixth method, or a
sixth factor, needs no line here.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import gradio as gr

from thgen.schema import BLEND, BLEND_RANGE, CONTROLS, FACTORS, MOTIONS, OTHERS, STRENGTH_RANGE, Control
from thgen.ui.page import unprobed
from thgen.ui.session import FACES_MAX, MAX_SIDE_RANGE, SEED_MAX, SIZES, Session

CLIP_TYPES = [".mp4", ".mov", ".webm", ".mkv", ".avi", ".jpg", ".jpeg", ".png", ".webp", ".heic"]
SOURCES = (".clip", ".to")  # endings of the fields that hold what drives a factor
MANY_SLIDERS = 3  # more than this lie in two columns, and without the line that explains each


@dataclass(frozen=True)
class Form:
    """The input widgets by field name (see thgen.ui.session), in the order in which handlers receive their values."""

    widgets: dict[str, Any]  # field name -> gradio component
    blocks: dict[str, gr.Column]  # factor -> its block, shown when the method declares it

    def fields(self, values: tuple[Any, ...]) -> dict[str, Any]:
        """Values of the events, which do not preprocess, as `thgen.ui.page.Page` hands them over -> fields."""
        return dict(zip(self.widgets, values, strict=True))

    @property
    def settings(self) -> dict[str, Any]:
        """The widgets that hold no file: what a link, an example or Reset may set."""
        return {k: w for k, w in self.widgets.items() if k not in ("photo", "audio") and not k.endswith(SOURCES)}

    @property
    def neutral(self) -> dict[str, Any]:
        return {name: widget.value for name, widget in self.settings.items()}


def build_inputs() -> dict[str, Any]:
    photo = gr.Image(label="Photo", type="filepath", sources=["upload", "webcam", "clipboard"], height=250,
                     elem_id="photo", buttons=[])  # fmt: skip
    audio = unprobed(gr.Audio)(label="Voice", type="filepath", sources=["upload", "microphone"], elem_id="audio",
                               buttons=[])  # fmt: skip
    return {"photo": photo, "audio": audio}


def build_controls(session: Session, widgets: dict[str, Any]) -> Form:
    methods = session.methods()
    default = next(iter(methods))
    declared = {f for factors in methods.values() for f in factors}
    blocks = {}
    for name in FACTORS:
        if name in declared:
            with gr.Column(elem_classes="factor", visible=name in methods[default]) as blocks[name]:
                widgets |= _factor_block(name)
    with gr.Accordion("More settings", open=False):
        with gr.Row():
            widgets["method"] = gr.Dropdown(list(methods), value=default, label="Method", visible=len(methods) > 1,
                                            info=" ".join(session.absent().values()) or None)  # fmt: skip
            widgets["size"] = gr.Dropdown(list(SIZES), value=SIZES[-1], label="Size of the face (px)", min_width=120)
        widgets["motion"] = gr.Radio(list(MOTIONS), value=MOTIONS[0], label="Motion of driving clips",
                                     info="relative keeps the photo's own pose and expression as the zero",
                                     visible=not session.canonical(default))  # fmt: skip
        widgets["others"] = gr.Radio(list(OTHERS), value=OTHERS[0], label="What nothing drives",
                                     info="stays the photo's own, or takes the method's canonical position",
                                     visible=session.canonical(default))  # fmt: skip
        with gr.Row():
            widgets["seed"] = gr.Number(0, label="Seed", info="of blinks, glances and idle motion", precision=0,
                                        minimum=0, maximum=SEED_MAX, min_width=120)  # fmt: skip
            widgets["face"] = gr.Number(0, label="Face", info="0 is the largest in the photo", precision=0,
                                        minimum=0, maximum=FACES_MAX, min_width=120)  # fmt: skip
        with gr.Row():
            widgets["paste_back"] = gr.Checkbox(True, label="Put the face back into the whole photo")
            low, high = MAX_SIDE_RANGE
            widgets["max_side"] = gr.Number(1080, label="Longer side of the video (px)", precision=0, minimum=low,
                                            maximum=high, min_width=120)  # fmt: skip
    return Form(widgets, blocks)


def _slider(control: Control, with_info: bool) -> gr.Slider:
    unit = f" ({control.unit})" if control.unit and not control.key.startswith("au.") else ""
    return gr.Slider(control.low, control.high, value=control.neutral, step=control.step, label=control.label + unit,
                     info=control.info if with_info else None, min_width=150, elem_id=_id(control.key),
                     elem_classes="line")  # fmt: skip


def _id(field: str) -> str:
    return "field-" + field.replace(".", "-")


def _factor_block(name: str) -> dict[str, Any]:
    """Heading, sliders, what drives it and how strongly; action units folded away."""
    factor = FACTORS[name]
    widgets: dict[str, Any] = {}
    own = [c for c in CONTROLS.values() if c.factor == name and not c.key.startswith("au.")]
    units = [c for c in CONTROLS.values() if c.factor == name and c.key.startswith("au.")]
    gr.HTML(f"<h3>{html.escape(factor.label)}</h3><span>{html.escape(factor.info)}</span>", elem_classes="heading",
            padding=False)  # fmt: skip
    if own:
        many = len(own) > MANY_SLIDERS
        with gr.Column(elem_classes="sliders many" if many else "sliders"):
            for control in own:
                widgets[control.key] = _slider(control, with_info=not many)
    with gr.Row(elem_classes="driver", equal_height=True):
        if "clip" in factor.drivers:
            instead = ", not the voice" if "audio" in factor.drivers else ""
            widgets[f"{name}.clip"] = gr.File(label=f"Clip or picture{instead}", file_types=CLIP_TYPES,
                                              height=76, scale=3, min_width=180,
                                              elem_id=_id(f"{name}.clip"))  # fmt: skip
        with gr.Column(scale=3, min_width=170, elem_classes="gain"):
            low, high = STRENGTH_RANGE
            widgets[f"{name}.strength"] = gr.Slider(low, high, value=1.0, step=0.05, label="Strength (×)",
                                                    min_width=150, elem_id=_id(f"{name}.strength"))  # fmt: skip
            if factor.live:
                widgets[f"{name}.live"] = gr.Checkbox(True, label="Moves by itself without a clip",
                                                      elem_id=_id(f"{name}.live"), container=False)  # fmt: skip
    if factor.blends:
        widgets |= _between(name)
    if units:
        with gr.Accordion("Action units (FACS, 0 to 5)", open=False), gr.Column(elem_classes="sliders"):
            for control in units:
                widgets[control.key] = _slider(control, with_info=False)
    return widgets


def _between(name: str) -> dict[str, Any]:
    """A second source, and how far the factor lies between the two."""
    widgets: dict[str, Any] = {}
    with gr.Accordion("Between two sources", open=False), gr.Row(elem_classes="driver", equal_height=True):
        widgets[f"{name}.to"] = gr.File(label="Second clip or picture", file_types=CLIP_TYPES, height=76, scale=3,
                                        min_width=180, elem_id=_id(f"{name}.to"))  # fmt: skip
        with gr.Column(scale=3, min_width=170, elem_classes="gain"):
            low, high = BLEND_RANGE
            widgets[f"{name}.t"] = gr.Slider(low, high, value=BLEND, step=0.05, min_width=150,
                                             label="From the first (0) to the second (1)",
                                             elem_id=_id(f"{name}.t"))  # fmt: skip
            widgets[f"{name}.path"] = gr.Textbox("", label="Or keyframes, second:t", placeholder="0:0, 2:1, 4:0",
                                                 max_lines=1, elem_id=_id(f"{name}.path"))  # fmt: skip
    return widgets
