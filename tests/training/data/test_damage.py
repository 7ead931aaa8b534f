"""Damage: each kind does what it says, none moves a point, and both repeat."""

import dataclasses

import cv2
import numpy as np
import pytest

from thgen.training.data.damage import ALIKE, Damage, damaged, damaged_clip, sample_damage

SIDE = 96


def rng(seed=0):
    return np.random.default_rng(seed)


def picture():
    """A face-like picture: warm skin, red lips, dark eyes."""
    image = np.full((SIDE, SIDE, 3), (190, 150, 130), np.uint8)
    cv2.ellipse(image, (48, 66), (16, 6), 0, 0, 360, (170, 70, 70), -1)
    for x in (34, 62):
        cv2.circle(image, (x, 38), 4, (30, 25, 20), -1)
    image[:8] = (40, 60, 90)
    return image


def test_no_damage_changes_nothing():
    assert np.array_equal(damaged(picture(), Damage(), rng()), picture())
    harmless = sample_damage(rng(), strength=0.0)
    assert np.array_equal(damaged(picture(), harmless, rng()), picture())


@pytest.mark.parametrize("seed", range(60))
def test_random_damage_gives_a_picture_and_leaves_the_input_alone(seed):
    image = picture()
    out = damaged(image, sample_damage(rng(seed)), rng(seed))
    assert out.shape == image.shape and out.dtype == np.uint8 and np.array_equal(image, picture())
    assert np.array_equal(out, damaged(image, sample_damage(rng(seed)), rng(seed)))


def spot(image):
    """Centre of the left dark eye by darkness, px."""
    grey = 255.0 - image[26:50, 22:46].astype(float).mean(2)
    grey = np.clip(grey - np.median(grey) - 0.4 * (grey.max() - np.median(grey)), 0, None)
    y, x = np.mgrid[26:50, 22:46]
    return np.array([(x * grey).sum(), (y * grey).sum()]) / grey.sum()


@pytest.mark.parametrize(
    "damage",
    [
        Damage(shrink=0.3), Damage(shrink=0.3, smooth=False), Damage(blur=1.5), Damage(motion=(6, 30.0)),
        Damage(halo=1.5), Damage(brush=5), Damage(jpeg=10), Damage(jpeg=10, coded=0.5), Damage(tones=6),
        Damage(gamma=1.6), Damage(noise=10.0, grain=2), Damage(flatten=0.5), Damage(light=(1.0, 0.5, 0.4)),
    ],
)  # fmt: skip
def test_no_damage_moves_a_point(damage):
    assert np.abs(spot(damaged(picture(), damage, rng())) - spot(picture())).max() < 0.8


def test_colours_change_as_asked():
    image = picture()
    lips, skin = np.s_[64:68, 44:52], np.s_[50:54, 44:52]

    def apart(x):
        lip, cheek = (x[part].astype(float).mean((0, 1)) for part in (lips, skin))
        return (lip[0] - lip[1]) - (cheek[0] - cheek[1])

    plain, weak, strong = (apart(damaged(image, Damage(chroma=c), rng())) for c in (1.0, 0.3, 1.6))
    assert weak < 0.5 * plain and strong > 1.3 * plain, "lips against skin"
    assert np.ptp(damaged(image, Damage(grey=1.0), rng()).astype(int), axis=2).max() <= 1
    turned = damaged(image, Damage(turn=120.0), rng()).astype(int)
    assert turned[66, 48, 0] < turned[66, 48, 1:].max() - 20
    assert damaged(image, Damage(gain=(1.3, 1.0, 1.0)), rng())[60, 20, 0] > image[60, 20, 0] + 30


def test_light_and_shadow_fall_where_they_should():
    image = np.full((SIDE, SIDE, 3), 120, np.uint8)
    slope = damaged(image, Damage(light=(1.0, 0.0, 0.5)), rng()).astype(int)
    assert slope[:, -5:].mean() > 1.3 * 120 and slope[:, :5].mean() < 120 / 1.3
    shadow = damaged(image, Damage(shadow=(0.0, 0.5, 0.5, 0.02)), rng()).astype(int)
    assert abs(shadow[:, :40].mean() - 120) < 2 and abs(shadow[:, 56:].mean() - 60) < 2


def test_blur_softens_halos_sharpen_and_noise_has_its_size():
    image = picture()
    edges = lambda x: np.abs(np.diff(x.astype(int), axis=1)).max()  # noqa: E731
    assert edges(damaged(image, Damage(blur=1.5), rng())) < 0.6 * edges(image)
    assert edges(damaged(image, Damage(halo=1.0), rng())) > 1.1 * edges(image)
    flat = np.full((SIDE, SIDE, 3), 128, np.uint8)
    noisy = damaged(flat, Damage(noise=10.0), rng())
    assert noisy.std() == pytest.approx(10, rel=0.1)
    assert not np.array_equal(noisy, damaged(flat, Damage(noise=10.0), rng(1)))
    assert np.ptp(damaged(flat, Damage(noise=10.0, mono=True), rng()).astype(int), axis=2).max() == 0


def test_covers_and_hairs_hide_a_part():
    square = np.array([[0.25, 0.25], [0.5, 0.25], [0.5, 0.5], [0.25, 0.5]])
    out = damaged(picture(), Damage(covers=((square, (10.0, 200.0, 10.0), 0),)), rng())
    assert (out[28:44, 28:44] == (10, 200, 10)).all() and np.array_equal(out[60:], picture()[60:])
    line = np.array([[0.1, 0.9], [0.9, 0.9]])
    out = damaged(picture(), Damage(hairs=((line, (0.0, 0.0, 0.0), 2),)), rng())
    assert (out[86, 20:70] < 60).all() and np.array_equal(out[:80], picture()[:80])


def test_every_kind_occurs_and_stronger_means_more_often():
    def kinds(damage):
        return {f.name for f in dataclasses.fields(Damage) if getattr(damage, f.name) != f.default}

    full = [kinds(sample_damage(rng(seed))) for seed in range(300)]
    mild = [kinds(sample_damage(rng(seed), 0.25)) for seed in range(300)]
    assert set().union(*full) == {f.name for f in dataclasses.fields(Damage)}
    assert np.mean([len(k) for k in mild]) < 0.6 * np.mean([len(k) for k in full])


def test_frames_of_a_clip_are_damaged_alike_or_each_in_its_own_way():
    """Half of the clips have one camera: in them, equal pictures differ in noise alone."""
    images = np.stack([np.full((48, 48, 3), 128, np.uint8)] * 2)
    alike = []
    for seed in range(120):
        one, two = (frame.reshape(-1, 3).mean(0) for frame in damaged_clip(images, rng(seed)))
        alike.append(np.abs(one - two).max() < 2)
    assert ALIKE - 0.2 < np.mean(alike) < ALIKE + 0.3
    first, again = (np.stack(damaged_clip(images, rng(3))) for _ in range(2))
    assert np.array_equal(first, again)
