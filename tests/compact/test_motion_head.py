"""The motion head: a state near rest, and heads of old weights, which close lids by their own formula."""

import torch

from thgen.compact.motion_head import MotionHead


def test_an_untrained_head_gives_a_face_near_rest():
    torch.manual_seed(0)
    state = MotionHead(12, 16, 1)(torch.randn(3, 12))
    assert state.coefficients.shape == (3, 57) and state.gaze.shape == (3, 2, 2)
    assert state.coefficients.abs().max() < 0.1 and state.turn.abs().max() < 5


def test_weights_that_do_not_name_the_formula_of_lids_have_the_old_one():
    old = {"latent": 12, "hidden": 16, "layers": 1}
    assert not MotionHead.from_config(old).lids_by_opening
    new = {k: v for k, v in MotionHead(**old).config.items() if k != "class"}
    assert MotionHead.from_config(new).lids_by_opening
