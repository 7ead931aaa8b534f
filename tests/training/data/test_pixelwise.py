import numpy as np
import pytest

from tests.face_parts.faces import noise
from thgen.training.data.damage import Damage
from thgen.training.data.pixelwise import Colours, Look, colours_of, looking, recoloured, sample_look, transfer

KEEP = np.ones((64, 64), np.float32)


def test_a_picture_gets_the_colours_of_another():
    own = colours_of(noise(0, 64), KEEP)
    wanted = Colours(np.array([60.0, 12.0, 16.0]), own.spread * [0.5, 0.6, 0.7])
    found = colours_of(recoloured(noise(0, 64), transfer(own, wanted)), KEEP)
    np.testing.assert_allclose(found.mean, wanted.mean, atol=1)
    np.testing.assert_allclose(found.spread, wanted.spread, atol=1.5)


def test_the_own_colours_change_nothing():
    image = noise(0, 64)
    own = colours_of(image, KEEP)
    same = recoloured(image, transfer(own, own)).astype(int)
    assert np.abs(same - image).max() <= 1


def test_only_the_person_counts():
    image, keep = noise(0, 64), np.zeros((64, 64), np.float32)
    keep[:, :32] = 1
    other = image.copy()
    other[:, 32:] = 255
    a, b = colours_of(image, keep), colours_of(other, keep)
    np.testing.assert_allclose(a.mean, b.mean)
    assert not np.allclose(colours_of(other, KEEP).mean, b.mean)
    assert np.isfinite(colours_of(image, 0 * keep).mean).all(), "a picture without a person"


def test_a_flat_picture_stays_calm():
    flat = np.full((64, 64, 3), 120, np.uint8)
    out = recoloured(flat, transfer(colours_of(flat, KEEP), colours_of(noise(0, 64), KEEP)))
    assert np.ptp(out.reshape(-1, 3), 0).max() <= 1


def test_each_kind_of_change_occurs_and_is_within_its_range():
    rng, own = np.random.default_rng(0), colours_of(noise(0, 64), KEEP)
    looks = [sample_look(rng, transfer(own, own)) for _ in range(200)]
    damages = [look.damage for look in looks]
    shares = [np.mean([look.transfer is not None for look in looks]), *(
        np.mean([getattr(damage, name) != getattr(Damage(), name) for damage in damages])
        for name in ("blur", "halo", "jpeg")
    )]  # fmt: skip
    assert all(share == pytest.approx(0.5, abs=0.12) for share in shares)
    assert all(0 <= d.blur <= 1 and 0 <= d.halo <= 1 and 70 <= d.jpeg <= 100 for d in damages)


def test_blur_sharpening_and_jpeg_move_no_point_and_are_not_random():
    image = noise(0, 64)
    for damage in (Damage(blur=1.0), Damage(halo=1.0), Damage(jpeg=70)):
        out = looking(image, KEEP, Look(damage=damage))
        assert 0 < np.abs(out.astype(float) - image).mean() < 12
        assert (out == looking(image, KEEP, Look(damage=damage))).all()
    assert (looking(image, KEEP, Look()) == image).all()


def test_the_background_stays_black_under_other_colours():
    image, keep = noise(0, 64), np.zeros((64, 64), np.float32)
    keep[:, :32] = 1
    own = colours_of(image, keep)
    bright = Colours(own.mean + np.array([30, 0, 0]), own.spread)
    out = looking(image, keep, Look(transfer(own, bright)))
    assert out[:, 32:].max() == 0 and out[:, :32].mean() > image[:, :32].mean() + 30
