"""Equations of FC-TFG against values by hand."""

import math

import pytest
import torch

from thgen.methods.fc_tfg import equations as eq


def test_1_motion_is_added_and_no_motion_is_the_canonical_face():
    canonical, motion = torch.tensor([[[1.0, -2.0]]]), torch.tensor([[[0.5, 0.5]], [[0.0, 0.0]]])
    assert eq.transfer(canonical, motion).tolist() == [[[1.5, -1.5]], [[1.0, -2.0]]]


def test_2_the_voice_comes_before_the_frame_and_may_be_absent():
    voice, frame = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0]])
    assert eq.joined(voice, frame).tolist() == [[1.0, 2.0, 3.0]]
    assert eq.joined(None, frame).tolist() == [[3.0]]


def test_3_codes_that_share_no_channel_are_orthogonal_and_signs_do_not_cancel():
    apart = eq.orthogonality(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 3.0]]))
    assert apart == 0
    cancelling = torch.tensor([[1.0, 1.0]]), torch.tensor([[2.0, -2.0]])
    assert eq.orthogonality(*cancelling).item() == pytest.approx(2.0), "as printed it would be 0, or any negative value"
    assert eq.orthogonality(*cancelling, kind="cosine").item() == pytest.approx(0, abs=1e-6)
    same = torch.tensor([[1.0, 1.0]]), torch.tensor([[-2.0, -2.0]])
    assert eq.orthogonality(*same, kind="cosine").item() == pytest.approx(1)


def test_3_the_number_of_channels_does_not_scale_the_loss():
    one = torch.full((1, 1), 2.0), torch.full((1, 1), 3.0)
    many = torch.full((4, 8, 16), 2.0), torch.full((4, 8, 16), 3.0)
    assert eq.orthogonality(*one) == eq.orthogonality(*many) == 6


def test_4_and_5_are_one_minus_the_mean_cosine():
    a, b = torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[5.0, 0.0], [0.0, 2.0]])
    assert eq.synchronisation(a, b).item() == pytest.approx(0.5)
    made, true = a.clone().requires_grad_(True), b.clone().requires_grad_(True)
    loss = eq.identity(made, true)
    assert loss.item() == pytest.approx(0.5)
    loss.backward()
    assert made.grad is not None and true.grad is None


def test_6_is_the_mean_distance_of_pixels():
    assert eq.reconstruction(torch.full((2, 3, 4, 4), 0.5), torch.zeros(2, 3, 4, 4)) == 0.5


def test_7_is_the_mean_over_maps_of_their_norms():
    made = [torch.ones(1, 4, 8, 8), 3 * torch.ones(1, 2, 2, 2)]
    true = [torch.zeros(1, 4, 8, 8), torch.zeros(1, 2, 2, 2)]
    printed = [float((a - b).norm()) / math.sqrt(a.numel()) for a, b in zip(made, true, strict=True)]
    assert eq.lpips(made, true).item() == pytest.approx(sum(printed) / 2) == pytest.approx(2.0)
    assert eq.lpips(made, made).item() == pytest.approx(0, abs=1e-5)


def test_8_has_a_slope_where_the_discriminator_is_sure():
    """The printed log(1 - D) would have none."""
    fake = torch.tensor([-20.0], requires_grad=True)
    eq.gan_generator(fake).backward()
    assert fake.grad.item() == pytest.approx(-1, abs=1e-3)
    assert eq.gan_discriminator(torch.tensor([20.0]), torch.tensor([-20.0])).item() == pytest.approx(0, abs=1e-6)


def test_9_weighs_the_six_losses_as_the_paper_does():
    names = ("ortho", "sync", "identity", "image", "perceptual", "adversarial")
    assert tuple(eq.LAMBDAS) == names and tuple(eq.LAMBDAS.values()) == (1, 0.1, 0.5, 1, 1, 0.1)
    terms = {name: torch.tensor(10.0**k) for k, name in enumerate(names)}
    assert eq.total(terms).item() == pytest.approx(1 + 1 + 50 + 1000 + 10000 + 10000)
