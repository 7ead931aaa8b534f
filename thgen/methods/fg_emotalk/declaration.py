"""Declaration of FG-EmoTalk's preset "paper"."""

from dataclasses import replace

from thgen.declare import Control, Declaration, Factor, Slider
from thgen.methods.fg_emotalk.units import UNITS, recipes
from thgen.schema import ACTION_UNITS, AU_MAX, FACTORS

SIZES = {"pose": 20, "expression": 20}  # columns of the dictionary (deviation 3)


def _latent(name: str, info: str) -> Factor:
    """A common factor as magnitudes of its directions: no unit; a change can be added."""
    return replace(
        FACTORS[name], size=SIZES[name], unit=None, dims=(), limits=(), sources=("clip",), idle=False, rest=None,
        blends=True, info=info,
    )  # fmt: skip


def unit_key(au: int) -> str:
    """Key of a unit's slider. "au.12" is the common slider of thgen, which changes coefficients, not this method's
    expression code."""
    return f"unit.{au}"


def _controls() -> tuple[Control, ...]:
    units = [
        Slider(unit_key(au), f"AU{au} {ACTION_UNITS[au][0]}", "expression", "FACS", 0, AU_MAX, 0, 0.1,
               "added to the expression by the method's own encoder of action units")
        for au in UNITS
    ]  # fmt: skip
    emotions = [
        Slider(f"emotion.{name}", name.capitalize(), "expression", "", 0, 1, 0, 0.05,
               "as action units " + ", ".join(f"{au}" for au in recipe))
        for name, recipe in recipes().items() if recipe
    ]  # fmt: skip
    return (*units, *emotions)


FG_EMOTALK_PAPER = Declaration(
    name="fg_emotalk.paper",
    label="FG-EmoTalk (paper)",
    about="FG-EmoTalk: Talking Head Video Generation with Fine-Grained Controllable Facial Expressions (Sun et al., "
    "AAAI 2024), with the networks of the paper, at 512 px.",
    method="thgen.methods.fg_emotalk.paper:PaperFgEmoTalk",
    factors=(
        _latent("pose", "of head and shoulders; its directions are orthogonal to those of the expression"),
        _latent("expression", "the whole face: lips, gaze, lids, brows"),
    ),
    controls=_controls(),
    weights=("analyser", "fg_emotalk_paper_video", "fg_emotalk_paper_units"),
    weights_from="train it: python -m thgen train fg_emotalk --preset paper",
)
