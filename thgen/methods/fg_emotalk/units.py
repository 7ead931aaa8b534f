"""The action units of FG-EmoTalk, and emotions as recipes of them. No torch: declarations may import it."""

from __future__ import annotations

from collections.abc import Mapping

from thgen.checks import number
from thgen.errors import ControlError
from thgen.schema import ACTION_UNITS, AU_MAX, EMOTIONS

# The paper keeps 7 of DISFA's 12 units and drops those of the mouth's shape; its emotions name six (deviation 6).
UNITS = (1, 2, 4, 5, 6, 9, 12)
ALL_UNITS = tuple(ACTION_UNITS)  # those that the renderer knows: an option for encoders trained on renders
# Section "Multiple AUs": unit -> intensity. The paper names the units and not how strong they are; 3 of 5 is a choice.
STRENGTH = 3.0
PAPER: dict[str, tuple[int, ...]] = {"happy": (1, 12), "sad": (4, 5, 9), "disgusted": (4, 6, 9)}


def recipes(units: tuple[int, ...] = UNITS) -> dict[str, dict[int, float]]:
    """The 8 classes of MEAD as intensities of `units`: the paper's three, the others as all of thgen has them
    (schema.EMOTIONS), without the units that are not in `units`."""
    own = {name: dict.fromkeys(numbers, STRENGTH) for name, numbers in PAPER.items()}
    chosen = {name: own.get(name, recipe) for name, recipe in EMOTIONS.items()}
    return {name: {au: float(v) for au, v in recipe.items() if au in units} for name, recipe in chosen.items()}


def intensities(values: Mapping[int, object], units: tuple[int, ...] = UNITS) -> list[float]:
    """Intensities by FACS number (missing = 0) -> one per unit, in order. Raises ControlError for a unit that is not in
    `units` and for an intensity out of 0 to 5."""
    for au in values:
        if au not in units:
            known = ", ".join(str(unit) for unit in units)
            raise ControlError(f"There is no action unit {au} in this method; choose one of: {known}.")
    return [number(f"Action unit {au} ({ACTION_UNITS[au][0]})", values.get(au, 0.0), 0.0, AU_MAX) for au in units]


def mixed(emotions: Mapping[str, float], units: tuple[int, ...] = UNITS) -> dict[int, float]:
    """Emotions by name with strengths 0 to 1 -> intensities: sums of their recipes, 5 at most. Raises ControlError."""
    known, total = recipes(units), dict.fromkeys(units, 0.0)
    for name, strength in emotions.items():
        if name not in known:
            raise ControlError(f"There is no emotion {name!r}; choose one of: {', '.join(known)}.")
        share = number(f"The strength of {name}", strength, 0.0, 1.0)
        for au, value in known[name].items():
            total[au] += share * value
    return {au: min(value, AU_MAX) for au, value in total.items()}
