"""The inputs of one video (`Request`) or of one view (`ViewRequest`). They are checked when they are created."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import field_validator, model_validator

from thgen.checks import table
from thgen.declare import CLIP, View
from thgen.errors import ControlError, PhotoError, shown
from thgen.io.files import PathLike
from thgen.methods import declaration_of
from thgen.settings import MethodName, Model, Settings, Whole

Photo = PathLike | np.ndarray
VIEW_SIZE = 256  # px of each picture of a view's sheet, where nobody says


class Request(Settings):
    """The settings of a video, and its files. Raises MethodError or ControlError if a value is unknown, is outside its
    range, or would be ignored by the method.

    photo:          path, or uint8 RGB [H W 3]
    more_photos:    further photos of the same person, for methods that can use several
    audio:          path (sound, or a video with sound), float32 [L] at 16 kHz; None: as long as the longest driver
    clip:           path of one driving clip for all factors that `drivers` does not name (`driven_together`)
    drivers:        factor -> path of a driving clip, or of a still picture; with those that `clip` drives
    second_sources: factor -> path of its second source, see `Controls.blend`; not all factors can have one
    """

    photo: Any
    more_photos: tuple[Any, ...] = ()
    audio: Any = None
    clip: Any = None
    drivers: Mapping[str, Any] = {}
    second_sources: Mapping[str, Any] = {}

    @field_validator("drivers", "second_sources", mode="before")
    @classmethod
    def _named(cls, value: Any, info: Any) -> Any:
        return dict(table(info.field_name.replace("_", " "), value))

    @model_validator(mode="after")
    def _usable_by_the_method(self) -> Request:
        method = self.declaration
        if self.clip is not None:
            together = method.driven_together(self.audio is not None)
            if not together:
                whose = "leaves all that a clip could drive to the voice" if self.audio is not None else "takes no clip"
                raise ControlError(f"{method.name} {whose}: leave the clip for all factors out, or name its factor.")
            object.__setattr__(self, "drivers", {**dict.fromkeys(together, self.clip), **self.drivers})
        for name in (*self.drivers, *self.second_sources):
            method.driven_by(name, CLIP)
        for name in self.second_sources:
            if not method.factor(name).blends:
                raise ControlError(f"{method.factor(name).label} cannot lie between two sources; give one clip.")
        if len(self.photos) > method.max_photos:
            most = "one photo" if method.max_photos == 1 else f"at most {method.max_photos} photos"
            raise ControlError(f"{method.name} uses {most} of a person, not {len(self.photos)}.")
        return self

    @property
    def photos(self) -> tuple[Photo, ...]:
        """All photos, the one that is animated first."""
        return (self.photo, *self.more_photos)

    @property
    def clips(self) -> tuple[PathLike, ...]:
        """The paths of driving clips and pictures, each once."""
        return tuple(dict.fromkeys((*self.drivers.values(), *self.second_sources.values())))

    @property
    def inputs(self) -> tuple[PathLike, ...]:
        """The paths of all files that the video is made of."""
        given = (*self.photos, self.audio, *self.clips)
        return tuple(path for path in given if path is not None and not isinstance(path, np.ndarray))


class ViewRequest(Model):
    """The inputs of one view. Raises MethodError, ControlError, PhotoError.

    photos: paths or uint8 RGB [H W 3], each of any person; clip: path of a video, or of a still picture
    """

    method: Annotated[str, MethodName()]
    view: str
    photos: tuple[Any, ...] = ()
    clip: Any = None
    size: Annotated[int, Whole("Size", 64, 512, "px of each picture, a multiple of 32", multiple=32)] = VIEW_SIZE

    @field_validator("view", mode="before")
    @classmethod
    def _text(cls, value: Any) -> str:
        return value if isinstance(value, str) else shown(value)

    @field_validator("photos", mode="before")
    @classmethod
    def _several(cls, value: Any) -> tuple[Any, ...]:
        return tuple(value) if isinstance(value, list | tuple) else (value,) if value is not None else ()

    @model_validator(mode="after")
    def _fits_the_declaration(self) -> ViewRequest:
        view, count = self.declared, len(self.photos)
        least, most = view.photos
        if self.clip is not None and not view.frames:
            raise ControlError(f"The view {view.name} of {self.method} takes no clip; leave it out.")
        if count > most:
            raise ControlError(f"The view {view.name} of {self.method} takes {view.takes}, not {count} photos.")
        if count < least or (not count and self.clip is None):
            raise PhotoError(f"There is not enough to show: the view {view.name} takes {view.takes}.")
        return self

    @property
    def declared(self) -> View:
        return declaration_of(self.method).view(self.view)
