"""Losses of the hinge GAN and of StyleGAN2, by hand and with the patch discriminator."""

import math

import pytest
import torch

from thgen.losses.adversarial import (
    discriminator_hinge,
    discriminator_logistic,
    discriminator_losses,
    feature_matching,
    generator_hinge,
    generator_logistic,
    generator_losses,
    path_lengths,
    r1_penalty,
)
from thgen.nn.discriminators import PatchDiscriminator


def test_hinge_losses_by_hand():
    real, fake = torch.tensor([2.0, 0.0]), torch.tensor([-3.0, 1.0])
    assert discriminator_hinge(real, fake) == pytest.approx(0.5 + 1.0)
    assert discriminator_hinge(torch.ones(3), -torch.ones(3)) == 0
    assert generator_hinge(fake) == pytest.approx(1.0)
    assert feature_matching([real], [real]) == 0 and feature_matching([real], [fake]) == pytest.approx(3.0)


def test_discriminator_scores_patches_and_learns():
    discriminator = PatchDiscriminator((8, 16, 16))
    score, maps = discriminator(torch.rand(2, 3, 64, 64))
    assert score.shape == (2, 1, 8, 8) and len(maps) == 3
    score.sum().backward()
    assert all(p.grad is not None for p in discriminator.parameters())


class Bright(torch.nn.Module):
    """Scores the mean of a picture times a weight; its one feature map is the picture."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        return self.weight * x.mean((1, 2, 3)), [x]


def test_the_losses_of_both_sides_by_hand():
    fake, real = torch.full((1, 3, 4, 4), 0.25, requires_grad=True), torch.full((1, 3, 4, 4), 0.75)
    terms = generator_losses(Bright(), fake, real)
    assert terms.keys() == {"adversarial", "matching"}
    assert terms["adversarial"].item() == pytest.approx(-0.5) and terms["matching"].item() == pytest.approx(0.5)
    sum(terms.values()).backward()
    assert fake.grad.abs().sum() > 0
    own = discriminator_losses(Bright(), fake.detach(), real)
    assert own.keys() == {"discriminator"} and own["discriminator"].item() == pytest.approx(0 + 1.5)


def test_no_gradient_of_the_generators_losses_reaches_the_true_picture():
    real = torch.rand(1, 3, 8, 8, requires_grad=True)
    sum(generator_losses(Bright(), torch.rand(1, 3, 8, 8, requires_grad=True), real).values()).backward()
    assert real.grad is None


def test_logistic_losses_by_hand():
    real, fake = torch.tensor([2.0]), torch.tensor([-1.0])
    own = -math.log(1 / (1 + math.exp(-2))) - math.log(1 - 1 / (1 + math.exp(1)))
    assert discriminator_logistic(real, fake).item() == pytest.approx(own)
    assert generator_logistic(fake).item() == pytest.approx(-math.log(1 / (1 + math.exp(1))))


def test_r1_is_half_the_squared_slope_and_trains_the_discriminator():
    """The logit is 2 times the mean of 48 values: each has the slope 2 / 48."""
    net = Bright()
    logit = torch.nn.Module()
    logit.net, logit.forward = net, lambda x: net(x)[0]
    penalty = r1_penalty(logit, torch.rand(3, 3, 4, 4))
    assert penalty.item() == pytest.approx(48 * (2 / 48) ** 2 / 2)
    penalty.backward()
    assert net.weight.grad.item() == pytest.approx(2 * penalty.item() / 2.0)  # of w * w, at w = 2


def test_path_lengths_grow_with_the_generators_slope():
    torch.manual_seed(0)
    latents = torch.randn(64, 2, 3, requires_grad=True)
    slow, fast = (path_lengths(k * latents.sum((1, 2))[:, None, None, None].expand(-1, 3, 4, 4), latents)
                  for k in (1.0, 3.0))  # fmt: skip
    assert slow.shape == (64,) and fast.mean() == pytest.approx(3 * slow.mean().item(), rel=0.3)
    # noise [3 4 4] / 4 sums to a normal number of variance 3; the three entries of a latent have the same slope
    assert slow.square().mean().item() == pytest.approx(3 * 3, rel=0.5)
