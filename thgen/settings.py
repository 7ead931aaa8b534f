"""The settings of a video. Request, recipe, command line, page, link and API all derive from this one model.

A new setting is one line of `Settings` (of the whole video), or of `Controls` (one value per factor). The line gives
its default, range, label and sentence of explanation. Flags, widgets, link parameters and API arguments follow from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, ValidationError, model_validator
from pydantic_core import CoreSchema, core_schema

from thgen.checks import choice, flag, flag_of_text, number, table, whole
from thgen.declare import Declaration, Factor
from thgen.errors import ControlError, shown
from thgen.methods import METHODS, declaration_of

KEYFRAMES_MAX, KEYFRAME_SECONDS = 100, 600.0
BLEND_RANGE, BLEND = (0.0, 1.0), 0.5  # weight of the second source: its range and its default
STRENGTH = 1.0  # gain of a driver where nobody says
BlendPath = tuple[tuple[float, float], ...]  # keyframes (time in s, weight of the second source), in order of time
BLEND_PATH: BlendPath = ((0.0, BLEND),)  # where nobody says

# Names that recipes, links, flags and programs of version 1 use -> names of today. Both are understood.
OLD_NAMES = {"live": "idle", "others": "undriven", "toward": "second_sources"}


class Spec:
    """Description of one setting: check of its values, label and explanation. Base of the kinds below."""

    label: str
    info: str

    def checked(self, value: object) -> Any:
        """The value in its own type. Raises ControlError."""
        raise NotImplementedError

    def read(self, text: str) -> Any:
        """The value from the text of a link or a flag. Raises ControlError."""
        return self.checked(text)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.checked)


@dataclass(frozen=True)
class Whole(Spec):
    """A whole number from low to high, a multiple of `multiple`."""

    label: str
    low: int
    high: int
    info: str = ""
    multiple: int = 1
    name: str = ""  # replaces the label in messages; "" = the label

    def checked(self, value: object) -> int:
        return whole(self.name or self.label.lower(), value, self.low, self.high, self.multiple)


@dataclass(frozen=True)
class Number(Spec):
    """A number from low to high; sliders move by `step`."""

    label: str
    low: float
    high: float
    step: float
    info: str = ""

    def checked(self, value: object) -> float:
        return number(self.label, value, self.low, self.high)


@dataclass(frozen=True)
class Flag(Spec):
    """True or false."""

    label: str
    info: str = ""
    name: str = ""  # replaces the label in messages; "" = the label

    def checked(self, value: object) -> bool:
        return flag(self.name or self.label, value)

    def read(self, text: str) -> bool:
        return self.checked(flag_of_text(text))


@dataclass(frozen=True)
class OneOf(Spec):
    """One of several names."""

    label: str
    options: tuple[str, ...]
    info: str = ""

    def checked(self, value: object) -> str:
        return choice(self.label, value, self.options)


@dataclass(frozen=True)
class MethodName(Spec):
    """The name of a method. `Settings` checks whether the method exists, because it needs the declaration."""

    label: str = "Method"
    info: str = "how to animate"

    def checked(self, value: object) -> str:
        if not isinstance(value, str):
            raise ControlError(f"The method must be a name, not {shown(value)}.")
        return value


@dataclass(frozen=True)
class Keyframes(Spec):
    """Weight of a factor's second source: a number, or keyframes; see `blend_path`."""

    label: str
    info: str = ""

    def checked(self, value: object) -> BlendPath:
        return blend_path(self.label, value)


@dataclass(frozen=True)
class PerFactor(Spec):
    """One value per factor. A factor without a value has `neutral`.

    needs:  name of a field of `Factor` that must be true; "" = all factors can have the setting
    cannot: error message for a factor that cannot have the setting, with {factor} and {label}
    """

    name: str
    label: str
    value: Number | Flag | Keyframes
    neutral: Any
    needs: str = ""
    cannot: str = ""
    info: str = ""

    def applies(self, factor: Factor) -> bool:
        return not self.needs or bool(getattr(factor, self.needs))

    def spec(self, factor: str) -> Number | Flag | Keyframes:
        """The setting for one factor, whose name messages contain."""
        if isinstance(self.value, Number):
            return Number(f"The {self.name} of {factor}", self.value.low, self.value.high, self.value.step)
        if isinstance(self.value, Flag):
            return Flag(f"{self.name}.{factor}")
        return Keyframes(factor)

    def checked(self, value: object) -> dict[str, Any]:
        return {factor: self.spec(factor).checked(v) for factor, v in table(self.name, value).items()}

    def check(self, given: Mapping[str, Any], declaration: Declaration) -> None:
        """Raises ControlError for a factor that the method lacks, or that cannot have such a value."""
        for name in given:
            self.check_factor(declaration.factor(name))

    def check_factor(self, factor: Factor) -> None:
        """Raises ControlError for a factor that cannot have such a value."""
        if not self.applies(factor):
            raise ControlError(self.cannot.format(factor=repr(factor.name), label=factor.label))


@dataclass(frozen=True)
class Values(Spec):
    """Control key -> value. The declaration of the method gives the possible values."""

    label: str = "controls' values"
    info: str = "sliders, choices and switches by name"

    def checked(self, value: object) -> dict[str, Any]:
        return dict(table(self.label, value))


M = TypeVar("M", bound="Model")


class Model(BaseModel):
    """Base of the models below. They are immutable. Invalid data raise ControlError."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            fault = error.errors()[0]
            name = ".".join(str(part) for part in fault["loc"])
            if fault["type"] == "extra_forbidden":
                known = ", ".join(type(self).model_fields)
                raise ControlError(f"There is no setting {shown(name)}; there are: {known}.") from None
            raise ControlError(f"{name} is not what it should be: {fault['msg']}.") from None

    @model_validator(mode="before")
    @classmethod
    def _today(cls, data: Any) -> Any:
        """Replace old names of settings by today's."""
        if not isinstance(data, Mapping):
            raise ControlError(f"The {cls.__name__.lower()} must be a dictionary, not {shown(data)}.")
        return {new_name(key, cls.model_fields): value for key, value in data.items()}

    def but(self: M, **changes: Any) -> M:
        """A copy with some settings changed. It is checked."""
        return type(self)(**{**{name: getattr(self, name) for name in type(self).model_fields}, **changes})


def new_name(key: str, known: Any) -> str:
    """Today's name for an old name `key`, if `known` contains it; else `key` itself."""
    new = OLD_NAMES.get(key, key)
    return new if new in known and key not in known else key


IDLE = "The factor {factor} never moves by itself, so it cannot be switched."
BLENDS = "The factor {factor} has one source only, so nothing lies between two."


class Controls(Model):
    """What sliders and drivers do.

    values:   control key -> value in the control's unit (missing = neutral)
    strength: factor -> gain on its driver or idle motion, 0 (as in the photo) to 2; missing = 1
    idle:     factor -> whether it moves by itself when nothing drives it; missing = yes
    blend:    factor -> weight of its second source over time, see `blend_path`; missing = BLEND
    motion:   "relative" (a driver's change is added to the photo's own) or "absolute" (the driver's own values)
    undriven: value of a factor without a driver: "stay" (the photo's own) or "zero" (the method's canonical position)
    """

    values: Annotated[Mapping[str, Any], Values()] = {}
    strength: Annotated[
        Mapping[str, float], PerFactor("strength", "Strength", Number("Strength (×)", 0.0, 2.0, 0.05), STRENGTH)
    ] = {}
    idle: Annotated[
        Mapping[str, bool], PerFactor("idle", "Idle motion", Flag("Moves by itself without a clip"), True, "idle", IDLE)
    ] = {}
    blend: Annotated[
        Mapping[str, Any],
        PerFactor("blend", "Between two sources", Keyframes("Blend"), BLEND_PATH, "blends", BLENDS),
    ] = {}
    motion: Annotated[
        str, OneOf("Motion", ("relative", "absolute"), "relative keeps the photo's own pose and expression as the zero")
    ] = "relative"
    undriven: Annotated[
        str, OneOf("Undriven", ("stay", "zero"), "what nothing drives stays, or takes the method's canonical position")
    ] = "stay"

    def gain(self, factor: str) -> float:
        return float(self.strength.get(factor, STRENGTH))

    def path(self, factor: str) -> BlendPath:
        """Keyframes of the weight of the factor's second source."""
        return self.blend.get(factor, BLEND_PATH)  # type: ignore[no-any-return]

    def is_idle(self, factor: Factor) -> bool:
        """Whether the factor moves by itself when nothing drives it."""
        return factor.idle and bool(self.idle.get(factor.name, True))

    def check(self, declaration: Declaration) -> Controls:
        """A copy with values in their own types. Raises ControlError for settings that the method would ignore."""
        values = {key: declaration.control(key).checked(value) for key, value in self.values.items()}
        for name, spec in per_factor().items():
            spec.check(getattr(self, name), declaration)
        if not declaration.relative and self.motion != "relative":
            raise ControlError(
                f"With {declaration.name} a clip's own values always count: leave the motion relative, not "
                f"{self.motion}."
            )
        if not declaration.zero and self.undriven != "stay":
            raise ControlError(
                f"The factors of {declaration.name} have no canonical position: leave undriven stay, not "
                f"{self.undriven}."
            )
        return self.model_copy(update={"values": values})


SEED_MAX = 2**63 - 1


class Settings(Model):
    """All inputs of a video except files, checked against the declaration. Raises MethodError, ControlError."""

    method: Annotated[str, MethodName()] = "rig"
    seed: Annotated[int, Whole("Seed", 0, SEED_MAX, "of blinks, glances and idle motion")] = 0
    face: Annotated[int, Whole("Face", 0, 1000, "0 is the largest in the photo", name="number of the face")] = 0
    size: Annotated[int, Whole("Size", 128, 1024, "px of the generated face, a multiple of 32", multiple=32)] = 512
    paste_back: Annotated[
        bool,
        Flag("Put the face back into the whole photo", "give the square crop instead of the whole photo", "paste_back"),
    ] = True
    max_side: Annotated[int, Whole("Longer side", 256, 4096, "px of a video that keeps the whole photo, at most")] = (
        1080
    )
    controls: Controls = Controls()

    @model_validator(mode="after")
    def _known_to_the_method(self) -> Settings:
        object.__setattr__(self, "controls", self.controls.check(self.declaration))
        return self

    @property
    def declaration(self) -> Declaration:
        return declaration_of(self.method)


def specs(model: type[Model]) -> dict[str, Spec]:
    """Name of a setting -> its description, in order."""
    found = {n: next((m for m in f.metadata if isinstance(m, Spec)), None) for n, f in model.model_fields.items()}
    return {name: spec for name, spec in found.items() if spec is not None}


def default(model: type[Model], name: str) -> Any:
    return model.model_fields[name].default


def per_factor() -> dict[str, PerFactor]:
    """The settings with a value per factor."""
    return {name: spec for name, spec in specs(Controls).items() if isinstance(spec, PerFactor)}


def plain() -> dict[str, tuple[type[Model], Spec]]:
    """The settings with one value: name -> the model that has it, and its description."""
    found: dict[str, tuple[type[Model], Spec]] = {}
    for model in (Settings, Controls):
        found |= {n: (model, s) for n, s in specs(model).items() if not isinstance(s, PerFactor | Values)}
    return found


def all_factors() -> dict[str, Factor]:
    """The factors of all methods by name. If several methods declare a name, the first declaration counts."""
    found: dict[str, Factor] = {}
    for declaration in METHODS.values():
        for factor in declaration.factors:
            found.setdefault(factor.name, factor)
    return found


def blend_path(factor: str, value: object) -> BlendPath:
    """Weight t of the second source, 0 to 1: a number, keyframes [[second, t], ...], or their text "0:0, 2:1".

    t is linear between keyframes and constant before the first and after the last one. Raises ControlError.
    """
    example = f"Between two sources, {factor} takes a number from 0 to 1 or keyframes like 0:0, 2:1 (second:t)"
    keys: Any = value
    if isinstance(value, str):
        keys = [part.split(":") for part in value.replace(";", ",").split(",") if part.strip()]
        keys = keys[0][0] if len(keys) == 1 and len(keys[0]) == 1 else keys
    if not isinstance(keys, (list, tuple)):
        return ((0.0, number(f"The blend of {factor}", keys, *BLEND_RANGE)),)
    if not 1 <= len(keys) <= KEYFRAMES_MAX or any(not isinstance(k, (list, tuple)) or len(k) != 2 for k in keys):
        raise ControlError(f"{example}, at most {KEYFRAMES_MAX} of them, not {shown(value)}.")
    path = tuple(
        (number(f"A keyframe's second of {factor}", second, 0, KEYFRAME_SECONDS),
         number(f"A keyframe of {factor}", t, *BLEND_RANGE))
        for second, t in keys
    )  # fmt: skip
    if any(b[0] <= a[0] for a, b in pairwise(path)):
        raise ControlError(f"{example}; each keyframe must lie after the one before, not {shown(value)}.")
    return path


def path_text(path: BlendPath) -> str:
    """Keyframes as text. `blend_path` is the inverse."""
    return ", ".join(f"{second:g}:{t:g}" for second, t in path)
