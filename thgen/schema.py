"""Names, ranges, units and signs. Sliders, command line, API, renderer, training and reports derive from this file.

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

from thgen.declare import Factor, Slider

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


def stem_of(name: str) -> str:
    """A coefficient's or an entry's name without side."""
    return name.removesuffix("_L").removesuffix("_R")


def _owned(*stems: str) -> tuple[str, ...]:
    """Coefficient names in file order whose name without side is one of `stems`."""
    return tuple(c for c in COEFFICIENTS if stem_of(c) in stems)


# Each coefficient belongs to exactly one factor, except those of the pupils, which belong to none.
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

# Rotation of the eyeball, in degrees, at which the eyeLook shapes, which move the lids with it, have weight 1.
GAZE_FULL = {"eyeLookIn": 35.0, "eyeLookOut": 35.0, "eyeLookUp": 28.0, "eyeLookDown": 28.0}

# FACS as in FaceKit's own table: action unit -> (name, shapes without side). Intensity 5 = shape weight 1.
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

# The 8 classes of MEAD as action units at full intensity. All these units belong to the factor expression. So an
# emotion does not change the coefficients of the lips, and speech remains.
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


# Classes of the analyser's segmentation, in the order of its logits. "head" is the rest of the head (ears,
# scalp); "worn" are things on or in front of the head (hat, glasses, jewellery, a hand).
SEGMENTS = ("background", "head", "hair", "face", "mouth", "eyes", "neck", "body", "worn")

# Lowest and highest target of each entry, with drivers and sliders. A photo's own value may lie outside. Weights are
# negative where a driver smiles less than at rest.
_WEIGHTS = (-0.35, 1.2)
FACTORS: dict[str, Factor] = {
    f.name: f
    for f in (
        Factor("lip", "Lips", len(LIP_COEFFICIENTS), "shape weight", LIP_COEFFICIENTS, sources=("audio", "clip"),
               limits=(_WEIGHTS,) * len(LIP_COEFFICIENTS), rest=0.0, info="mouth and jaw, from the voice"),
        Factor("pose", "Head pose", 6, "degrees; crop half-widths", ("yaw", "pitch", "roll", "x", "y", "z"),
               sources=("clip",), limits=((-60, 60), (-45, 45), (-45, 45), (-1, 1), (-1, 1), (-1, 1)), idle=True,
               info="turn, nod and tilt of the head"),
        Factor("gaze", "Gaze", 4, "degrees", ("yaw_L", "pitch_L", "yaw_R", "pitch_R"), sources=("clip",),
               limits=((-40, 40), (-35, 35)) * 2, idle=True, rest=0.0, info="where each eye looks"),
        Factor("blink", "Blink", 2, "eye openness, % of the open eye", ("openness_L", "openness_R"), sources=("clip",),
               limits=((0, 140), (0, 140)), idle=True, rest=100.0, info="how far the lids are open"),
        Factor("expression", "Expression", len(EXPRESSION_COEFFICIENTS), "shape weight", EXPRESSION_COEFFICIENTS,
               sources=("clip",), limits=(_WEIGHTS,) * len(EXPRESSION_COEFFICIENTS), blends=True, rest=0.0,
               info="brows, cheeks, nose and mouth corners"),
    )
}  # fmt: skip


def au_factor(au: int) -> str:
    """The factor that owns an action unit's shapes."""
    stem = ACTION_UNITS[au][1][0]
    owners = {"lip": LIP_COEFFICIENTS, "expression": EXPRESSION_COEFFICIENTS, "blink": BLINK_COEFFICIENTS}
    return next(f for f, names in owners.items() if any(n.startswith(stem) for n in names))


def _sliders() -> dict[str, Slider]:
    out = [
        Slider("pose.yaw", "Yaw", "pose", "°", -45, 45, 0, 0.5, "positive: to the right of the image"),
        Slider("pose.pitch", "Pitch", "pose", "°", -30, 30, 0, 0.5, "positive: up"),
        Slider("pose.roll", "Roll", "pose", "°", -30, 30, 0, 0.5, "positive: clockwise"),
        Slider("gaze.yaw", "Gaze yaw", "gaze", "°", -30, 30, 0, 0.5, "positive: to the right of the image"),
        Slider("gaze.pitch", "Gaze pitch", "gaze", "°", -25, 25, 0, 0.5, "positive: up"),
        Slider("blink.openness", "Eye openness", "blink", "%", 0, 120, 100, 1, "100 = the photo's own, 0 = closed"),
    ]
    out += [Slider(f"expression.{e}", e.capitalize(), "expression", "", 0, 1, 0, 0.05, f"{e}, as action units")
            for e in EMOTIONS if e != "neutral"]  # fmt: skip
    out += [Slider(f"au.{n}", f"AU{n} {label}", au_factor(n), "FACS", 0, AU_MAX, 0, 0.1, ", ".join(shapes))
            for n, (label, shapes) in ACTION_UNITS.items() if au_factor(n) != "blink"]  # fmt: skip
    return {s.key: s for s in out}


# The common sliders, which every compact method has. They change the face of the photo: pose and gaze in degrees,
# lids in %, action units by FACS intensity, emotions from 0 to 1.
SLIDERS: dict[str, Slider] = _sliders()
