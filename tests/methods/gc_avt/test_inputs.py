import numpy as np
import pytest

from tests.face_parts.faces import drawn_points, noise
from thgen.face_parts.mouth_swap import lower_face
from thgen.face_parts.organs import organ_mask
from thgen.methods.gc_avt.inputs import (
    Seen,
    content_input,
    expression_input,
    identity_input,
    pose_input,
    with_other_moment,
)
from thgen.training.data.damage import Damage
from thgen.training.data.pixelwise import Look, colours_of, transfer

SIZE = 128


def seen(seed: int, opening: float = 0.05) -> Seen:
    """A face of noise on a background of noise: the person is a disk."""
    y, x = np.indices((SIZE, SIZE)) / (SIZE - 1) * 2 - 1
    keep = ((x**2 + (y - 0.1) ** 2) < 0.85**2).astype(np.float32)
    return Seen(noise(seed, SIZE), drawn_points(opening), keep)


OUTSIDE = seen(0).keep == 0


@pytest.mark.parametrize("make", [
    identity_input, pose_input, lambda s: expression_input(s, None), lambda s: expression_input(s, seen(1)),
])  # fmt: skip
def test_no_input_shows_the_background(make):
    a, b = seen(0), seen(0)
    b.image[OUTSIDE] = 255
    out = make(a)
    assert out[OUTSIDE].max() == 0 and out[~OUTSIDE].mean() > 50
    assert (out == make(b)).all()


def test_a_mouth_at_the_edge_shows_no_background():
    keep = (np.indices((SIZE, SIZE))[0] < 80).astype(np.float32)
    edge = Seen(np.full((SIZE, SIZE, 3), 200, np.uint8), drawn_points(), keep)
    crop = content_input(edge)
    assert crop.shape == (112, 112, 3) and crop[:30].min() > 150 and crop[-10:].max() == 0


def test_the_inputs_complement_one_another():
    """The mouth of the frame is in the content alone; brows and eyes are in the expression alone."""
    own, other = seen(0), seen(1)
    mouthless, eyeless = seen(0), seen(0)
    mouth = lower_face(own.landmarks, SIZE) > 0.999
    eyes = organ_mask(own.landmarks, SIZE) > 0.999
    eyes[62:] = False  # rows of the mouth crop
    mouthless.image[mouth], eyeless.image[eyes] = 0, 0
    assert not (content_input(own) == content_input(mouthless)).all()
    a, b = (expression_input(s, other) for s in (own, mouthless))
    assert (a == b).all()
    assert (pose_input(own) == pose_input(eyeless)).all()
    assert not (expression_input(own, other) == expression_input(eyeless, other)).all()
    assert (content_input(own) == content_input(eyeless)).all()
    assert not (expression_input(own, None) == expression_input(mouthless, None)).all(), "w/o time-shift"


def test_turns_are_of_mouth_and_face_and_a_wide_cover_of_the_head():
    own = seen(0)
    for make in (lambda d: content_input(own, d), lambda d: expression_input(own, None, d)):
        assert not (make(0) == make(15)).all()
    assert (pose_input(own, 0.2) != pose_input(own, 0.02)).any(2).sum() > 200


def test_looks_change_all_three():
    own, warm = seen(0), colours_of(np.full((8, 8, 3), (200, 90, 60), np.uint8), np.ones((8, 8)))
    look = Look(transfer(colours_of(own.image, own.keep), warm), Damage(jpeg=80))
    for make in (
        lambda k: content_input(own, look=k), lambda k: expression_input(own, None, look=k),
        lambda k: pose_input(own, look=k),
    ):  # fmt: skip
        plain, changed = make(Look()).astype(float), make(look).astype(float)
        lit = plain.sum(2) > 0
        redder = (changed[..., 0] - changed[..., 2])[lit].mean() - (plain[..., 0] - plain[..., 2])[lit].mean()
        assert redder > 50


@pytest.mark.parametrize("total", [1, 2, 5, 9, 16, 17, 40])
def test_each_frame_has_its_other_moment(total):
    pairs = list(with_other_moment(iter(range(total)), 8))
    assert [a for a, _ in pairs] == list(range(total))
    for a, b in pairs:
        if a + 8 < total:
            assert b == a + 8
        elif a >= 8:
            assert b == a - 8
        else:
            assert b == (0 if a >= total - 1 - a else total - 1)


def test_a_long_clip_is_not_held():
    """At most 17 frames wait, so a clip of any length needs little memory."""
    taken = []

    def clip():
        for number in range(1000):
            taken.append(number)
            yield number

    for a, _ in with_other_moment(clip(), 8):
        assert len(taken) <= a + 9
        if a == 50:
            break
