"""The mosaic of the motion encoders: every tile shows its part, upright, in every pose of the head."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from thgen.compact.mosaic import SIDE, TILES, encoder_view, frames_of, mosaic

SIZE = 256
EYES = {"left": (0.22, -0.15), "right": (-0.22, -0.15)}


def landmarks(roll: float = 0.0, shift: float = 0.0) -> torch.Tensor:
    """68 landmarks of a face in the middle of the crop [1 68 2], rolled clockwise by so many degrees."""
    points = torch.zeros(68, 2)
    for numbers, (x, y) in ((range(42, 48), EYES["left"]), (range(36, 42), EYES["right"]), (range(48, 68), (0, 0.4)),
                            (range(17, 22), (-0.22, -0.3)), (range(22, 27), (0.22, -0.3))):  # fmt: skip
        points[list(numbers)] = torch.tensor([x, y], dtype=torch.float32)
    points[36], points[45] = torch.tensor([-0.32, -0.15]), torch.tensor([0.32, -0.15])
    points[[39, 42]] = torch.tensor([[-0.12, -0.15], [0.12, -0.15]])
    angle = np.deg2rad(roll)
    turn = torch.tensor([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], dtype=torch.float32)
    return (points @ turn.T + shift)[None]


def marked(points: torch.Tensor) -> torch.Tensor:
    """A crop that is red at the left eye, green at the right one, blue at the mouth, [1 3 S S]."""
    axis = (torch.arange(SIZE) + 0.5) * 2 / SIZE - 1
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    centres = [points[0, list(n)].mean(0) for n in (range(42, 48), range(36, 42), range(48, 68))]
    return torch.stack([torch.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 0.004) for cx, cy in centres])[None]


@pytest.mark.parametrize(("roll", "shift"), [(0, 0.0), (25, 0.0), (-25, 0.1)])
def test_each_tile_has_its_part_in_its_middle(roll, shift):
    points = landmarks(roll, shift)
    seen = mosaic(marked(points), frames_of(points))
    assert seen.shape == (1, 3, SIDE, SIDE)
    for channel, name in enumerate(("left", "right", "mouth")):
        rows, columns, _ = TILES[name]
        tile = seen[0, channel, rows, columns]
        top = divmod(int(tile.argmax()), tile.shape[1])
        middle = (tile.shape[0] / 2, tile.shape[1] / 2)
        assert tile.max() > 0.9 and np.abs(np.subtract(top, middle)).max() <= 1.5, name


def test_tiles_stand_upright_when_the_head_rolls():
    for roll in (-30.0, 0.0, 30.0):
        assert float(frames_of(landmarks(roll))[0, 1, 3]) == pytest.approx(np.deg2rad(roll), abs=1e-3)
    assert frames_of(landmarks(30))[0, 0, 3] == 0, "the face does not: its roll is motion"


def test_tiles_cover_the_picture_once():
    covered = torch.zeros(SIDE, SIDE)
    for rows, columns, _ in TILES.values():
        covered[rows, columns] += 1
    assert (covered == 1).all()


@pytest.mark.parametrize("size", [128, SIZE, 512])
def test_the_view_of_an_encoder_is_the_mosaic_of_the_crop_at_256_px(size):
    """Crops of every size are averaged over areas; more keypoints than the 68 landmarks change nothing."""
    points = torch.cat([landmarks(10), landmarks(-20, 0.1)])
    keypoints = torch.cat([torch.cat([points, torch.zeros(2, 68, 1)], 2), torch.ones(2, 30, 3)], 1)
    images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    small = F.interpolate(images, size=(SIZE, SIZE), mode="area")
    assert torch.equal(encoder_view(images, keypoints), mosaic(small, frames_of(points)))


def test_it_has_a_gradient():
    points = landmarks()
    image = marked(points).requires_grad_()
    mosaic(image, frames_of(points))[:, 2, 80:, :76].sum().backward()
    assert image.grad[0, 2].abs().sum() > 0 and image.grad[0, 0].abs().sum() == 0
