import math

import pytest
import torch

from thgen.methods.gc_avt import equations as eq


def test_equation_1_is_the_printed_one():
    torch.manual_seed(0)
    video, audio = torch.randn(2, 4, 6), torch.randn(2, 4, 6)
    total = 0.0
    for b in range(2):
        for i in range(4):
            near = [
                math.exp(float(video[b, j] @ audio[b, i] / (video[b, j].norm() * audio[b, i].norm()))) for j in range(4)
            ]
            total += -math.log(near[i] / sum(near))
    assert eq.contrast(video, audio, 1.0).item() == pytest.approx(total / 8, rel=1e-5)


def test_equation_1_as_printed_cannot_fall_below_its_floor():
    floor = math.log(1 + 8 * math.exp(-2))  # all cosines -1, but the own one
    own = torch.eye(9)[None]
    assert floor == pytest.approx(0.734, abs=1e-3) and eq.contrast(own, own, 1.0).item() > floor
    assert eq.contrast(own, own, 0.1).item() < 1e-3


def test_negatives_are_mouths_and_not_voices():
    """The voice of one moment alone changes its own row alone."""
    torch.manual_seed(0)
    video, audio = torch.randn(1, 3, 4), torch.randn(1, 3, 4)
    other = audio.clone()
    other[:, 1] = torch.randn(4)
    changed = (eq.likeness(video, audio) != eq.likeness(video, other))[0]
    assert changed.tolist() == [[False] * 3, [True] * 3, [False] * 3]


@pytest.mark.parametrize("alone", [True, False])
def test_equation_1_changes_the_audio_branch_alone(alone):
    video, audio = torch.randn(2, 3, 4, requires_grad=True), torch.randn(2, 3, 4, requires_grad=True)
    eq.contrast(video, audio, 0.1, audio_alone=alone).backward()
    assert audio.grad.abs().sum() > 0
    assert video.grad is None if alone else video.grad.abs().sum() > 0


def test_equations_2_and_3_are_means_of_absolute_differences():
    made, true = torch.zeros(2, 3, 4, 4), torch.full((2, 3, 4, 4), 0.5)
    assert eq.reconstruction(made, true).item() == 0.5
    assert eq.vgg([made, made], [true, 2 * true]).item() == 1.5 and eq.vgg([true], [true]).item() == 0


def test_equation_4_sums_the_scales_and_is_what_it_prints():
    real, fake = [torch.tensor([[1.0]]), torch.tensor([[-2.0]])], [torch.tensor([[0.5]]), torch.tensor([[3.0]])]
    sigmoid = [[torch.sigmoid(x).item() for x in side] for side in (real, fake)]
    wanted = -sum(math.log(r) + math.log(1 - f) for r, f in zip(*sigmoid, strict=True))
    assert eq.gan_discriminator(real, fake).item() == pytest.approx(wanted, rel=1e-5)
    assert eq.gan_generator(fake).item() == pytest.approx(-sum(math.log(f) for f in sigmoid[1]), rel=1e-5)


def test_equation_5_weighs_its_terms():
    terms = {name: torch.tensor(float(i)) for i, name in enumerate(eq.LAMBDAS, 1)}
    assert eq.total(terms).item() == 1 * 1 + 10 * 2 + 10 * 3 + 5 * 4 + 1 * 5


def test_the_identity_loss_is_zero_for_one_person_and_teaches_the_made_one():
    made, true = torch.randn(2, 5, requires_grad=True), torch.randn(2, 5, requires_grad=True)
    eq.identity(made, true).backward()
    assert made.grad.abs().sum() > 0 and true.grad is None
    assert eq.identity(2 * true, true).item() == pytest.approx(0, abs=1e-6)
