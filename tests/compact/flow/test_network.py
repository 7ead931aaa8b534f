"""Flow from keypoints, its layers, and the generator that corrects it and paints."""

import copy
import doctest
import math

import cv2
import numpy as np
import pytest
import torch

from tests.compact.drawn_face import drawn_eyes, nothing_seen
from thgen.compact.eye_patch import cut_patches
from thgen.compact.flow import openings
from thgen.compact.flow.coarse import FLOW_SIZE
from thgen.compact.flow.compositing import PhotoLayers
from thgen.compact.flow.dentition import Bite, bite_lift
from thgen.compact.flow.network import BASE, MOTION, GuidedFlow
from thgen.compact.flow.openings import FAR, open_share, polygon_distance
from thgen.compact.flow.teeth import ARC, TEETH_LAYER
from thgen.compact.lid_layers import cut_eyes
from thgen.nn.geometry import to_head_axes
from thgen.schema import COEFFICIENT_INDEX, COEFFICIENTS

NO_TEETH = Bite(torch.ones(1, 3, 1, 1), torch.zeros(1, 2), torch.zeros(1), torch.zeros(1))


def square(side: float) -> torch.Tensor:
    return torch.tensor([[[-side, -side], [side, -side], [side, side], [-side, side]]])


def test_examples_in_the_docstrings():
    result = doctest.testmod(openings)
    assert result.attempted and not result.failed


def test_a_polygon_has_its_area_and_is_empty_when_it_is_inside_out():
    distance = polygon_distance(square(0.5), torch.tensor(1.0), 64)
    assert (distance > 0).float().mean() == pytest.approx(0.25, abs=0.01)
    assert distance[0, 0, 32, 32] == pytest.approx(0.5, abs=0.03)
    assert distance[0, 0, 32, 14] == pytest.approx(-0.05, abs=0.02), "beside its edge"
    assert distance[0, 0, 32, 0] == FAR and distance[0, 0, 0, 32] == FAR
    assert polygon_distance(square(0.5).flip(1), torch.tensor(1.0), 64).max() <= 0


def test_without_motion_the_flow_is_zero(generator, keypoints):
    coarse = generator.coarse(keypoints, keypoints)
    assert coarse.flow.shape == (1, 2, FLOW_SIZE, FLOW_SIZE)
    assert coarse.flow.abs().max() < 1e-5


def test_a_shift_of_the_keypoints_moves_the_face_and_not_the_background(generator, keypoints):
    target = keypoints + torch.tensor([0.1, 0.0, 0.0])
    coarse = generator.coarse(keypoints, target)
    nose = ((target[0, 30, :2] + 1) / 2 * FLOW_SIZE).long()
    assert coarse.flow[0, 0, nose[1], nose[0]] == pytest.approx(-0.1, abs=0.02)
    assert coarse.flow[0, :, 2, 2].abs().max() < 0.01
    assert coarse.cover[0, 0, 2, 2] < 0.1 < coarse.cover[0, 0, nose[1], nose[0]]


def test_places_between_keypoints_that_lie_far_apart_move_with_them(generator, keypoints):
    """The cheek of a turned head stretches: between its keypoints there are no gaps without motion."""
    rig, spread = generator.rig, copy.deepcopy(generator.coarse)
    with torch.no_grad():
        spread.log_width.fill_(math.log(0.012))  # kernels much narrower than the gaps
    target = keypoints + torch.tensor([0.1, 0.0, 0.0])
    skin = target[0, (rig.layer == 0) & (rig.follow > 0.99), :2]
    low, high = skin.quantile(0.25, 0), skin.quantile(0.75, 0)
    rows, columns = (slice(*((torch.stack([low[k], high[k]]) + 1) / 2 * FLOW_SIZE).long().tolist()) for k in (1, 0))
    flow = spread(keypoints, target).flow[0, 0, rows, columns]
    assert flow.numel() > 100
    assert (flow < -0.08).float().mean() > 0.97


def test_one_wrong_keypoint_does_not_move_a_disc(generator, keypoints):
    """Even if training made the kernels very narrow, the flow between neighbours on the skin is their average."""
    net = copy.deepcopy(generator)
    with torch.no_grad():
        net.coarse.log_width.fill_(-20)
    target = keypoints.clone()
    wrong = 8  # the chin's lowest point
    target[:, wrong, 0] += 0.2
    flow = net.coarse(keypoints, target).flow[0]
    x, y = (((target[0, wrong, k] + 1) / 2 * FLOW_SIZE).long() for k in range(2))
    step = (flow[:, y, x + 2] - flow[:, y, x]).norm()
    assert flow[0, y, x] < -0.02, "the keypoint has an effect"
    assert step < 0.35 * flow[:, y, x].norm(), "which falls slowly with distance"


def test_a_closing_lid_moves_as_skin_and_not_as_the_iris(generator, keypoints):
    rig = generator.rig
    change = torch.zeros(1, len(COEFFICIENTS))
    change[:, COEFFICIENT_INDEX["eyeBlink_L"]] = 1.0
    still = torch.zeros(1, 3)
    closed = rig.targets(rig.unpose(keypoints), change, torch.zeros(1, 2, 2), still, still)
    centre = ((keypoints[0, 68, :2] + 1) / 2 * FLOW_SIZE).long()  # the left pupil
    opened = generator.coarse(keypoints, keypoints)
    shut = generator.coarse(keypoints, closed)
    assert opened.opening[0, 0, centre[1], centre[0]] > 0.9
    assert shut.opening[0, 0, centre[1], centre[0]] < 0.6
    lid = keypoints[0, 43, 1] - closed[0, 43, 1]  # how far the lid came down: negative
    assert shut.flow[0, 1, centre[1], centre[0]] < 0.4 * lid, "the skin over the pupil comes from above"
    assert torch.allclose(opened.flow, shut.flow * 0, atol=1e-5)
    other = ((keypoints[0, 69, :2] + 1) / 2 * FLOW_SIZE).long()
    assert shut.flow[0, :, other[1], other[0]].abs().max() < 0.01, "the other eye does not move"


def test_coarse_flow_hardly_depends_on_the_size_it_is_evaluated_at(generator, keypoints):
    target = keypoints * torch.tensor([1.05, 1.0, 1.0])
    small, large = (generator.coarse(keypoints, target, s).flow for s in (128, 256))
    shrunk = torch.nn.functional.avg_pool2d(large, 2)
    # The two differ a little where a kernel is narrower than a pixel.
    assert (shrunk - small).abs().mean() < 0.002


def test_output_has_the_size_of_the_crop_and_every_parameter_gets_a_gradient(generator, keypoints):
    photo, full = torch.rand(2, 3, BASE, BASE) * 2 - 1, torch.rand(2, 3, 320, 320) * 2 - 1
    points = keypoints.expand(2, -1, -1)
    net = GuidedFlow(**{k: v for k, v in generator.config.items() if k != "class"})
    net.load_state_dict(generator.state_dict())
    out = net(photo, points, points + 0.02 * torch.randn_like(points), torch.randn(2, MOTION), full)
    assert out.image.shape == full.shape and out.paint.shape == photo.shape
    net(photo, points, points + 0.02, torch.randn(2, MOTION)).image.square().mean().backward()
    learning = {n: p for n, p in net.named_parameters() if n != "teeth.picture"}  # this head has no teeth
    dead = [n for n, p in learning.items() if p.grad is None]
    assert not dead
    assert all(torch.isfinite(p.grad).all() for p in learning.values())


def test_outside_of_the_head_the_photo_does_not_change(generator):
    full = torch.rand(1, 3, 64, 64)
    coarse = None
    flow = torch.full((1, 2, 64, 64), 0.3)
    paint, keep = torch.zeros(1, 3, 64, 64), torch.zeros(1, 1, 64, 64)
    away, here = (torch.full((1, 1, 64, 64), v) for v in (-30.0, 30.0))
    assert torch.equal(GuidedFlow.compose(full, flow, paint, keep, away, coarse).image, full)
    assert not torch.allclose(GuidedFlow.compose(full, flow, paint, keep, here, coarse).image, full)


def test_teeth_in_the_photo_stay_and_the_rest_of_the_mouth_is_painted(generator, keypoints):
    net = copy.deepcopy(generator)
    net.to_maps.weight.zero_()
    net.to_maps.bias.fill_(-30.0)  # painted pixels are black
    net.to_maps.bias[12:16] = -5.0  # the pixels of the photo are not trusted
    net.to_flow.weight.zero_()
    net.to_flow.bias.zero_()
    jaw = torch.zeros(1, len(COEFFICIENTS))
    jaw[:, COEFFICIENT_INDEX["jawOpen"]] = 0.8
    rest = torch.zeros(1, 2, 2), torch.zeros(1, 3)
    opened = net.rig.targets(net.rig.unpose(keypoints), jaw, rest[0], rest[1], rest[1])
    lips, sense = net.rig.openings(opened)[2]
    shows = open_share(polygon_distance(lips, sense, BASE))
    inside = torch.nn.functional.avg_pool2d(shows, 7, 1, 3) > 0.99
    assert inside.sum() > 50
    photo, maps = torch.full((1, 3, BASE, BASE), 0.8), torch.zeros(1, 1, 64, 64)
    for mouth, expected in ((shows, 0.8), (torch.zeros_like(shows), -1.0)):
        layers = PhotoLayers(maps + 1, maps, mouth, photo, drawn_eyes(), NO_TEETH, torch.zeros(1, 2, 64, 64), maps)
        out = net(photo, opened, opened, torch.zeros(1, MOTION), photo, layers=layers).image.clamp(-1, 1)
        assert (out[:, :1][inside] - expected).abs().max() < 0.05
        assert out[0, 0, BASE // 4, BASE // 2] == -1, "a cheek is painted in both cases"


def test_each_closing_lip_comes_from_its_own_side(generator, keypoints):
    rig = generator.rig
    jaw, rest = torch.zeros(1, len(COEFFICIENTS)), torch.zeros(1, 3)
    jaw[:, COEFFICIENT_INDEX["jawOpen"]] = 0.6
    opened = rig.targets(rig.unpose(keypoints), jaw, torch.zeros(1, 2, 2), rest, rest)
    size = 256
    down = generator.coarse(opened, keypoints, size).flow[0, 1]
    line = keypoints[0, [62, 66], :2].mean(0)
    column, row = (((line + 1) / 2 * size).long()).tolist()
    upper, lower = (float(opened[0, n, 1] - keypoints[0, n, 1]) for n in (62, 66))
    assert lower > 0.06 > 3 * abs(upper)
    assert down[row - 2, column] < 0.25 * lower, "above the line the lower lip has no effect"
    assert down[row + 2, column] > 0.7 * lower, "below it the upper lip has none"


def test_beyond_the_crop_lies_its_mirror_image():
    full = torch.arange(64.0).view(1, 1, 64, 1).expand(1, 3, 64, 64) / 32 - 1
    flow, maps = torch.zeros(1, 2, 64, 64), torch.full((1, 1, 64, 64), 30.0)
    flow[:, 1] = -2 * 10 / 64  # ten rows from above
    picture = GuidedFlow.compose(full, flow, torch.zeros(1, 3, 64, 64), maps, maps, None).image
    assert torch.allclose(picture[0, 0, :10, 5], full[0, 0, :10, 5].flip(0), atol=1e-4)


def test_an_eye_that_is_shut_shows_skin_and_an_open_one_does_not(generator, keypoints):
    net = copy.deepcopy(generator).eval()
    picture = np.full((BASE, BASE, 3), 230, np.uint8)
    points = ((keypoints[0, :68, :2] + 1) / 2 * BASE).numpy()
    for eye in (range(36, 42), range(42, 48)):
        cv2.fillConvexPoly(picture, np.rint(points[list(eye)]).astype(np.int32), (10, 10, 10))
    eyes, _ = cut_eyes(cut_patches(picture, keypoints[0, :68].numpy(), nothing_seen()), len(picture))
    photo, maps = torch.from_numpy(picture).permute(2, 0, 1)[None] / 127.5 - 1, torch.zeros(1, 1, 64, 64)
    layers = PhotoLayers(maps + 1, maps, maps, photo, eyes, NO_TEETH, torch.zeros(1, 2, 64, 64), maps + 20)
    left, right = ((keypoints[0, ring, :2].mean(0) + 1) / 2 * BASE for ring in (slice(42, 48), slice(36, 42)))

    def image(shut):
        moved = net(photo, keypoints, keypoints, torch.zeros(1, MOTION), photo, layers=layers, shut=shut)
        return [moved.image[0, :, int(y), int(x)].mean() for x, y in (left, right)]

    assert max(image(None)) < -0.5 and max(image(torch.zeros(1, 2))) < -0.5, "open"
    assert min(image(torch.ones(1, 2))) > 0.3, "skin"
    wink = image(torch.tensor([[0.0, 1.0]]))
    assert wink[0] < -0.5 and wink[1] > 0.3


def with_teeth(generator, keypoints):
    """The generator and keypoints with two rows of teeth behind the lips, which replace other keypoints."""
    net, points = copy.deepcopy(generator).eval(), keypoints.clone()
    rig = net.rig
    free = torch.ones_like(rig.layer, dtype=torch.bool)
    free[:68] = False
    free[rig.mouth_loop.long()] = False
    chosen = (free & (rig.layer == 0)).nonzero()[-12:, 0]
    lips = rig.canonical[60:68].mean(0)
    x = torch.tensor([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5]).repeat(2)
    rig.canonical[chosen] = torch.stack([x, lips[1].expand(12), lips[2] - 0.4 - ARC * x**2], 1)
    rig.layer[chosen], rig.rigid[chosen], rig.follow[chosen] = TEETH_LAYER, 0.0, 1.0
    rig.basis[:, chosen] = 0
    posed = rig.unpose(keypoints)
    points[:, chosen] = to_head_axes(posed.scale * rig.canonical[chosen] @ posed.rotation[0].T + posed.shift)
    return net, points


def test_an_opening_mouth_shows_drawn_teeth_if_the_photo_shows_none(generator, keypoints):
    net, keypoints = with_teeth(generator, keypoints)
    net.to_maps.weight.zero_()
    net.to_maps.bias.fill_(-30.0)  # painted pixels are black, and all pixels are painted
    jaw, still = torch.zeros(1, len(COEFFICIENTS)), torch.zeros(1, 3)
    posed = net.rig.unpose(keypoints)
    jaw[:, COEFFICIENT_INDEX["jawOpen"]] = 0.8
    opened = net.rig.targets(posed, jaw, torch.zeros(1, 2, 2), still, still)
    lips, sense = net.rig.openings(opened)[2]
    inside = open_share(polygon_distance(lips, sense, BASE))[0, 0] > 0.99
    photo, maps = torch.full((1, 3, BASE, BASE), 0.8), torch.zeros(1, 1, 64, 64)
    light = torch.tensor([0.9, 0.8, 0.6]).reshape(1, 3, 1, 1)
    lift = bite_lift(net.rig, posed, torch.zeros(1, len(COEFFICIENTS)))

    def image_of(target, hidden):
        bite = Bite(light, lift, torch.full((1,), hidden), net.rig.lip_gap(posed.shape))
        layers = PhotoLayers(maps + 1, maps, maps, photo, drawn_eyes(), bite, torch.zeros(1, 2, 64, 64), maps)
        return net(photo, keypoints, target, torch.zeros(1, MOTION), photo, layers=layers).image

    bare, shown = image_of(opened, 0.0), image_of(opened, 1.0)
    changed = (shown - bare).abs().amax((0, 1)) > 0.2
    assert changed.sum() > 30 and not (changed & ~torch.nn.functional.max_pool2d(
        inside[None, None].float(), 15, 1, 7)[0, 0].bool()).any(), "teeth lie behind the lips"  # fmt: skip
    brightest = shown[0, :, changed].amax(1)
    assert brightest[0] > brightest[1] > brightest[2] > -0.2, "the teeth have the light of the photo"
    assert (image_of(keypoints, 1.0) - image_of(keypoints, 0.0)).abs().max() < 1e-6, "a photo at rest does not change"
