"""The motion head: a state near rest."""

import torch

from thgen.compact.motion_head import MotionHead


def test_an_untrained_head_gives_a_face_near_rest():
    torch.manual_seed(0)
    state = MotionHead(12, 16, 1)(torch.randn(3, 12))
    assert state.coefficients.shape == (3, 57) and state.gaze.shape == (3, 2, 2)
    assert state.coefficients.abs().max() < 0.1 and state.turn.abs().max() < 5


def test_a_shift_moves_the_zero_and_no_state():
    torch.manual_seed(0)
    head, latent, rest = MotionHead(6, 16, 2), torch.randn(4, 6), torch.randn(2)
    before = head(latent)
    head.shift(3, rest)
    moved = latent.clone()
    moved[:, 3:5] -= rest
    after = head(moved)
    for name in ("coefficients", "gaze", "turn", "place"):
        torch.testing.assert_close(getattr(after, name), getattr(before, name), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(head(latent).coefficients, before.coefficients, atol=1e-3)
