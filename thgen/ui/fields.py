"""The page's fields: one flat dictionary for widgets, share links, recipes and the API.

    photo, more_photos, audio   path, list of paths, path; or None
    clip                        path of one clip for all factors without a clip of their own, or None
    <factor>.clip               path of a driving clip or picture, or None            e.g. "pose.clip"
    <factor>.to                 path of a second one, for factors that can be blended
    <factor>.t, <factor>.path   weight of the second one: a number, or keyframes such as "0:0, 2:1", which have priority
    <factor>.<setting>          one of `settings.per_factor()`                        e.g. "pose.strength", "pose.idle"
    <control key>               a slider, choice or switch                            e.g. "pose.yaw"
    <setting>                   one of `settings.plain()`                             e.g. "seed", "motion"

The fields of a method follow from its declaration. This module does not import gradio.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from thgen.declare import CLIP, Control, Declaration, Factor
from thgen.errors import AudioError, ControlError, PhotoError, shown
from thgen.methods import METHODS
from thgen.recipe import Recipe
from thgen.settings import (
    BLEND,
    OLD_NAMES,
    Controls,
    Keyframes,
    Settings,
    Spec,
    Whole,
    all_factors,
    default,
    path_text,
    per_factor,
    plain,
)

SIZES = (256, 512)  # sides of the generated crop that the page offers, px
# Limits of the page. They are tighter than those of the command line, because visitors share the server.
PAGE_LIMITS: dict[str, tuple[int, int]] = {
    "size": (128, SIZES[-1]), "max_side": (256, 2160), "seed": (0, 2**31 - 1), "face": (0, 20),
}  # fmt: skip
SOURCES = ("clip", "to")  # fields of a factor that are files
FILES = ("photo", "more_photos", "audio", "clip")  # other fields that are files


def page_specs() -> dict[str, Spec]:
    """The settings with one value, within the limits of the page."""
    specs = {}
    for name, (_, spec) in plain().items():
        if name in PAGE_LIMITS and isinstance(spec, Whole):
            low, high = PAGE_LIMITS[name]
            spec = replace(spec, low=low, high=high)
        specs[name] = spec
    return specs


def all_controls() -> dict[str, Control]:
    """Sliders, choices and switches of all methods by key. If methods share a key, the first counts."""
    controls: dict[str, Control] = {}
    for method in METHODS.values():
        for control in method.controls:
            controls.setdefault(control.key, control)
    return controls


def factor_fields(factor: Factor) -> dict[str, Any]:
    """The fields of one factor -> their neutral values."""
    fields: dict[str, Any] = {f"{factor.name}.clip": None} if CLIP in factor.sources else {}
    for name, spec in per_factor().items():
        if not spec.applies(factor):
            continue
        if isinstance(spec.value, Keyframes):
            fields |= {f"{factor.name}.to": None, f"{factor.name}.t": BLEND, f"{factor.name}.path": ""}
        else:
            fields[f"{factor.name}.{name}"] = spec.neutral
    return fields


def fields_of(method: Declaration) -> dict[str, Any]:
    """The fields of a method -> their neutral values."""
    fields: dict[str, Any] = {"photo": None, **({"more_photos": None} if method.max_photos > 1 else {}), "audio": None}
    fields |= {"clip": None} if method.driven_together(voice=False) else {}
    for factor in method.factors:
        fields |= factor_fields(factor)
    fields |= {control.key: control.neutral for control in method.controls}
    for name, (model, _) in plain().items():
        if (name != "motion" or method.relative) and (name != "undriven" or method.zero):
            fields[name] = default(model, name)
    return fields


def of_today(key: str) -> str:
    """Today's name of a field. key may be a name of version 1 ("pose.live", "others")."""
    factor, dot, what = key.rpartition(".")
    return f"{factor}{dot}{OLD_NAMES.get(what, what)}"


def read_fields(fields: Mapping[str, Any], need_motion: bool = True) -> dict[str, Any]:
    """Fields -> keyword arguments of `Request`. Missing fields have their neutral value.

    need_motion: whether a voice or a driving clip is required; a still needs none. Raises PhotoError, AudioError or
    ControlError.
    """
    if not fields.get("photo"):
        raise PhotoError("There is no photo yet: upload one, or click an example.")
    request: dict[str, Any] = {"photo": Path(fields["photo"]), "drivers": {}, "second_sources": {}}
    if fields.get("more_photos"):
        request["more_photos"] = tuple(Path(path) for path in fields["more_photos"])
    request["audio"] = Path(fields["audio"]) if fields.get("audio") else None
    request["clip"] = Path(fields["clip"]) if fields.get("clip") else None
    controls: dict[str, Any] = {"values": {}, **{name: {} for name in per_factor()}}
    limits, models, known, factors = page_specs(), plain(), all_controls(), all_factors()
    for key, value in fields.items():
        if key in FILES or value is None:
            continue
        if key in limits:
            (controls if models[key][0] is Controls else request)[key] = limits[key].checked(value)
        elif key.rpartition(".")[0] not in factors or not _read_factor(key, value, request, controls):
            control = known.get(key)
            if control is None or value != control.neutral:
                controls["values"][key] = value
    _read_blends(fields, controls)
    if need_motion and not (request["audio"] or request["clip"] or request["drivers"] or request["second_sources"]):
        raise AudioError("There is no voice yet: upload or record one, click an example, or give a driving clip.")
    return {**request, "controls": Controls(**controls)}


def _read_factor(key: str, value: Any, request: dict[str, Any], controls: dict[str, Any]) -> bool:
    """Write a factor's field into `request` or `controls`. Returns False if it is no field, but perhaps a control."""
    factor, _, what = key.rpartition(".")
    if what in SOURCES:
        if value:
            request["drivers" if what == "clip" else "second_sources"][factor] = Path(value)
        return True
    spec = per_factor().get(what)
    if spec is None or isinstance(spec.value, Keyframes):
        return what in ("t", "path")
    if spec.spec(factor).checked(value) != spec.neutral:
        controls[what][factor] = value
    return True


def _read_blends(fields: Mapping[str, Any], controls: dict[str, Any]) -> None:
    """Write the blend of each factor into `controls`: its keyframes if given, else its number."""
    for name in all_factors():
        t, path = fields.get(f"{name}.t"), fields.get(f"{name}.path")
        if path not in (None, ""):
            controls["blend"][name] = path
        elif t is not None and t != BLEND:
            controls["blend"][name] = t


def recipe_fields(recipe: Settings) -> dict[str, Any]:
    """Settings as fields without files. Settings that are not given have their neutral value."""
    controls = recipe.controls
    fields = {k: v for k, v in fields_of(recipe.declaration).items() if k not in FILES and not is_file(k)}
    for name, (model, _) in plain().items():
        if name in fields:
            fields[name] = getattr(controls if model is Controls else recipe, name)
    for name, spec in per_factor().items():
        for factor, value in getattr(controls, name).items():
            if isinstance(spec.value, Keyframes):
                constant = len(value) == 1
                fields |= {f"{factor}.t": value[0][1] if constant else BLEND,
                           f"{factor}.path": "" if constant else path_text(value)}  # fmt: skip
            else:
                fields[f"{factor}.{name}"] = value
    return {**fields, **controls.values}


def is_file(key: str) -> bool:
    """Whether the value of a field is a file or several files."""
    factor, _, what = key.rpartition(".")
    return key in FILES or (what in SOURCES and factor in all_factors())


def recipe_of(settings: Settings) -> dict[str, Any]:
    """The settings as a JSON recipe, without file names."""
    return Recipe.of(settings).to_dict()


def check_known(name: str, values: Mapping[str, Any]) -> None:
    """Check a dictionary of an API call. Raises ControlError for an unknown key or a value outside its range.

    name: "values" for a dictionary by control key; the name of a setting for one by factor.
    """
    if name == "values":
        known = all_controls()
        if unknown := [key for key in values if key not in known]:
            raise ControlError(f"There is no control {shown(unknown[0])}; choose one of: {', '.join(known)}.")
        for key, value in values.items():
            known[key].checked(value)
        return
    factors, spec = all_factors(), per_factor()[name]
    for key in values:
        if key not in factors:
            raise ControlError(f"There is no factor {shown(key)}; choose one of: {', '.join(factors)}.")
        spec.check_factor(factors[key])
