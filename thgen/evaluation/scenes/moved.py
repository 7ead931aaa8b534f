"""States of a performer that move one thing by a known amount, as a slider does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from thgen.nn.coefficients import place
from thgen.schema import BLINK_COEFFICIENTS
from thgen.synth.head.performer import BLINK_CLOSED, State

AXES = ("yaw", "pitch", "roll")  # order of angles in a pose and in a gaze


def moved_state(slider: str, value: float) -> State:
    """A state at rest except for the motion that a slider value asks for."""
    factor, _, axis = slider.partition(".")
    rest = State.neutral()
    if factor == "blink":
        closed = torch.full((1, len(BLINK_COEFFICIENTS)), BLINK_CLOSED * (1 - value / 100))
        return replace(rest, coefficients=place(closed, BLINK_COEFFICIENTS)[0].numpy().astype(np.float32))
    moved = getattr(rest, factor).copy()
    moved[..., AXES.index(axis)] = value
    return replace(rest, **{factor: moved})
