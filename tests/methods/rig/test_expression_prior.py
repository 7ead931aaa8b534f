"""What usually occurs together in faces, and that a fit follows it where keypoints leave a doubt."""

import numpy as np

from thgen.methods.rig.expression_prior import usual_motion
from thgen.schema import COEFFICIENT_INDEX, COEFFICIENTS
from thgen.synth import usual_motion as drawn


def together(one: str, other: str) -> float:
    """Cosine of two coefficients over the random expressions."""
    usual, (a, b) = usual_motion(), (COEFFICIENT_INDEX[name] for name in (one, other))
    return float(usual[a, b] / np.sqrt(usual[a, a] * usual[b, b]))


def test_it_is_a_mean_product_of_expressions():
    usual = usual_motion()
    assert usual.shape == (len(COEFFICIENTS),) * 2 and np.allclose(usual, usual.T)
    assert np.linalg.eigvalsh(usual).min() > -1e-9
    assert 0.01 < usual[COEFFICIENT_INDEX["jawOpen"]].max() < 1


def test_both_sides_and_the_parts_of_a_smile_go_together():
    assert together("browInnerUp_L", "browInnerUp_R") > 0.8
    assert together("mouthSmile_L", "cheekSquint_L") > 0.5 > together("mouthSmile_L", "mouthFrown_L")


def test_the_file_is_what_the_renderer_does():
    """If this fails after a change of the renderer's expressions: thgen.synth.usual_motion.write(FILE)."""
    np.testing.assert_allclose(usual_motion(), drawn.usual_motion(), atol=1e-6)
