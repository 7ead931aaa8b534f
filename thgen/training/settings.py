"""Typed settings under `data:` and `model:` of a stage, checked before anything is loaded.

A task declares a pydantic model for each (`Task.data_type`, `Task.model_type`). An unknown key, a missing key and a
value of the wrong type raise a TrainingError that names the key.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model
from torch import nn

from thgen.errors import TrainingError
from thgen.training.config import unknown_key

S = TypeVar("S", bound="Settings")


class Settings(BaseModel):
    """Base of all settings. Only numbers are converted, because YAML 1.1 reads some as text (see Whole and Real)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _number(value: Any) -> Any:
    """YAML 1.1 reads 1e-4 (without a dot) as text; here it means the number."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return float(value)
    return value


def _whole(value: Any) -> Any:
    value = _number(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_whole)]  # 5, 5.0 and "5" are 5
Count = Annotated[Whole, Field(ge=0)]
Positive = Annotated[Whole, Field(ge=1)]
Real = Annotated[float, BeforeValidator(_number)]
Share = Annotated[Real, Field(ge=0, le=1)]


def one_of(*choices: str) -> AfterValidator:
    """Annotation for a text that must be one of `choices`."""

    def check(value: str) -> str:
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return value

    return AfterValidator(check)


def arguments_of(network: Callable[..., nn.Module], given: tuple[str, ...] = ()) -> type[Settings]:
    """Settings with the arguments of a network's constructor, which must have type hints.

    given: arguments that the task itself passes and that a config must not contain.
    """
    hints = get_type_hints(network.__init__)  # type: ignore[misc]
    fields: dict[str, Any] = {}
    for name, parameter in list(inspect.signature(network).parameters.items()):
        if name in given:
            continue
        hint: Any = hints[name]
        if hint is int:
            hint = Whole
        elif hint is float:
            hint = Real
        else:  # a list of YAML becomes a tuple; its elements stay strict
            hint = Annotated[hint, Field(strict=False)]
        fields[name] = (hint, ... if parameter.default is parameter.empty else parameter.default)
    return create_model(f"{getattr(network, '__name__', 'Network')}Arguments", __base__=Settings, **fields)


def networks_of(**parts: type[Settings]) -> type[Settings]:
    """Settings of several networks by name. Each may be left out."""
    fields: dict[str, Any] = {name: (part | None, None) for name, part in parts.items()}
    return create_model("Networks", __base__=Settings, **fields)


def read(model: type[S], where: str, key: str, raw: Mapping[str, Any]) -> S:
    """The mapping `raw` under `key` of the stage `where`, as a `model`.

    Raises TrainingError about one fault, first about unknown keys, which often explain a missing one.
    """
    try:
        return model.model_validate(dict(raw))
    except ValidationError as error:
        faults = sorted(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
        raise TrainingError(_sentence(model, where, key, faults[0])) from None


def _sentence(model: type[Settings], where: str, key: str, fault: Any) -> str:
    """The error message about a fault that pydantic reports."""
    place = [key, *map(str, fault["loc"])]
    name = ".".join(place)
    if fault["type"] == "extra_forbidden":
        known = list(_inner(model, place[1:-1]).model_fields)
        return unknown_key(where, place[-1], known, ".".join(place[:-1]) + ".")
    if fault["type"] == "missing":
        return f"{where} lacks: {name}."
    must = fault["msg"].removeprefix("Value error, ").replace("Input should be", "must be", 1)
    return f"{where}: {name} {must}, not {fault['input']!r}."


def _inner(model: type[Settings], path: list[str]) -> type[Settings]:
    """The settings at `path` within `model`."""
    for name in path:
        annotation = model.model_fields[name].annotation
        inner = [a for a in (annotation, *get_args(annotation)) if isinstance(a, type) and issubclass(a, Settings)]
        model = inner[0]
    return model
