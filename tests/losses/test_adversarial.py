"""Losses of the hinge GAN, by hand and with the patch discriminator."""

import pytest
import torch

from thgen.losses.adversarial import (
    discriminator_hinge,
    discriminator_losses,
    feature_matching,
    generator_hinge,
    generator_losses,
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
