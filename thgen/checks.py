"""Checks of values from a form, a flag, a recipe or a program. The message of each error is one sentence."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from thgen.errors import ControlError, shown


def number(what: str, value: object, low: float, high: float) -> float:
    """A number from low to high; text is converted. Raises ControlError that begins with `what`."""
    try:
        if isinstance(value, bool):
            raise TypeError
        result = float(value)  # type: ignore[arg-type]
    except OverflowError:  # an integer of hundreds of digits
        result = float("inf")
    except (TypeError, ValueError):
        raise ControlError(f"{what} needs a number from {low:g} to {high:g}, not {shown(value)}.") from None
    if not low <= result <= high:  # also refuses NaN
        raise ControlError(f"{what}={result:g} is outside its range: give a number from {low:g} to {high:g}.")
    return result


def whole(what: str, value: object, low: int, high: int, multiple: int = 1) -> int:
    """A whole number from low to high; text is converted. Raises ControlError that names `what`.

    multiple: the number must be a multiple of this.
    """
    try:
        result = int(value)  # type: ignore[call-overload]
        if isinstance(value, bool) or (isinstance(value, float) and result != value):
            raise ValueError
    except (TypeError, ValueError, OverflowError):  # also text of thousands of digits, and infinity
        result = None
    if result is None or not low <= result <= high or result % multiple:
        kind = "a whole number" if multiple == 1 else f"a multiple of {multiple}"
        raise ControlError(f"The {what} must be {kind} from {low} to {high}, not {shown(value)}.")
    return result


def flag(what: str, value: object) -> bool:
    """True or false. Text is refused: "false" would count as true. Raises ControlError."""
    if not isinstance(value, bool):
        raise ControlError(f"{what} must be true or false, not {shown(value)}.")
    return value


def flag_of_text(text: str) -> bool | str:
    """True or False for the text of a link or a command line ("1", "true", "0", "false"); other text unchanged."""
    return {"1": True, "true": True, "0": False, "false": False}.get(text.lower(), text)


def choice(what: str, value: object, options: Collection[str]) -> str:
    """One of the options, by name. Raises ControlError."""
    if not isinstance(value, str) or value not in options:
        raise ControlError(f"{what} must be one of {', '.join(options)}, not {shown(value)}.")
    return value


def table(what: str, value: object) -> Mapping[str, Any]:
    """A mapping from names to values. Raises ControlError."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ControlError(f"The {what} must be a dictionary of names and values, not {shown(value)}.")
    return value
