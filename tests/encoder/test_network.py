"""The face encoder: shapes, both eyes through one network, gradients, rows of their own, cost."""

import pytest
import torch

from thgen.encoder.network import SEGMENT_STEP, SHOWN, FaceEncoder
from thgen.encoder.tiles import NAMES, TILES, cut, frames_of

EYES = [[68, *range(42, 48)], [69, *range(36, 42)]]
SMALL = {n: (8, 8, 8, 8) for n in ("face", "eye", "mouth", "brows")}


@pytest.fixture
def net():
    torch.manual_seed(0)
    return FaceEncoder(90, EYES, list(range(48, 68)), list(range(17, 27)), **SMALL, codes=(12, 8, 10, 6), segments=8)


@pytest.fixture
def face(keypoints):
    return keypoints[:, :90]


def test_shapes(net, face):
    images = torch.rand(2, 3, 256, 256) * 2 - 1
    encoded = net(images, face.expand(2, -1, -1))
    assert encoded.feature.shape == (2, 12 + 2 * 8 + 10 + 6) and net.feature_size == encoded.feature.shape[1]
    assert encoded.keypoints.shape == encoded.rough.shape == (2, 90, 3) and encoded.frames.shape == (2, 5, 4)
    frames = frames_of(face.expand(2, -1, -1))
    _, segments = net.read_with_segments(cut(images, frames), frames)
    assert set(segments) == set(SEGMENT_STEP)
    for name, step in SEGMENT_STEP.items():
        assert segments[name].shape == (2, len(SHOWN), TILES[name].rows // step, TILES[name].columns // step)


def test_the_config_builds_the_same_network(net):
    again = FaceEncoder(**{k: v for k, v in net.config.items() if k != "class"})
    again.load_state_dict(net.state_dict())


def test_both_eyes_share_one_network_that_sees_the_right_one_mirrored(net, face):
    tiles = {n: torch.rand(1, 3, t.rows, t.columns) for n, t in TILES.items()}
    mirrored = {**tiles, "left": tiles["right"].flip(-1), "right": tiles["left"].flip(-1)}
    frames = frames_of(face)
    codes = [net.read(t, frames).feature.split((12, 8, 8, 10, 6), 1) for t in (tiles, mirrored)]
    (_, left, right, _, _), (_, left_again, right_again, _, _) = codes
    assert torch.allclose(left, right_again) and torch.allclose(right, left_again)
    assert not torch.allclose(left, right)


def test_points_of_the_right_eye_move_the_mirrored_way(net, face):
    """With one readout for both, the right eye's points would be those of the left eye, mirrored."""
    with torch.no_grad():
        net.to_points["right"].load_state_dict(net.to_points["left"].state_dict())
    left = torch.rand(1, 3, 48, 64)
    tiles = {n: torch.rand(1, 3, t.rows, t.columns) for n, t in TILES.items()} | {"left": left, "right": left.flip(-1)}
    frames = frames_of(face)
    frames[..., :3] = torch.tensor([0.0, 0.0, 1.0])
    frames[..., 3] = 0
    made = net.read(tiles, frames).keypoints
    assert torch.allclose(made[:, EYES[0], 0], -made[:, EYES[1], 0], atol=1e-6)
    assert torch.allclose(made[:, EYES[0], 1], made[:, EYES[1], 1], atol=1e-6)


def test_a_tile_places_its_own_points_and_no_others(net, face):
    frames = frames_of(face)
    tiles = {n: torch.rand(1, 3, t.rows, t.columns) for n, t in TILES.items()}
    before = net.read(tiles, frames).keypoints
    own = {"left": EYES[0], "right": EYES[1], "mouth": list(range(48, 68)), "brows": list(range(17, 27))}
    for name, points in own.items():
        after = net.read({**tiles, name: tiles[name] + 0.5}, frames).keypoints
        moved = (after - before).abs().amax(-1)[0] > 1e-7
        assert moved[points].all() and moved.sum() == len(points), name


def test_points_follow_a_moved_tile(net, face):
    """The same tiles found elsewhere: all points move along."""
    tiles = {n: torch.rand(1, 3, t.rows, t.columns) for n, t in TILES.items()}
    frames = frames_of(face)
    moved = frames + torch.tensor([0.1, -0.2, 0.0, 0.0])
    away = net.read(tiles, moved).keypoints - net.read(tiles, frames).keypoints
    assert torch.allclose(away, torch.tensor([0.1, -0.2, 0.0]).expand_as(away), atol=1e-5)


def test_every_parameter_gets_a_gradient(net, face):
    frames = frames_of(face)
    tiles = {n: torch.rand(1, 3, t.rows, t.columns) for n, t in TILES.items()}
    encoded, segments = net.read_with_segments(tiles, frames)
    (encoded.keypoints.sum() + encoded.rough.sum() + sum(s.square().sum() for s in segments.values())).backward()
    without = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert not without


def test_a_row_does_not_depend_on_the_others(net, face):
    images = torch.rand(3, 3, 128, 128)
    every = net(images, face.expand(3, -1, -1))
    one = net(images[1:2], face)
    assert torch.allclose(every.keypoints[1:2], one.keypoints, atol=1e-5)
    assert torch.allclose(every.feature[1:2], one.feature, atol=1e-5)


def test_a_pass_costs_less_than_two_hundred_million_products(face):
    """The analyser's own cost is about the same; a frame is looked at once by each."""
    net = FaceEncoder(90, EYES, list(range(48, 68)), list(range(17, 27)))
    total = 0

    def count(layer, _, out):
        nonlocal total
        weight = layer.weight
        total += weight[0].numel() * (out[0].numel() if weight.ndim == 4 else weight.shape[0]) * (len(out))

    for layer in net.modules():
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)):
            layer.register_forward_hook(count)
    with torch.no_grad():
        net(torch.zeros(1, 3, 256, 256), face)
    assert total < 200e6
    assert tuple(NAMES) == ("face", "left", "right", "mouth", "brows"), "the order of the codes in the feature"


def test_readouts_keep_float32_where_autocast_is_on(net, face):
    frames = frames_of(face)
    tiles = {n: torch.rand(1, 3, t.rows, t.columns) for n, t in TILES.items()}
    with torch.autocast("cpu", torch.bfloat16):
        encoded = net.read(tiles, frames)
    assert encoded.keypoints.dtype == torch.float32
    local = encoded.keypoints[0, :, 0]
    assert not torch.equal(local, local.bfloat16().float())
