"""The input widgets: photo, voice, a tab per method, and in it a tab per factor of the method.

The widgets of a factor exist once for all methods, so their values stay when the method changes. Widgets that a method
lacks are hidden and their values are not sent. All widgets follow from declarations and settings, so a new method,
factor, control or setting needs no line here.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any, Literal

import gradio as gr

from thgen.declare import AUDIO, Choice, Control, Declaration, Factor, Slider, Switch
from thgen.errors import PhotoError
from thgen.methods import METHODS
from thgen.settings import (
    BLEND,
    BLEND_RANGE,
    Flag,
    Keyframes,
    MethodName,
    Number,
    OneOf,
    PerFactor,
    Spec,
    Whole,
    all_factors,
    default,
    per_factor,
    plain,
)
from thgen.ui.fields import SIZES, all_controls, factor_fields, fields_of, is_file, page_specs
from thgen.ui.page import unprobed, with_file_kind
from thgen.ui.session import PageSession

CLIP_TYPES = [".mp4", ".mov", ".webm", ".mkv", ".avi", ".jpg", ".jpeg", ".png", ".webp", ".heic"]
PHOTO_TYPES = [".jpg", ".jpeg", ".png", ".webp", ".heic"]
MANY_SLIDERS = 3  # more sliders than this are in two columns and have no explanation


@dataclass(frozen=True)
class Form:
    """The input widgets by field name (`thgen.ui.fields`), in the order in which handlers receive their values.

    methods, factors: the groups of tabs; method_tabs, factor_tabs: name -> tab; open_factor: name of the open tab's
    factor; folds: accordions with the fields in them
    """

    widgets: dict[str, Any]
    methods: gr.Tabs
    factors: gr.Tabs
    method_tabs: dict[str, gr.Tab]
    factor_tabs: dict[str, gr.Tab]
    open_factor: gr.Textbox
    folds: list[tuple[gr.Accordion, set[str]]]

    def fields(self, values: tuple[Any, ...]) -> dict[str, Any]:
        """Values of an event in the order of the widgets -> the fields of the chosen method."""
        given = dict(zip(self.widgets, values, strict=True))
        method = METHODS.get(str(given["method"]))
        known = given if method is None else fields_of(method)
        return {name: value for name, value in given.items() if name in known}

    @property
    def settings(self) -> dict[str, Any]:
        """The widgets without files, which a link, an example or Reset may set."""
        return {k: w for k, w in self.widgets.items() if not is_file(k)}

    @property
    def neutral(self) -> dict[str, Any]:
        """Neutral values of `settings`."""
        return {name: widget.value for name, widget in self.settings.items()}

    def shown(self, method: Declaration, factor: str) -> dict[Any, Any]:
        """Updates of the components that show a method. factor: name of the open tab's factor."""
        fields = fields_of(method)
        updates: dict[Any, Any] = {
            tab: gr.Tab(visible=tab_visibility(method, name)) for name, tab in self.factor_tabs.items()
        }
        if not method.has(factor):
            updates[self.factors] = gr.Tabs(selected=method.factors[0].name)
            updates[self.open_factor] = method.factors[0].name
        updates |= {fold: gr.Accordion(visible=bool(held & fields.keys())) for fold, held in self.folds}
        for name in self.varying:
            widget = self.widgets[name]
            updates[widget] = type(widget)(visible=name in fields)
        return updates

    @property
    def varying(self) -> list[str]:
        """The fields that at least one method lacks."""
        known = [fields_of(METHODS[name]) for name in self.method_tabs]
        return [k for k in self.widgets if k != "method" and not all(k in fields for fields in known)]


def build_inputs() -> dict[str, Any]:
    """Widgets of the files that are not part of a factor, by field name."""
    photo = gr.Image(label="Photo", type="filepath", sources=["upload", "webcam", "clipboard"], height=250,
                     elem_id="photo", buttons=[])  # fmt: skip
    widgets: dict[str, Any] = {"photo": photo}
    if any(method.max_photos > 1 for method in METHODS.values()):
        more = gr.File(label="More photos of the same person", file_types=PHOTO_TYPES, file_count="multiple",
                       height=90, elem_id="more-photos")  # fmt: skip
        widgets["more_photos"] = with_file_kind(more, "photo", PhotoError)
    widgets["audio"] = unprobed(gr.Audio)(label="Voice", type="filepath", sources=["upload", "microphone"],
                                          elem_id="audio", buttons=[])  # fmt: skip
    if any(method.driven_together(voice=False) for method in METHODS.values()):
        with gr.Row(elem_classes="driver"):
            widgets["clip"] = gr.File(
                label="Clip for all parts at once", file_types=CLIP_TYPES, height=76, elem_id="clip"
            )
    return widgets


def build_controls(session: PageSession, widgets: dict[str, Any]) -> Form:
    """All tabs and settings. widgets: those of `build_inputs`."""
    names = [*session.methods(), *session.absent()]
    chosen = METHODS[names[0]]
    method_tabs = {}
    with gr.Tabs(selected=chosen.name, elem_id="methods") as methods:
        for name in names:
            with gr.Tab(METHODS[name].label, id=name, elem_id=_id(f"method.{name}")) as method_tabs[name]:
                gr.HTML(_about(METHODS[name], session.absent().get(name, "")), elem_classes="about", padding=False)
    factor_tabs: dict[str, gr.Tab] = {}
    folds: list[tuple[gr.Accordion, set[str]]] = []
    with gr.Tabs(selected=chosen.factors[0].name, elem_id="factors") as factors:
        for name, factor in all_factors().items():
            tab = gr.Tab(factor.label, id=name, visible=tab_visibility(chosen, name), elem_id=_id(f"tab.{name}"))
            with tab, gr.Column(elem_classes="factor"):
                widgets |= _factor_widgets(factor, folds)
            factor_tabs[name] = tab
    with gr.Accordion("More settings", open=False):
        widgets |= _plain_widgets(names, chosen)
    opened = gr.Textbox(chosen.factors[0].name, visible=False)
    form = Form(widgets, methods, factors, method_tabs, factor_tabs, opened, folds)
    for name in form.varying:
        widgets[name].visible = name in fields_of(chosen)
    for fold, held in folds:
        fold.visible = bool(held & fields_of(chosen).keys())
    return form


def tab_visibility(method: Declaration, factor: str) -> Literal["hidden"] | bool:
    """`visible` of a factor's tab. gradio 6.31 does not hide a tab with False after it was shown, but with "hidden"."""
    return method.has(factor) or "hidden"


def _about(method: Declaration, absent: str) -> str:
    sentences = f"<p>{html.escape(method.about)}</p>"
    return sentences + (f'<p class="sentence">{html.escape(absent)}</p>' if absent else "")


def _id(field: str) -> str:
    return "field-" + field.replace(".", "-").replace("_", "-")


def _control(control: Control, with_info: bool) -> Any:
    info = (control.info or None) if with_info else None
    if isinstance(control, Slider):
        unit = f" ({control.unit})" if control.unit and not control.key.startswith("au.") else ""
        return gr.Slider(control.low, control.high, value=control.neutral, step=control.step,
                         label=control.label + unit, info=info, min_width=150, elem_id=_id(control.key),
                         elem_classes="line")  # fmt: skip
    if isinstance(control, Choice):
        return gr.Dropdown(list(control.options), value=control.neutral, label=control.label, info=info,
                           min_width=150, elem_id=_id(control.key))  # fmt: skip
    assert isinstance(control, Switch)
    return gr.Checkbox(control.neutral, label=control.label, info=info, elem_id=_id(control.key), container=False)


def _factor_widgets(factor: Factor, folds: list[tuple[gr.Accordion, set[str]]]) -> dict[str, Any]:
    """Heading, controls, driver and strength of a factor. Its action units are in an accordion."""
    widgets: dict[str, Any] = {}
    of_it = [c for c in all_controls().values() if c.factor == factor.name]
    own, units = ([c for c in of_it if c.key.startswith("au.") == unit] for unit in (False, True))
    gr.HTML(f"<h3>{html.escape(factor.label)}</h3><span>{html.escape(factor.info)}</span>", elem_classes="heading",
            padding=False)  # fmt: skip
    if own:
        many = len(own) > MANY_SLIDERS
        with gr.Column(elem_classes="sliders many" if many else "sliders"):
            for control in own:
                widgets[control.key] = _control(control, with_info=not many)
    fields = factor_fields(factor)
    with gr.Row(elem_classes="driver", equal_height=True):
        if f"{factor.name}.clip" in fields:
            instead = ", not the voice" if AUDIO in factor.sources else ""
            widgets[f"{factor.name}.clip"] = _clip(f"{factor.name}.clip", f"Clip or picture{instead}")
        with gr.Column(scale=3, min_width=170, elem_classes="gain"):
            for name, spec in per_factor().items():
                if f"{factor.name}.{name}" in fields:
                    widgets[f"{factor.name}.{name}"] = _per_factor(f"{factor.name}.{name}", spec)
    for spec in per_factor().values():
        if isinstance(spec.value, Keyframes) and spec.applies(factor):
            widgets |= _second_source(factor.name, spec.label, folds)
    if units:
        with gr.Accordion("Action units (FACS, 0 to 5)", open=False) as fold, gr.Column(elem_classes="sliders"):
            for control in units:
                widgets[control.key] = _control(control, with_info=False)
        folds.append((fold, {control.key for control in units}))
    return widgets


def _clip(field: str, label: str) -> gr.File:
    return gr.File(label=label, file_types=CLIP_TYPES, height=76, scale=3, min_width=180, elem_id=_id(field))


def _per_factor(field: str, spec: PerFactor) -> Any:
    if isinstance(spec.value, Number):
        return gr.Slider(spec.value.low, spec.value.high, value=spec.neutral, step=spec.value.step,
                         label=spec.value.label, min_width=150, elem_id=_id(field))  # fmt: skip
    return gr.Checkbox(spec.neutral, label=spec.value.label, elem_id=_id(field), container=False)


def _second_source(name: str, label: str, folds: list[tuple[gr.Accordion, set[str]]]) -> dict[str, Any]:
    """A second source, and the blend between both."""
    widgets: dict[str, Any] = {}
    with gr.Accordion(label, open=False) as fold, gr.Row(elem_classes="driver", equal_height=True):
        widgets[f"{name}.to"] = _clip(f"{name}.to", "Second clip or picture")
        with gr.Column(scale=3, min_width=170, elem_classes="gain"):
            low, high = BLEND_RANGE
            widgets[f"{name}.t"] = gr.Slider(low, high, value=BLEND, step=0.05, min_width=150,
                                             label="From the first (0) to the second (1)",
                                             elem_id=_id(f"{name}.t"))  # fmt: skip
            widgets[f"{name}.path"] = gr.Textbox("", label="Or keyframes, second:t", placeholder="0:0, 2:1, 4:0",
                                                 max_lines=1, elem_id=_id(f"{name}.path"))  # fmt: skip
    folds.append((fold, set(widgets)))
    return widgets


def _plain_widgets(methods: list[str], chosen: Declaration) -> dict[str, Any]:
    """The settings with one value."""
    specs = page_specs()
    with gr.Row():
        return {name: _plain(name, spec, default(plain()[name][0], name), methods, chosen)
                for name, spec in specs.items()}  # fmt: skip


def _plain(name: str, spec: Spec, value: Any, methods: list[str], chosen: Declaration) -> Any:
    if isinstance(spec, MethodName):  # the tabs choose the method; this widget holds its name, also for the API
        return gr.Dropdown(methods, value=chosen.name, label=spec.label, visible=False)
    if name == "size":
        return gr.Dropdown(list(SIZES), value=SIZES[-1], label=f"{spec.label} (px)", min_width=140, elem_id=_id(name))
    if isinstance(spec, Whole):
        return gr.Number(value, label=spec.label, info=spec.info, precision=0, minimum=spec.low, maximum=spec.high,
                         min_width=140, elem_id=_id(name))  # fmt: skip
    if isinstance(spec, Flag):
        return gr.Checkbox(value, label=spec.label, min_width=300, elem_id=_id(name))
    assert isinstance(spec, OneOf)
    return gr.Radio(list(spec.options), value=value, label=spec.label, info=spec.info, min_width=200, elem_id=_id(name))
