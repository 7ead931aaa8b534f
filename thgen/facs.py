"""Facial action units (FACS) and the coefficients of the head: conversion in both directions.

`schema.ACTION_UNITS` names the shapes of each unit. A unit of intensity 5 is a weight of 1 on all its shapes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from thgen.schema import ACTION_UNITS, AU_MAX, COEFFICIENT_INDEX, COEFFICIENTS, stem_of


def unit_coefficients(unit: int) -> tuple[str, ...]:
    """Names of the coefficients of action unit `unit`, both sides, in the order of COEFFICIENTS."""
    stems = ACTION_UNITS[unit][1]
    return tuple(name for name in COEFFICIENTS if stem_of(name) in stems)


def coefficients_of(intensities: Mapping[int, float]) -> np.ndarray:
    """Action unit -> intensity (0 to 5), as coefficients float32 [57]; both sides alike. Units that share a shape add.

    >>> float(coefficients_of({12: 2.5})[COEFFICIENT_INDEX["mouthSmile_L"]])
    0.5
    """
    out = np.zeros(len(COEFFICIENTS), np.float32)
    for unit, intensity in intensities.items():
        for name in unit_coefficients(unit):
            out[COEFFICIENT_INDEX[name]] += intensity / AU_MAX
    return out


def intensities_of(coefficients: np.ndarray) -> np.ndarray:
    """Coefficients [... 57] -> intensities [... 23] of `schema.ACTION_UNITS` in order, 0 to 5.

    A unit's intensity is the mean weight of its shapes, both sides, times 5.
    """
    columns = []
    for unit in ACTION_UNITS:
        own = [COEFFICIENT_INDEX[name] for name in unit_coefficients(unit)]
        columns.append(np.clip(coefficients[..., own].mean(-1), 0, 1) * AU_MAX)
    return np.stack(columns, -1)
