"""Inside of the mouth: teeth and tongue move, lips do not; brightness falls with depth."""

import numpy as np
import pytest

from thgen.synth.head import facekit as fk
from thgen.synth.head.performer import Performer
from thgen.synth.looks.mouth import DARKEST, GAP, LOWER_TEETH, TEETH_LOWER, TONGUE_LIFT, sample_mouth

IVORY = np.array([0.8, 0.76, 0.68])


def mouths(count):
    return [sample_mouth(np.random.default_rng(seed), IVORY) for seed in range(count)]


def test_upper_teeth_move_down_lower_ones_either_way_and_only_the_tongue_moves_forward(mesh):
    if not mesh.upper_teeth.any():
        pytest.skip("this head has no teeth")
    teeth, gums = (mesh.part == label for label in (fk.TEETH, fk.GUMS))
    upper, lower, tongue = [], [], []
    for seed in range(12):
        moved = Performer(mesh, seed, spread=0.0).plain - mesh.vertices
        moved -= moved[mesh.landmarks[30]]
        assert np.abs(moved[~teeth & ~gums]).max() < 1e-4, "lips and skin stay"
        assert np.ptp(moved[mesh.upper_teeth, 1]) < 1e-4 and np.ptp(moved[teeth & ~mesh.upper_teeth, 1]) < 1e-4
        upper.append(moved[mesh.upper_teeth, 1].mean())
        lower.append(moved[teeth & ~mesh.upper_teeth, 1].mean())
        tongue.append(moved[gums & ~mesh.upper_teeth, 1].max())
        assert (np.abs(moved[:, 2]) > 1e-4).sum() < 0.6 * gums.sum()
    assert -TEETH_LOWER - 1e-4 <= min(upper) < -0.3 and -0.1 < max(upper) <= 0
    assert LOWER_TEETH[0] - 1e-4 <= min(lower) < -0.1 and 0.05 < max(lower) <= LOWER_TEETH[1] + 1e-4
    assert min(tongue) < 0.3 and 0.7 < max(tongue) <= TONGUE_LIFT + 1e-4


def test_the_inside_gets_darker_with_depth_down_to_its_darkest():
    part = np.array([fk.TEETH, fk.TEETH, fk.TEETH, fk.FACE])
    for mouth in mouths(20):
        colour = np.full((4, 3), 0.5)
        mouth.paint(colour, part, np.array([0.0, 2.0, 50.0, 50.0]))
        assert (colour[0] > colour[1]).all() and (colour[1] >= colour[2]).all()
        assert colour[2] == pytest.approx(0.85 * mouth.darkest * mouth.teeth)
        assert (colour[3] == 0.5).all(), "what is outside keeps its colour"


def test_some_mouths_are_dark_some_bright_and_a_few_show_no_teeth():
    some = mouths(600)
    darkest = np.array([m.darkest for m in some])
    assert darkest.min() < DARKEST[0] + 0.05 and darkest.max() > DARKEST[1] - 0.05
    white = np.array([m.teeth.mean() > m.gums.mean() for m in some])
    assert 0.5 < white.mean() < 1 - GAP / 2
