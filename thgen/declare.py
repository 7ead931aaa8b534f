"""Declarations: the factors, controls, photos, clips and weights of a method, as data.

Page, command line, API, recipes, links and reports derive from declarations alone. Declarations do not import torch, so
a list of all methods is cheap.
"""

from __future__ import annotations

from dataclasses import dataclass

from thgen.checks import choice, flag, flag_of_text, number
from thgen.errors import ControlError, shown

AUDIO, CLIP = "audio", "clip"  # kinds of drivers: a voice; a driving clip or a still picture


@dataclass(frozen=True)
class Factor:
    """One part of the motion that has its own driver, for example the gaze.

    size:     number of entries of its value
    unit:     of its entries; None = a latent, whose numbers have a meaning inside the method only
    dims:     names of the entries, in order; () = no names
    sources:  its possible drivers, of AUDIO and CLIP; without a driver the photo's own value stays
    limits:   lowest and highest value of each entry, to which targets are clamped; () = no limits
    idle:     it has idle motion (from the seed) when it has no driver
    blends:   it can be blended between two sources
    relative: a driver's change can be added to the photo's own value; False = the driver's values replace it
    rest:     value of each entry of a driver at rest, from which its change counts; None = its values at the start
    zero:     meaning of a value of 0, in words ("the canonical position"); "" = it has no special meaning
    moves:    common factors (keys of schema.FACTORS) that it moves, whose idle motion it has; () = the one of its name
    """

    name: str
    label: str
    size: int
    unit: str | None = None
    dims: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    limits: tuple[tuple[float, float], ...] = ()
    idle: bool = False
    blends: bool = False
    relative: bool = True
    rest: float | None = None
    zero: str = ""
    info: str = ""
    moves: tuple[str, ...] = ()

    @property
    def latent(self) -> bool:
        return self.unit is None


@dataclass(frozen=True)
class Slider:
    """A number. `key` is `<group>.<name>` as in `--set key=value`; `neutral` changes nothing; `factor` says where it is
    shown."""

    key: str
    label: str
    factor: str
    unit: str
    low: float
    high: float
    neutral: float = 0.0
    step: float = 0.1
    info: str = ""

    def checked(self, value: object) -> float:
        """The value, perhaps given as text. Raises ControlError."""
        return number(f"The control {self.key}", value, self.low, self.high)

    @property
    def range(self) -> str:
        """What it takes, in words."""
        return f"{self.low:g}..{self.high:g}"


@dataclass(frozen=True)
class Choice:
    """One of several names. `neutral`, one of the options, changes nothing."""

    key: str
    label: str
    factor: str
    options: tuple[str, ...]
    neutral: str
    info: str = ""

    def checked(self, value: object) -> str:
        """Raises ControlError."""
        return choice(f"The control {self.key}", value, self.options)

    @property
    def range(self) -> str:
        """What it takes, in words."""
        return "|".join(self.options)


@dataclass(frozen=True)
class Switch:
    """On or off. `neutral` changes nothing."""

    key: str
    label: str
    factor: str
    neutral: bool = False
    info: str = ""

    def checked(self, value: object) -> bool:
        """Raises ControlError. Links and flags give "1", "true", "0", "false"."""
        return flag(f"The control {self.key}", flag_of_text(value) if isinstance(value, str) else value)

    @property
    def range(self) -> str:
        """What it takes, in words."""
        return "true|false"


Control = Slider | Choice | Switch


@dataclass(frozen=True)
class View:
    """A picture of its own that a method makes of photos and a clip, beside its videos: `Method.view`.

    name:   as in `view METHOD NAME`; label, about: its title, and one sentence on what it shows
    photos: least and most photos that it takes, each of any person
    frames: most frames of a clip that it takes, spread over the clip; 0 = it takes no clip
    """

    name: str
    label: str
    about: str
    photos: tuple[int, int] = (0, 8)
    frames: int = 0

    @property
    def takes(self) -> str:
        """Its inputs, in words."""
        least, most = self.photos
        count = f"{least} to {most} photos" if least else f"up to {most} photos"
        return count + (" and a clip" if self.frames else "")


@dataclass(frozen=True)
class Declaration:
    """All that the rest of thgen knows about a method.

    name:         as in `--method`; the name of a preset follows a dot ("pd_fgc.paper")
    label, about: texts for users: the name of its tab; one sentence, with the paper
    method:       import path of the class that implements `methods.base.Method`
    factors:      in the order in which they are shown
    controls:     sliders, choices and switches that it understands, in the order in which they are shown
    weights:      names in weights/manifest.json of its networks; each result lists them
    weights_from: remedy if the weights are absent, for error messages
    max_photos:   largest number of photos of the person that it can use
    clip_size:    side of the crops of driving clips that it gets, px
    clip_fps:     frames per second of driving clips that it gets; thgen resamples its result to 25
    released:     import path of the module whose FILES `weights convert` reads; "" = nobody released weights
    views:        pictures of its own, in the order in which they are shown
    """

    name: str
    label: str
    about: str
    method: str
    factors: tuple[Factor, ...]
    controls: tuple[Control, ...]
    weights: tuple[str, ...]
    weights_from: str = "train it: python -m thgen train --help"
    max_photos: int = 1
    clip_size: int = 256
    clip_fps: int = 25
    released: str = ""
    views: tuple[View, ...] = ()

    def has(self, factor: str) -> bool:
        return any(f.name == factor for f in self.factors)

    def factor(self, name: str) -> Factor:
        """Raises ControlError for a factor that the method lacks."""
        for factor in self.factors:
            if factor.name == name:
                return factor
        known = ", ".join(f.name for f in self.factors)
        raise ControlError(f"The method {self.name} has no factor {shown(name)}; choose one of: {known}.")

    def driven_by(self, name: str, source: str) -> Factor:
        """The factor, if `source` may drive it. Raises ControlError."""
        factor = self.factor(name)
        if source not in factor.sources:
            what = {AUDIO: "a voice", CLIP: "a clip"}[source]
            raise ControlError(f"{factor.label} cannot be driven by {what} with {self.name}.")
        return factor

    def driven_together(self, voice: bool) -> tuple[str, ...]:
        """The factors that one clip for all of them drives. voice: there is one, to which its factors are left."""
        return tuple(f.name for f in self.factors if CLIP in f.sources and not (voice and AUDIO in f.sources))

    def control(self, key: str) -> Control:
        """Raises ControlError for a control that the method lacks."""
        for control in self.controls:
            if control.key == key:
                return control
        if not self.controls:
            raise ControlError(f"{self.name} has no sliders: leave out {shown(key)}, or choose another method.")
        known = ", ".join(c.key for c in self.controls)
        raise ControlError(f"There is no control {shown(key)} in {self.name}; choose one of: {known}.")

    def view(self, name: object) -> View:
        """Raises ControlError for a view that the method lacks."""
        for view in self.views:
            if view.name == name:
                return view
        known = ", ".join(view.name for view in self.views)
        remedy = f"choose one of: {known}" if known else "choose another method"
        raise ControlError(f"The method {self.name} has no view {shown(name)}; {remedy}.")

    @property
    def relative(self) -> bool:
        """Whether relative motion exists for any factor."""
        return any(f.relative and CLIP in f.sources for f in self.factors)

    @property
    def zero(self) -> str:
        """What zero means, in words; "" where it means nothing."""
        return next((f.zero for f in self.factors if f.zero), "")
