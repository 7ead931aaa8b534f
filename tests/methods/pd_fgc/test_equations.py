"""PD-FGC equation by equation, and the order, gains and smoothing of its latents."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from thgen.losses.correlation import MemoryBank, correlations
from thgen.methods.pd_fgc.equations import (
    audio_to_video,
    consistency,
    eye_contrast,
    lip_decorrelation,
    motion_reconstruction,
    nlse_c,
    pose_regression,
    variance,
    vgg,
    video_to_audio,
    window_average,
)
from thgen.methods.pd_fgc.latents import RELEASED, Gains, Latents, eye_of, smooth_lips, smooth_pose

G = torch.Generator().manual_seed(0)


def some(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=G)


def has_gradient(loss, *inputs: torch.Tensor) -> bool:
    leaves = [x.clone().requires_grad_() for x in inputs]
    loss(*leaves).backward()
    return all(x.grad is not None and x.grad.abs().sum() > 0 for x in leaves)


# ---- eq. 1
def test_eq_1_is_the_sum_of_two_norms():
    a, b = torch.zeros(2, 3, 1, 1), torch.zeros(2, 3, 1, 1)
    a[0, :2, 0, 0] = torch.tensor([3.0, 4.0])
    flat, first = (lambda x: x.flatten(1)), (lambda x: 2 * x[:, :1].flatten(1))
    assert motion_reconstruction(a, b, flat, first) == pytest.approx((5 + 0) / 2 + (6 + 0) / 2)
    assert motion_reconstruction(a, a, flat, first) == 0
    assert has_gradient(lambda x: motion_reconstruction(x, b, flat, first), a)


# ---- eq. 2, 3
def test_eq_2_and_3_by_hand():
    """Two moments, with cosines that are easy to compute by hand."""
    audio = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    video = torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])
    ln2 = math.log(2)
    # First voice: cosines 1 and 1. Second voice: 0 and 0. Both are at chance.
    assert audio_to_video(audio, video, 1.0) == pytest.approx(ln2)
    # First picture: cosines 1 (its own) and 0. Second picture: 0 (its own) and 1.
    expected = (-math.log(math.e / (math.e + 1)) - math.log(1 / (1 + math.e))) / 2
    assert video_to_audio(audio, video, 1.0) == pytest.approx(expected)


@pytest.mark.parametrize("loss", [audio_to_video, video_to_audio])
def test_contrast_knows_its_own_moment_and_its_floor(loss):
    codes = torch.eye(9)[None]
    assert loss(codes, codes, 1.0) == pytest.approx(math.log(1 + 8 / math.e))
    assert loss(codes, codes, 0.1) < 1e-3
    shuffled = codes.roll(1, 1)
    assert loss(codes, shuffled, 0.1) > 5
    assert loss(-codes, codes, 1.0) > loss(codes, codes, 1.0)
    assert has_gradient(loss, some(2, 9, 4), some(2, 9, 4))
    # Other clips are not negatives: the loss is the mean over single clips.
    a, v = some(3, 9, 4), some(3, 9, 4)
    assert loss(a, v) == pytest.approx(float(sum(loss(a[k : k + 1], v[k : k + 1]) for k in range(3)) / 3), rel=1e-5)


# ---- eq. 4
def test_eq_4_by_hand():
    first, second = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    assert eye_contrast(first, second, 3 * first, 1.0) == pytest.approx(-math.log(math.e / (math.e + 1)))
    assert eye_contrast(first, second, second, 1.0) == pytest.approx(-math.log(1 / (math.e + 1)))
    assert eye_contrast(first, first, second, 0.1) == pytest.approx(math.log(2))
    assert has_gradient(eye_contrast, some(4, 6), some(4, 6), some(4, 6))


# ---- eq. 5
def test_eq_5_by_hand():
    a = torch.tensor([[1.0, -1.0, 0.0, 0.0, 0.0, 2.0]])
    assert pose_regression(a, torch.zeros(1, 6)) == pytest.approx(4 / 6)
    assert pose_regression(a, a) == 0
    assert has_gradient(lambda x: pose_regression(x, torch.zeros(1, 6)), a)


# ---- eq. 6
def test_correlations_by_hand():
    a = torch.tensor([[0.0], [1.0], [2.0]])
    b = torch.tensor([[5.0, 0.0], [3.0, 1.0], [1.0, 0.0]])
    np.testing.assert_allclose(correlations(a, b), [[-1.0, 0.0]], atol=1e-5)
    numbers, others = some(50, 3), some(50, 4)
    np.testing.assert_allclose(correlations(numbers, others), np.corrcoef(numbers.T, others.T)[:3, 3:], atol=1e-4)


def test_eq_6_looks_at_the_bank_and_moves_the_batch_alone():
    bank = MemoryBank(8, 2, 3)
    lips = some(12, 3)
    leaked = lips[:, :2] * 2 + 1  # each entry of the expression is an entry of the lips
    for k in range(0, 12, 4):
        bank.push(leaked[k : k + 4], lips[k : k + 4])
    assert int(bank.filled) == 8
    torch.testing.assert_close(bank.first, leaked[4:])
    joined = correlations(torch.cat([leaked[4:], leaked[:4]]), torch.cat([lips[4:], lips[:4]]))
    lips = lips.requires_grad_()
    expression = leaked[:4].clone().requires_grad_()
    loss = lip_decorrelation(expression, lips[:4], bank)
    assert float(loss) == pytest.approx(float(joined.square().mean()), rel=1e-5) and loss > 2 / 6
    loss.backward()
    assert expression.grad.abs().sum() > 0 and lips.grad is None, "the voice is not moved"
    assert not bank.first.requires_grad


def test_eq_6_is_zero_for_a_constant_expression_and_small_for_an_independent_one():
    bank = MemoryBank(512, 5, 7)
    bank.push(some(512, 5), some(512, 7))
    assert lip_decorrelation(some(16, 5), some(16, 7), bank) < 0.01
    empty = MemoryBank(8, 5, 7)
    assert lip_decorrelation(torch.ones(6, 5), some(6, 7), empty) == 0


def test_the_expression_is_the_average_of_its_window():
    frames = some(2, 13, 30)
    torch.testing.assert_close(window_average(frames), frames.mean(1))


# ---- eq. 7, 8
def test_eq_7_sums_over_layers():
    a, b = [torch.zeros(1, 2, 2, 2), torch.zeros(1, 4, 1, 1)], [torch.ones(1, 2, 2, 2), 3 * torch.ones(1, 4, 1, 1)]
    assert vgg(a, b) == 4 and vgg(a, a) == 0
    assert has_gradient(lambda x, y: vgg([x, y], b), *[m + 0.1 for m in a])


def test_eq_8_by_hand():
    lip, voice = torch.tensor([[1.0, 0.0]]), torch.tensor([[2.0, 0.0]])
    same, gaze = torch.zeros(1, 2), torch.tensor([[1.0, -3.0]])
    zero = torch.zeros(())
    assert consistency(lip, voice, same, same, zero) == pytest.approx(math.exp(-1)), "its least"
    assert consistency(lip, -voice, gaze, same, zero + 5) == pytest.approx(math.e + 2 + 5)
    assert has_gradient(lambda x, y, m: consistency(x, voice, y, same, m.sum()), some(1, 2), gaze, torch.ones(1))


# ---- eq. 9, I
def test_eq_9_gives_the_numbers_of_table_1():
    assert nlse_c(2.03, 7.35) == pytest.approx(0.724, abs=5e-4)
    assert nlse_c(9.23, 7.80) == pytest.approx(0.183, abs=5e-4)
    assert nlse_c(7.26, 7.35) == pytest.approx(0.012, abs=5e-4)


def test_eq_i_is_a_mean_of_norms_over_clips():
    one = np.array([[0.0, 0.0], [6.0, 8.0]])  # 5 from the mean, both
    other = np.zeros((7, 2))
    assert variance([one, other]) == pytest.approx(2.5)


# ---- latents
def test_latents_are_joined_in_the_order_of_the_released_generator():
    sizes = Latents()
    assert sizes.size == 2590
    parts = {n: torch.full((2, getattr(sizes, n)), float(k)) for k, n in enumerate(
        ("appearance", "lip", "expression", "eye", "pose"))}  # fmt: skip
    joined = sizes.join(**parts)
    edges = [0, 2048, 2548, 2578, 2584, 2590]
    for k, (a, b) in enumerate(pairwise(edges)):
        assert (joined[:, a:b] == k).all()


def test_blink_and_gaze_are_entries_of_the_eye():
    eye = eye_of(torch.ones(1, 4), 2 * torch.ones(1, 2))
    assert eye.tolist() == [[1, 1, 2, 2, 1, 1]]


def test_released_gains():
    assert RELEASED.lip == RELEASED.voice == 1.5 and RELEASED.pose == 1
    assert RELEASED.expression == RELEASED.gaze == RELEASED.blink == 1.2
    assert set(vars(Gains()).values()) == {1.0}


def test_lips_are_smoothed_with_zeros_beyond_the_ends():
    out = smooth_lips(torch.ones(5, 3))
    np.testing.assert_allclose(out[:, 0], [0.7259, 1, 1, 1, 0.7259], atol=1e-4)
    pulse = torch.zeros(5, 1)
    pulse[2] = 1
    np.testing.assert_allclose(smooth_lips(pulse)[:, 0], [0, 0.2741, 0.4519, 0.2741, 0], atol=1e-4)


def test_pose_is_averaged_over_three_frames_and_two_at_the_ends():
    out = smooth_pose(torch.tensor([[0.0], [3.0], [6.0], [0.0]]))
    np.testing.assert_allclose(out[:, 0], [1.5, 3, 3, 3], atol=1e-6)
    torch.testing.assert_close(smooth_pose(torch.tensor([[4.0]])), torch.tensor([[4.0]]))
