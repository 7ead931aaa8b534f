"""Conversion of gaze angles and eye openness to coefficients, for the renderer and the methods."""

from __future__ import annotations

from torch import Tensor

from thgen.schema import COEFFICIENT_INDEX, COEFFICIENTS, GAZE_FULL


def gaze_shapes(gaze: Tensor) -> Tensor:
    """Gaze [B 2 2] in degrees (left, right eye; yaw, pitch) -> coefficients [B 57]: eyeLook shapes, zero elsewhere.

    The eyeLook shapes move the lids, which follow the eyeball.

    >>> import torch
    >>> right = torch.tensor([[[35.0, 0.0], [35.0, 0.0]]])  # both eyes look to the right of the image
    >>> pick(gaze_shapes(right), ("eyeLookOut_L", "eyeLookIn_R")).tolist()
    [[1.0, 1.0]]
    """
    out = gaze.new_zeros(len(gaze), len(COEFFICIENTS))
    for side, letter, inward in ((0, "L", -1.0), (1, "R", 1.0)):
        # The left eye turns inwards by moving to the left of the image.
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
    """The columns of coefficients [B 57] that have these names, [B n]."""
    return coefficients[:, [COEFFICIENT_INDEX[n] for n in names]]


def blink_weights(openness: Tensor) -> Tensor:
    """Eye openness [B 2] in % (left, right) -> weights of the blink shapes [B 2].

    >>> import torch
    >>> blink_weights(torch.tensor([[0.0, 130.0]])).tolist()  # closed; more open than at rest
    [[1.0, 0.0]]
    """
    return (1 - openness / 100).clamp(0, 1)
