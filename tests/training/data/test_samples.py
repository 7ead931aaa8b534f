"""Frames for encoders: warped, with other colours, and with gaps in time."""

import numpy as np
import pytest

from thgen.errors import TrainingError
from thgen.face.crop import resized
from thgen.training.data.samples import jittered, perspective, rotate_scale, spaced_frames, tensor

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


def test_rotation_and_scale_keep_the_centre_and_move_the_rest():
    rng = np.random.default_rng(1)
    moved = np.stack([rotate_scale(rng, picture()) for _ in range(50)])
    assert (moved[:, 32, 32] == 255).all() and moved.std(0).max() > 20
    areas = (moved[..., 0] > 127).sum((1, 2)) / 256
    assert 0.7 < areas.min() < 1 < areas.max() < 1.4


def test_each_picture_gets_its_own_colours_the_same_for_a_seed():
    images = tensor([picture() // 3 + 60, picture() // 3 + 60])
    one, again = (jittered(np.random.default_rng(3), images) for _ in range(2))
    assert (one == again).all() and not (one[0] == one[1]).all()


@pytest.mark.parametrize(("total", "count", "min_gap"), [(75, 9, 3), (16, 9, 3), (9, 9, 3), (25, 9, 3)])
def test_frames_keep_their_gap_where_the_clip_is_long_enough(total, count, min_gap):
    rng = np.random.default_rng(0)
    for _ in range(50):
        chosen = spaced_frames(rng, total, count, min_gap)
        gaps = np.diff(chosen)
        assert len(chosen) == count and chosen[0] >= 0 and chosen[-1] < total
        assert gaps.min() >= min(min_gap, (total - 1) // (count - 1))


def test_a_clip_with_too_few_frames_is_refused():
    with pytest.raises(TrainingError, match="has 7 frames, of which 9 are wanted: render longer ones"):
        spaced_frames(np.random.default_rng(0), 7, 9, 3)


def test_every_frame_of_a_clip_is_drawn():
    rng = np.random.default_rng(0)
    drawn = {t for _ in range(300) for t in spaced_frames(rng, 40, 9, 3)}
    assert drawn == set(range(40))
