"""Share links: settings as query parameters, e.g. `?pose.yaw=10&lip.strength=1.2`. No photo, voice or clip is in one.

What comes in is a stranger's text: unknown names are dropped, numbers are clamped to their range.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from thgen.errors import ControlError
from thgen.schema import BLEND_RANGE, CONTROLS, FACTORS, MOTIONS, OTHERS, STRENGTH_RANGE, blend_path, path_text
from thgen.ui.session import FACES_MAX, MAX_SIDE_RANGE, SEED_MAX, SIZES

_FLAGS = {"1": True, "true": True, "0": False, "false": False}


def _number(text: str, low: float, high: float) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return None if math.isnan(number) else min(max(number, low), high)


def read_query(query: Mapping[str, str], methods: Iterable[str]) -> dict[str, Any]:
    """Query parameters -> the fields of the page (see thgen.ui.session) that they validly set."""
    fields: dict[str, Any] = {}
    for key, text in query.items():
        factor, _, what = key.rpartition(".")
        value: Any = None
        if key in CONTROLS:
            value = _number(text, CONTROLS[key].low, CONTROLS[key].high)
        elif factor in FACTORS and what == "strength":
            value = _number(text, *STRENGTH_RANGE)
        elif factor in FACTORS and FACTORS[factor].blends and what == "t":
            value = _number(text, *BLEND_RANGE)
        elif factor in FACTORS and FACTORS[factor].blends and what == "path":
            with contextlib.suppress(ControlError):
                value = path_text(blend_path(factor, text))
        elif (factor in FACTORS and what == "live" and FACTORS[factor].live) or key == "paste_back":
            value = _FLAGS.get(text.lower())
        elif key in ("seed", "face"):
            number = _number(text, 0, SEED_MAX if key == "seed" else FACES_MAX)
            value = None if number is None else int(number)
        elif key == "max_side":
            number = _number(text, *MAX_SIDE_RANGE)
            value = None if number is None else int(number)
        elif key == "size":
            value = int(text) if text in map(str, SIZES) else None
        elif key == "motion":
            value = text if text in MOTIONS else None
        elif key == "others":
            value = text if text in OTHERS else None
        elif key == "method":
            value = text if text in methods else None
        if value is not None:
            fields[key] = value
    return fields


def write_query(fields: Mapping[str, Any], neutral: Mapping[str, Any]) -> str:
    """Fields that differ from `neutral`, as `?a=1&b=2`; "" when none does. Files are left out."""
    changed = {
        key: int(value) if isinstance(value, bool) else value
        for key, value in fields.items()
        if key in neutral and value is not None and value != neutral[key]
    }
    for key, value in changed.items():
        if isinstance(value, float):
            changed[key] = f"{value:g}"
    return f"?{urlencode(changed)}" if changed else ""
