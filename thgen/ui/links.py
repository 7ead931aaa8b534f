"""Share links: settings as query parameters, e.g. `?pose.yaw=10&lip.strength=1.2`. They never contain files.

A link is untrusted text. Unknown names are ignored and numbers are clamped to their range. Names of version 1 work.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from thgen.declare import Slider
from thgen.errors import ControlError
from thgen.settings import BLEND_RANGE, Keyframes, MethodName, Number, Spec, Whole, all_factors, path_text, per_factor
from thgen.ui.fields import SIZES, all_controls, factor_fields, of_today, page_specs


def read_query(query: Mapping[str, str], methods: Iterable[str]) -> dict[str, Any]:
    """Query parameters -> fields of the page. Unknown names and invalid values are left out."""
    fields = {}
    for key, text in query.items():
        field = of_today(key)
        try:
            value = _read(field, text, methods)
        except ControlError:
            continue
        if value is not None:
            fields[field] = value
    return fields


def _read(field: str, text: str, methods: Iterable[str]) -> Any:
    """The value of a field; None if the field is unknown. Raises ControlError for an invalid value."""
    factor, _, what = field.rpartition(".")
    if control := all_controls().get(field):
        return _clamped(text, control.low, control.high) if isinstance(control, Slider) else control.checked(text)
    if factor in all_factors() and field in factor_fields(all_factors()[factor]):
        if what == "t":
            return _clamped(text, *BLEND_RANGE)
        if what == "path":
            return path_text(Keyframes(factor).checked(text))
        return _of_spec(per_factor()[what].spec(factor), text) if what in per_factor() else None
    spec = page_specs().get(field)
    if isinstance(spec, MethodName):
        return text if text in methods else None
    if field == "size":
        return int(text) if text in map(str, SIZES) else None
    return None if spec is None else _of_spec(spec, text)


def _of_spec(spec: Spec, text: str) -> Any:
    if isinstance(spec, Whole):
        value = _clamped(text, spec.low, spec.high)
        return None if value is None else int(value)
    return _clamped(text, spec.low, spec.high) if isinstance(spec, Number) else spec.read(text)


def _clamped(text: str, low: float, high: float) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return None if math.isnan(number) else min(max(number, low), high)


def write_query(fields: Mapping[str, Any], neutral: Mapping[str, Any]) -> str:
    """Fields that differ from `neutral`, as `?a=1&b=2`, without files; "" if there are none."""
    changed = {
        key: int(value) if isinstance(value, bool) else value
        for key, value in fields.items()
        if key in neutral and value is not None and value != neutral[key]
    }
    for key, value in changed.items():
        if isinstance(value, float):
            changed[key] = f"{value:g}"
    return f"?{urlencode(changed)}" if changed else ""
