"""Angles and percentages <-> coefficients, in one place for renderer and methods."""

from __future__ import annotations

from torch import Tensor

from thgen.schema import COEFFICIENT_INDEX, COEFFICIENTS, GAZE_FULL


def gaze_shapes(gaze: Tensor) -> Tensor:
    """Gaze [B 2 2] in degrees (left, right eye; yaw, pitch) -> the lids' eyeLook shapes in a row of [B 57]."""
    out = gaze.new_zeros(len(gaze), len(COEFFICIENTS))
    for side, letter, inward in ((0, "L", -1.0), (1, "R", 1.0)):  # the left eye turns in towards the left of the image
        yaw, pitch = gaze[:, side, 0], gaze[:, side, 1]
        angles = {"eyeLookIn": inward * yaw, "eyeLookOut": -inward * yaw, "eyeLookUp": pitch, "eyeLookDown": -pitch}
        for stem, angle in angles.items():
            out[:, COEFFICIENT_INDEX[f"{stem}_{letter}"]] = angle.clamp_min(0) / GAZE_FULL[stem]
    return out


def place(values: Tensor, names: tuple[str, ...]) -> Tensor:
    """Values [B n] of the named coefficients -> [B 57], zero elsewhere."""
    out = values.new_zeros(len(values), len(COEFFICIENTS))
    out[:, [COEFFICIENT_INDEX[n] for n in names]] = values
    return out


def pick(coefficients: Tensor, names: tuple[str, ...]) -> Tensor:
    """The named columns of coefficients [B 57]."""
    return coefficients[:, [COEFFICIENT_INDEX[n] for n in names]]


def blink_weights(openness: Tensor) -> Tensor:
    """Openness [B 2] in % (left, right) -> weights of the blink shapes [B 2]: 0 % is 1, 100 % and above is 0."""
    return (1 - openness / 100).clamp(0, 1)
