import math

import pytest
import torch

from thgen.methods.speak import equations as eq

ONE, TWO = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
PEOPLE = torch.ones(1)


def test_equation_1_is_a_triplet_for_either_picture():
    right = eq.identity(ONE, ONE, TWO, TWO, PEOPLE)
    wrong = eq.identity(ONE, TWO, TWO, ONE, PEOPLE)
    assert right.item() == 0 and wrong.item() == pytest.approx(2 * (math.sqrt(2) + eq.ALPHA))
    lazy = eq.identity(ONE, ONE, TWO, ONE, PEOPLE)  # the second picture shows the first person
    assert lazy.item() == pytest.approx(2 * eq.ALPHA), "both pictures are equally far from either person"


def test_equation_1_as_printed_punishes_two_right_people_and_rewards_a_wrong_one():
    right = eq.identity(ONE, ONE, TWO, TWO, PEOPLE, as_printed=True)
    lazy = eq.identity(ONE, ONE, TWO, ONE, PEOPLE, as_printed=True)
    assert right.item() == pytest.approx(eq.ALPHA) and lazy.item() == 0
    assert eq.identity(ONE, ONE, TWO, TWO, PEOPLE) == 0 < eq.identity(ONE, ONE, TWO, ONE, PEOPLE)


def test_one_person_is_no_negative():
    both = torch.cat([ONE, ONE]), torch.cat([ONE, TWO]), torch.cat([TWO, ONE]), torch.cat([TWO, ONE])
    assert eq.identity(*both, torch.tensor([1.0, 0.0])) == 0 < eq.identity(*both, torch.ones(2))
    assert eq.identity(*both, torch.zeros(2)) == 0


def test_equation_2_is_the_cross_entropy_of_labelled_rows():
    torch.manual_seed(0)
    logits = torch.randn(3, 8, requires_grad=True)
    wanted = -(logits.softmax(1)[0, 2].log() + logits.softmax(1)[2, 7].log()) / 2
    torch.testing.assert_close(eq.classes(logits, torch.tensor([2, -1, 7])), wanted)
    none = eq.classes(logits, torch.tensor([-1, -1, -1]))
    none.backward()
    assert none == 0 and (logits.grad == 0).all()


def test_equations_3_and_4_teach_the_made_picture_alone():
    torch.manual_seed(0)
    own_s, with_s, own_t, with_t = (torch.randn(2, 4, requires_grad=True) for _ in range(4))
    eq.kept(own_s, with_s, own_t, with_t).backward()
    assert own_s.grad is None and own_t.grad is None
    assert with_s.grad.abs().sum() > 0 and with_t.grad.abs().sum() > 0
    assert eq.kept(own_s, 3 * own_s, own_t, own_t).item() == pytest.approx(0, abs=1e-6), "directions"


def test_equations_3_and_4_as_printed_fall_if_codes_shrink():
    """Own codes have a gradient, and the loss is 0 for codes of length 0: the collapse is free."""
    torch.manual_seed(0)
    codes = [torch.randn(2, 4, requires_grad=True) for _ in range(4)]
    small = [0.01 * c for c in codes]
    printed, shrunk = eq.kept(*codes, as_printed=True), eq.kept(*small, as_printed=True)
    wanted = (codes[1] - codes[0]).norm(dim=1) + (codes[3] - codes[2]).norm(dim=1)
    torch.testing.assert_close(printed, wanted.mean())
    torch.testing.assert_close(shrunk, 0.01 * printed)
    torch.testing.assert_close(eq.kept(*small), eq.kept(*codes))
    printed.backward()
    assert codes[0].grad.abs().sum() > 0


def test_equations_5_to_7_sum_both_pictures():
    true = torch.zeros(2, 3, 4, 4)
    assert eq.itself(true + 0.5, true - 0.25, true, true).item() == pytest.approx(0.75, rel=1e-5)
    assert eq.itself(true, true, true, true).item() < 1e-5


def test_equations_8_and_13_add_their_terms():
    for weights, add in ((eq.IRFD, eq.disentanglement), (eq.HEAD, eq.total)):
        terms = {name: torch.tensor(float(i)) for i, name in enumerate(weights, 1)}
        assert add(terms).item() == sum(range(1, len(weights) + 1))


def test_equation_10_sums_the_scales_and_is_what_it_prints():
    real, fake = [torch.tensor([[1.0]]), torch.tensor([[-2.0]])], [torch.tensor([[0.5]]), torch.tensor([[3.0]])]
    sigmoid = [[torch.sigmoid(x).item() for x in side] for side in (real, fake)]
    wanted = -sum(math.log(r) + math.log(1 - f) for r, f in zip(*sigmoid, strict=True))
    assert eq.gan_discriminator(real, fake).item() == pytest.approx(wanted, rel=1e-5)
    assert eq.gan_generator(fake).item() == pytest.approx(-sum(math.log(f) for f in sigmoid[1]), rel=1e-5)


def test_equation_11_is_the_printed_one():
    d, y = torch.tensor([0.5, 0.25, 1.5]), torch.tensor([1.0, 0.0, 0.0])
    wanted = (0.5**2 + (1 - 0.25) ** 2 + 0) / 6
    assert eq.synchronisation(d, y).item() == pytest.approx(wanted)
    assert eq.synchronisation(d, y, margin=2.0).item() == pytest.approx((0.25 + 1.75**2 + 0.5**2) / 6)


def test_equation_12_is_a_euclidean_distance():
    assert eq.distance(torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 4.0]])).tolist() == [5.0]


def test_the_perceptual_loss_sums_layers():
    made, true = torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 0.5)
    assert eq.vgg([made, made], [true, 2 * true]).item() == 1.5
