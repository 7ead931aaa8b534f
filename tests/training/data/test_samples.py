"""Frames as encoders see them: moved, turned, coloured, drawn apart in time."""

import numpy as np
import pytest

from thgen.errors import TrainingError
from thgen.face.crop import resized
from thgen.training.data.samples import apart, jittered, perspective, tensor, turned

SIDE = 64


def picture() -> np.ndarray:
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    image[24:40, 24:40] = 255
    return image


def test_sizes_and_range():
    small = resized(np.stack([picture(), picture()]), 32)
    assert small.shape == (2, 32, 32, 3)
    found = tensor(small)
    assert found.shape == (2, 3, 32, 32) and found.min() == -1 and found.max() == 1
    same = np.stack([picture()])
    assert resized(same, SIDE) is same


def test_perspective_enlarges_a_little_and_leaves_a_tenth_alone():
    rng = np.random.default_rng(0)
    areas = np.array([(perspective(rng, picture())[..., 0] > 127).sum() for _ in range(200)]) / 256
    assert areas.min() > 0.99 and areas.max() < 1.3 and areas.std() > 0.01
    assert 0.03 < (areas == 1).mean() < 0.35, "some are left alone, or hardly moved"


def test_turning_keeps_the_middle_and_moves_the_rest():
    rng = np.random.default_rng(1)
    moved = np.stack([turned(rng, picture()) for _ in range(50)])
    assert (moved[:, 32, 32] == 255).all() and moved.std(0).max() > 20
    areas = (moved[..., 0] > 127).sum((1, 2)) / 256
    assert 0.7 < areas.min() < 1 < areas.max() < 1.4


def test_each_picture_gets_its_own_colours_the_same_for_a_seed():
    images = tensor([picture() // 3 + 60, picture() // 3 + 60])
    one, again = (jittered(np.random.default_rng(3), images) for _ in range(2))
    assert (one == again).all() and not (one[0] == one[1]).all()


@pytest.mark.parametrize(("frames", "count", "least"), [(75, 9, 3), (16, 9, 3), (9, 9, 3), (25, 9, 3)])
def test_moments_are_apart_where_the_clip_is_long_enough(frames, count, least):
    rng = np.random.default_rng(0)
    for _ in range(50):
        chosen = apart(rng, frames, count, least)
        gaps = np.diff(chosen)
        assert len(chosen) == count and chosen[0] >= 0 and chosen[-1] < frames
        assert gaps.min() >= min(least, (frames - 1) // (count - 1))


def test_a_clip_with_fewer_frames_than_moments_is_told_of():
    with pytest.raises(TrainingError, match="has 7 frames, of which 9 are wanted: render longer ones"):
        apart(np.random.default_rng(0), 7, 9, 3)


def test_moments_reach_all_of_a_clip():
    rng = np.random.default_rng(0)
    seen = {t for _ in range(300) for t in apart(rng, 40, 9, 3)}
    assert seen == set(range(40))
