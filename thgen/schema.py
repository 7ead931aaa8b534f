"""Names, ranges, units and sign conventions, stated once: sliders, CLI, API, renderer, training, report derive from it.

Axis letters: B batch, T video frames, C channels, H rows, W columns, K keypoints, L samples, M mel bins, D latent.
Images inside networks: RGB in [-1, 1], [B C H W]; outside: uint8 RGB, [H W 3].
Image coordinates: normalised crop coordinates, x to the right and y down, both in [-1, 1] from edge to edge
(`align_corners=False`). Depth z has the same scale and grows *away* from the camera.

Angles, in degrees, seen by the viewer of the image:
    yaw   positive: the nose (or the iris) moves towards the right edge of the image
    pitch positive: the nose (or the iris) moves up
    roll  positive: the top of the head tilts towards the right edge (clockwise)
Rotation of the head: R = Rz(roll) Ry(yaw) Rx(pitch), see `thgen.nn.geometry.rotation_matrix`.
`_L` and `_R` in coefficient names are the subject's left and right; the subject's left eye lies right in the image.
Eye openness: 100 % = the open eye of that person, 0 % = closed. FACS intensities: 0 (absent) to 5 (maximum).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Any

from thgen.errors import ControlError, shown

FPS = 25
SAMPLE_RATE = 16_000
SAMPLES_PER_FRAME = SAMPLE_RATE // FPS

# The 57 expression shapes of ICT FaceKit Light, in the order of its file.
COEFFICIENTS = (
    "PupilDilate_L", "PupilDilate_R", "browDown_L", "browDown_R", "browInnerUp_L", "browInnerUp_R",
    "browOuterUp_L", "browOuterUp_R", "cheekPuff_L", "cheekPuff_R", "cheekRaiser_L", "cheekRaiser_R",
    "cheekSquint_L", "cheekSquint_R", "eyeBlink_L", "eyeBlink_R", "eyeLookDown_L", "eyeLookDown_R",
    "eyeLookIn_L", "eyeLookIn_R", "eyeLookOut_L", "eyeLookOut_R", "eyeLookUp_L", "eyeLookUp_R",
    "eyeSquint_L", "eyeSquint_R", "eyeWide_L", "eyeWide_R", "jawForward", "jawLeft", "jawOpen", "jawRight",
    "mouthClose", "mouthDimple_L", "mouthDimple_R", "mouthFrown_L", "mouthFrown_R", "mouthFunnel", "mouthLeft",
    "mouthLowerDown_L", "mouthLowerDown_R", "mouthPress_L", "mouthPress_R", "mouthPucker", "mouthRight",
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmile_L", "mouthSmile_R",
    "mouthStretch_L", "mouthStretch_R", "mouthUpperUp_L", "mouthUpperUp_R", "noseSneer_L", "noseSneer_R",
)  # fmt: skip
COEFFICIENT_INDEX = {name: i for i, name in enumerate(COEFFICIENTS)}


def _owned(*stems: str) -> tuple[str, ...]:
    """Coefficient names in file order whose name without side is one of `stems`."""
    return tuple(c for c in COEFFICIENTS if c.removesuffix("_L").removesuffix("_R") in stems)


# Which factor owns which coefficient. Every coefficient but the pupils' belongs to exactly one factor.
LIP_COEFFICIENTS = _owned(
    "jawForward", "jawLeft", "jawOpen", "jawRight", "mouthClose", "mouthFunnel", "mouthLeft", "mouthLowerDown",
    "mouthPress", "mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower",
    "mouthShrugUpper", "mouthStretch", "mouthUpperUp",
)  # fmt: skip
EXPRESSION_COEFFICIENTS = _owned(
    "browDown", "browInnerUp", "browOuterUp", "cheekPuff", "cheekRaiser", "cheekSquint", "eyeSquint", "eyeWide",
    "mouthDimple", "mouthFrown", "mouthSmile", "noseSneer",
)  # fmt: skip
GAZE_COEFFICIENTS = _owned("eyeLookDown", "eyeLookIn", "eyeLookOut", "eyeLookUp")
BLINK_COEFFICIENTS = _owned("eyeBlink")

# Degrees of eyeball rotation that a lid-following eyeLook shape of weight 1 stands for.
GAZE_FULL = {"eyeLookIn": 35.0, "eyeLookOut": 35.0, "eyeLookUp": 28.0, "eyeLookDown": 28.0}

# FACS by FaceKit's own table: action unit -> (name, shapes without side). Intensity 5 = shape weight 1.
ACTION_UNITS: dict[int, tuple[str, tuple[str, ...]]] = {
    1: ("Inner brow raiser", ("browInnerUp",)),
    2: ("Outer brow raiser", ("browOuterUp",)),
    4: ("Brow lowerer", ("browDown",)),
    5: ("Upper lid raiser", ("eyeWide",)),
    6: ("Cheek raiser", ("cheekSquint",)),
    7: ("Lid tightener", ("eyeSquint",)),
    9: ("Nose wrinkler", ("noseSneer",)),
    10: ("Upper lip raiser", ("mouthShrugUpper",)),
    11: ("Nasolabial deepener", ("mouthUpperUp",)),
    12: ("Lip corner puller", ("mouthSmile",)),
    14: ("Dimpler", ("mouthDimple",)),
    15: ("Lip corner depressor", ("mouthFrown",)),
    16: ("Lower lip depressor", ("mouthLowerDown",)),
    17: ("Chin raiser", ("mouthShrugLower",)),
    18: ("Lip pucker", ("mouthPucker",)),
    20: ("Lip stretcher", ("mouthStretch",)),
    22: ("Lip funneler", ("mouthFunnel",)),
    24: ("Lip pressor", ("mouthPress",)),
    27: ("Mouth stretch", ("jawOpen",)),
    28: ("Lip suck", ("mouthRollLower", "mouthRollUpper")),
    29: ("Jaw thrust", ("jawForward",)),
    33: ("Cheek puffer", ("cheekPuff",)),
    45: ("Blink", ("eyeBlink",)),
}
AU_MAX = 5.0

# The 8 MEAD classes as recipes of action units at full intensity. Only units that the expression factor owns, so that
# an emotion never moves the lips' own coefficients and speech goes on beneath it.
EMOTIONS: dict[str, dict[int, float]] = {
    "neutral": {},
    "angry": {4: 5, 5: 2, 7: 3.5, 9: 1.5, 15: 1},
    "contempt": {12: 1, 14: 4, 2: 1},
    "disgusted": {9: 4.5, 4: 2.5, 7: 2, 15: 2.5},
    "fear": {1: 4.5, 2: 3, 4: 2, 5: 4.5},
    "happy": {6: 4, 12: 4.5, 7: 1},
    "sad": {1: 4.5, 4: 2, 15: 4, 7: 1},
    "surprised": {1: 4.5, 2: 4.5, 5: 4},
}


# Classes of the analyser's segmentation, in the order of its logits. "head" is what shows of it beside the others
# (ears, scalp); "worn" is what is before or on it (hat, glasses, jewellery, a hand).
SEGMENTS = ("background", "head", "hair", "face", "mouth", "eyes", "neck", "body", "worn")


@dataclass(frozen=True)
class Control:
    """One slider: `key` is `<group>.<name>` as in `--set key=value`; `neutral` changes nothing."""

    key: str
    label: str
    factor: str
    unit: str
    low: float
    high: float
    neutral: float = 0.0
    step: float = 0.1
    info: str = ""


@dataclass(frozen=True)
class Factor:
    """One thing that can be driven by itself. `dims` names the entries of its latent, in order, with their unit."""

    name: str
    label: str
    dims: tuple[str, ...]
    unit: str
    drivers: tuple[str, ...]  # what may drive it: "audio", "clip"; empty driver = the photo's own
    live: bool = False  # moves by itself (seeded) when nothing drives it
    blends: bool = False  # may lie between two sources
    info: str = ""

    @property
    def size(self) -> int:
        return len(self.dims)


FACTORS: dict[str, Factor] = {
    f.name: f
    for f in (
        Factor("lip", "Lips", LIP_COEFFICIENTS, "shape weight", ("audio", "clip"),
               info="mouth and jaw, from the voice"),
        Factor("pose", "Head pose", ("yaw", "pitch", "roll", "x", "y", "z"), "degrees; crop half-widths", ("clip",),
               live=True, info="turn, nod and tilt of the head"),
        Factor("gaze", "Gaze", ("yaw", "pitch"), "degrees", ("clip",), live=True, info="where the eyes look"),
        Factor("blink", "Blink", ("openness_L", "openness_R"), "% of the open eye", ("clip",), live=True,
               info="how far the lids are open"),
        Factor("expression", "Expression", EXPRESSION_COEFFICIENTS, "shape weight", ("clip",), blends=True,
               info="brows, cheeks, nose and mouth corners"),
    )
}  # fmt: skip


def au_factor(au: int) -> str:
    """The factor that owns an action unit's shapes."""
    stem = ACTION_UNITS[au][1][0]
    owners = {"lip": LIP_COEFFICIENTS, "expression": EXPRESSION_COEFFICIENTS, "blink": BLINK_COEFFICIENTS}
    return next(f for f, names in owners.items() if any(n.startswith(stem) for n in names))


def _controls() -> dict[str, Control]:
    out = [
        Control("pose.yaw", "Yaw", "pose", "°", -45, 45, 0, 0.5, "positive: to the right of the image"),
        Control("pose.pitch", "Pitch", "pose", "°", -30, 30, 0, 0.5, "positive: up"),
        Control("pose.roll", "Roll", "pose", "°", -30, 30, 0, 0.5, "positive: clockwise"),
        Control("gaze.yaw", "Gaze yaw", "gaze", "°", -30, 30, 0, 0.5, "positive: to the right of the image"),
        Control("gaze.pitch", "Gaze pitch", "gaze", "°", -25, 25, 0, 0.5, "positive: up"),
        Control("blink.openness", "Eye openness", "blink", "%", 0, 120, 100, 1, "100 = the photo's own, 0 = closed"),
    ]
    out += [Control(f"expression.{e}", e.capitalize(), "expression", "", 0, 1, 0, 0.05, f"{e}, as action units")
            for e in EMOTIONS if e != "neutral"]  # fmt: skip
    out += [Control(f"au.{n}", f"AU{n} {label}", au_factor(n), "FACS", 0, AU_MAX, 0, 0.1, ", ".join(shapes))
            for n, (label, shapes) in ACTION_UNITS.items() if au_factor(n) != "blink"]  # fmt: skip
    return {c.key: c for c in out}


CONTROLS: dict[str, Control] = _controls()
STRENGTH_RANGE = (0.0, 2.0)
BLEND_RANGE, BLEND = (0.0, 1.0), 0.5  # from the first source to the second; where nobody says
KEYFRAMES_MAX, KEYFRAME_SECONDS = 100, 600.0
MOTIONS = ("relative", "absolute")
OTHERS = ("stay", "zero")


BlendPath = tuple[tuple[float, float], ...]  # (second, t) in the order of time


def blend_path(factor: str, value: object) -> BlendPath:
    """How far between its two sources a factor lies: a number, keyframes [[second, t], ...], or their text "0:0, 2:1".

    Between keyframes t runs straight, before the first and after the last it stays. Raises ControlError.
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
    """Keyframes as `blend_path` reads them."""
    return ", ".join(f"{second:g}:{t:g}" for second, t in path)


def number(what: str, value: object, low: float, high: float) -> float:
    """A number from low to high that someone gave, perhaps as text. Raises ControlError that begins with `what`."""
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


def whole(what: str, value: object, low: int, high: int) -> int:
    """A whole number from low to high that someone gave, perhaps as text. Raises ControlError that names `what`."""
    try:
        result = int(value)  # type: ignore[call-overload]
        if isinstance(value, bool) or (isinstance(value, float) and result != value):
            raise ValueError
    except (TypeError, ValueError, OverflowError):  # also text of thousands of digits, and infinity
        result = None
    if result is None or not low <= result <= high:
        raise ControlError(f"The {what} must be a whole number from {low} to {high}, not {shown(value)}.")
    return result


def flag(what: str, value: object) -> bool:
    """True or false that someone gave. Text is refused: "false" would count as true. Raises ControlError."""
    if not isinstance(value, bool):
        raise ControlError(f"{what} must be true or false, not {shown(value)}.")
    return value


def choice(what: str, value: object, options: Collection[str]) -> str:
    """One of the options, by name. Raises ControlError."""
    if not isinstance(value, str) or value not in options:
        raise ControlError(f"{what} must be one of {', '.join(options)}, not {shown(value)}.")
    return value


def table(what: str, value: object) -> Mapping[str, Any]:
    """A mapping of names to values that someone gave. Raises ControlError."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ControlError(f"The {what} must be a dictionary of names and values, not {shown(value)}.")
    return value


@dataclass(frozen=True)
class Controls:
    """What the visitor set; immutable, checked on creation.

    values:   control key -> value in the control's unit (missing = neutral)
    strength: factor -> gain on what drives it, 0 (as in the photo) to 2; missing = 1
    live:     factor -> whether it moves by itself when nothing drives it; missing = yes
    motion:   "relative" (the photo's own pose and expression stay the zero) or "absolute" (the driver's own values)
    others:   what stands where nothing drives: "stay" (the photo's own) or "zero" (the canonical position; only methods
              with latents of their own have one: PD-FGC, figure 3)
    blend:    factor -> how far it lies between its two sources, see `blend_path`; missing = BLEND
    Raises ControlError.
    """

    values: Mapping[str, float] = field(default_factory=dict)
    strength: Mapping[str, float] = field(default_factory=dict)
    live: Mapping[str, bool] = field(default_factory=dict)
    motion: str = "relative"
    others: str = "stay"
    blend: Mapping[str, BlendPath | float | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("values", "strength", "live", "blend"):
            table(f"controls' {name}" if name == "values" else name, getattr(self, name))
        for key, value in self.values.items():
            if key not in CONTROLS:
                raise ControlError(f"There is no control {shown(key)}; choose one of: {', '.join(CONTROLS)}.")
            c = CONTROLS[key]
            number(f"The control {key}", value, c.low, c.high)
        for factor, gain in self.strength.items():
            self._factor(factor)
            number(f"The strength of {factor}", gain, *STRENGTH_RANGE)
        for factor, moves in self.live.items():
            if not self._factor(factor).live:
                raise ControlError(f"The factor {factor!r} never moves by itself, so it cannot be switched.")
            flag(f"live.{factor}", moves)
        choice("Motion", self.motion, MOTIONS)
        choice("Others", self.others, OTHERS)
        for factor in self.blend:
            if not self._factor(factor).blends:
                raise ControlError(f"The factor {factor!r} has one source only, so nothing lies between two.")
        object.__setattr__(self, "blend", {f: blend_path(f, value) for f, value in self.blend.items()})

    @staticmethod
    def _factor(name: str) -> Factor:
        if name not in FACTORS:
            raise ControlError(f"There is no factor {shown(name)}; choose one of: {', '.join(FACTORS)}.")
        return FACTORS[name]

    def value(self, key: str) -> float:
        return float(self.values.get(key, CONTROLS[key].neutral))

    def gain(self, factor: str) -> float:
        return float(self.strength.get(factor, 1.0))

    def path(self, factor: str) -> BlendPath:
        """Keyframes of how far the factor lies between its two sources."""
        return self.blend.get(factor, ((0.0, BLEND),))  # type: ignore[return-value]

    def is_live(self, factor: str) -> bool:
        return FACTORS[factor].live and bool(self.live.get(factor, True))

    def to_dict(self) -> dict:
        return {f.name: dict(v) if isinstance(v := getattr(self, f.name), Mapping) else v for f in fields(self)}
