"""Action units and coefficients."""

import doctest

import numpy as np
import pytest

from thgen import facs
from thgen.schema import ACTION_UNITS, COEFFICIENTS


@pytest.mark.parametrize("unit", ACTION_UNITS)
def test_a_unit_of_full_intensity_reads_as_that_unit(unit):
    weights = facs.coefficients_of({unit: 5.0})
    read = dict(zip(ACTION_UNITS, facs.intensities_of(weights), strict=True))
    assert read[unit] == pytest.approx(5) and sum(read.values()) == pytest.approx(5)


def test_both_sides_of_a_smile():
    moved = {COEFFICIENTS[i] for i in np.flatnonzero(facs.coefficients_of({12: 1}))}
    assert moved == {"mouthSmile_L", "mouthSmile_R"} == set(facs.unit_coefficients(12))


def test_examples_run():
    assert doctest.testmod(facs).attempted and doctest.testmod(facs).failed == 0
