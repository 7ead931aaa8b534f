"""Layers of turned eyes: the iris is found, the white behind it is white, closed eyes have no layers."""

import numpy as np
import pytest

from tests.compact.drawn_eyes import CENTRES, IRIS, RADIUS, ROW, WHITE, drawn_eyes, drawn_keypoints
from thgen.compact.eye_patch import Seen, cut_patches
from thgen.compact.iris_layers import Disk, cut_irises, find_iris

NONE = np.zeros((64, 64), np.float32)


def cut(crop, error=(0, 0), front=NONE):
    keypoints, balls = drawn_keypoints(error)
    patches = [true for _, true in cut_patches(crop, keypoints[:68], Seen.of(len(crop), NONE, front, NONE))]
    return cut_irises(patches, len(crop), keypoints, balls, np.eye(3), np.zeros((2, 2)))


def found(layers, eye):
    """Centre (x, y) and radius of the disk in px of the crop."""
    rows, columns = layers.cover.shape[-2:]
    matrix, place = layers.matrix[0, eye].numpy(), layers.place[0, eye].numpy()
    at = np.linalg.solve(matrix[:, :2], place[:2] / np.array([columns / 2, rows / 2]) - 1 - matrix[:, 2])
    scale = np.linalg.norm(matrix[0, :2]) * columns / 256
    return (at + 1) * 128, place[2] / scale


@pytest.mark.parametrize("shift", [(0, 0), (7, 0), (-7, 1)])
@pytest.mark.parametrize("error", [(0, 0), (3, -2)])
def test_the_iris_is_found_though_its_keypoints_are_wrong(shift, error):
    layers = cut(drawn_eyes(shift), (shift[0] * 0.5 + error[0], error[1]))
    for eye, x in enumerate(CENTRES):
        centre, radius = found(layers, eye)
        assert np.abs(centre - (x + shift[0], ROW + shift[1])).max() < 1.5
        assert radius == pytest.approx(RADIUS, rel=0.15)


def test_a_disk_that_has_no_rim_stays_where_it_is_expected():
    expected = Disk(np.array([40.0, 30.0]), 9.0, np.eye(2))
    disk, step = find_iris(np.full((60, 80), 0.5, np.float32), np.zeros((60, 80), np.float32), expected)
    assert disk is expected and step < 0


def test_behind_the_iris_lies_white_and_the_hidden_part_of_the_iris_is_iris():
    crop = drawn_eyes((0, -9))  # the upper lid hides a part
    layers = cut(crop)
    place, cover = layers.place[0, 0].numpy(), layers.cover[0, 0, 0].numpy()
    y, x = np.mgrid[: cover.shape[0], : cover.shape[1]] + 0.5
    rho = np.hypot(x - place[0], y - place[1]) / place[2]
    white = layers.white[0, 0, :3].numpy()[:, (rho < 0.8) & (cover > 0.9) & (y > place[1])]
    assert np.abs(white - np.array(WHITE)[:, None] / 255).mean() < 0.08
    iris = layers.disk[0, 0, :3].numpy()[:, (rho > 0.55) & (rho < 0.8)]
    assert cover[(rho > 0.55) & (rho < 0.8)].min() < 0.1 and np.abs(iris - np.array(IRIS)[:, None] / 255).max() < 0.15


def test_the_eyeball_is_covered_by_lids_and_worn_things_and_a_closed_eye_is_not_there():
    layers = cut(drawn_eyes())
    patch = layers.cover[0, 0, 0]
    assert patch.max() > 0.95 and patch[: patch.shape[0] // 3].max() < 0.05, "no skin above the eye"
    hidden = NONE.copy()
    hidden[:, 32:] = 1  # the right half of the crop: the subject's left eye
    half = cut(drawn_eyes(), front=hidden)
    assert half.cover[0, 0, 0].max() < 0.05 < half.cover[0, 1, 0].max()
    keypoints, balls = drawn_keypoints()
    keypoints[36:48, 1] = (ROW + 0.5) / 128 - 1
    shut = drawn_eyes(opening=0)
    seen = Seen.of(len(shut), NONE, NONE, NONE)
    patches = [true for _, true in cut_patches(shut, keypoints[:68], seen)]
    closed = cut_irises(patches, len(shut), keypoints, balls, np.eye(3), np.zeros((2, 2)))
    assert not closed.cover[:, :, 0].any()
    assert all(np.isfinite(getattr(closed, name).numpy()).all() for name in closed.__dataclass_fields__)
