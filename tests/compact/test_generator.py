"""The generator of all compact methods: limits of targets, gaze and lids."""

from dataclasses import replace

import torch

from tests.compact.drawn_face import drawn_eyes
from thgen.compact.flow.compositing import PhotoLayers
from thgen.compact.flow.dentition import Bite
from thgen.compact.frozen_generator import load_generator
from thgen.compact.generator import IRIS, MAX_CHANGE, MAX_CLOSURE, Movement, clamp_target, photo_of, render, targets
from thgen.compact.keypoint_rig import EYE_LAYERS
from thgen.compact.motion_head import FaceState
from thgen.nn.coefficients import pick, place
from thgen.schema import BLINK_COEFFICIENTS, COEFFICIENT_INDEX, COEFFICIENTS


def state(coefficients: torch.Tensor) -> FaceState:
    rows = len(coefficients)
    return FaceState(coefficients, torch.zeros(rows, 2, 2), torch.zeros(rows, 3), torch.zeros(rows, 3))


def test_a_change_within_reach_is_left_alone():
    torch.manual_seed(0)
    source, target = (state(0.1 * torch.randn(3, len(COEFFICIENTS))) for _ in range(2))
    clamped = clamp_target(source, target, torch.zeros(1, len(COEFFICIENTS)))
    assert torch.allclose(clamped.coefficients, target.coefficients, atol=1e-6)


def test_beyond_it_expressions_keep_their_kind_and_lids_shut():
    source, target = torch.zeros(2, len(COEFFICIENTS)), torch.zeros(2, len(COEFFICIENTS))
    target[:, COEFFICIENT_INDEX["jawOpen"]], target[:, COEFFICIENT_INDEX["browInnerUp_L"]] = 3.0, 4.0
    target += place(torch.tensor([[2.0, 0.3]] * 2), BLINK_COEFFICIENTS)
    own = place(torch.tensor([[0.4, 0.4]]), BLINK_COEFFICIENTS)
    clamped = clamp_target(state(source), state(target), own).coefficients
    jaw, brow = (clamped[:, COEFFICIENT_INDEX[name]] for name in ("jawOpen", "browInnerUp_L"))
    assert torch.allclose(torch.hypot(jaw, brow), torch.tensor(MAX_CHANGE))
    assert torch.allclose(brow / jaw, torch.tensor(4 / 3))
    assert torch.allclose(pick(clamped, BLINK_COEFFICIENTS), torch.tensor([MAX_CLOSURE - 0.4, 0.3]))


def test_an_iris_is_drawn_further_than_a_flow_would_move_it():
    torch.manual_seed(0)
    rig = load_generator({"head": "ellipsoid"}).rig
    keypoints = 0.05 * rig.canonical[None] * torch.tensor([1.0, -1.0, -1.0])
    targets_drawn = []

    def generator(small, source, drawn, motion, full, layers=None, shut=None):
        targets_drawn.append(drawn)

    generator.rig = rig
    zero = torch.zeros(1, len(COEFFICIENTS))
    photo = photo_of(rig, torch.zeros(1, 3, 8, 8), keypoints, zero, torch.zeros(1, 2, 2))
    move = replace(Movement.none(photo), gaze=torch.full((1, 2, 2), 10.0))
    render(generator, photo, move)
    iris = rig.layer == EYE_LAYERS[0]
    further, expected = (x[0, iris, 0] - keypoints[0, iris, 0] for x in (targets_drawn[0], targets(rig, photo, move)))
    assert torch.allclose(further, IRIS * expected, atol=1e-5) and expected.abs().min() > 1e-3


def test_layers_close_the_lids_and_without_layers_the_keypoints_do():
    torch.manual_seed(0)
    rig = load_generator({"head": "ellipsoid"}).rig
    keypoints = 0.05 * rig.canonical[None] * torch.tensor([1.0, -1.0, -1.0])
    calls = []

    def generator(small, source, drawn, motion, full, layers=None, shut=None):
        calls.append((source, drawn, motion, shut))

    generator.rig = rig
    zero = torch.zeros(1, len(COEFFICIENTS))
    photo = photo_of(rig, torch.zeros(1, 3, 8, 8), keypoints, zero, torch.zeros(1, 2, 2))
    maps, bite = (
        torch.zeros(1, 1, 8, 8),
        Bite(torch.ones(1, 3, 1, 1), torch.zeros(1, 2), torch.zeros(1), torch.zeros(1)),
    )
    layers = PhotoLayers(maps, maps, maps, photo.image, drawn_eyes(), bite, torch.zeros(1, 2, 8, 8), maps)
    closing, opening = (place(torch.tensor([[weight, 0.0]]), BLINK_COEFFICIENTS) for weight in (1.0, -0.3))
    shut = torch.tensor([[1.0, 0.0]])
    for change in (closing, opening):
        move = replace(Movement.none(photo), change=change, coefficient_change=change, shut=shut)
        for of in (photo, replace(photo, layers=layers)):
            render(generator, of, move)
    lid = [float((drawn - source)[0, [43, 44], 1].mean()) for source, drawn, _, _ in calls]
    assert lid[0] > 0.01, "y points down"
    assert abs(lid[1]) < 1e-6 and lid[2] < -0.003 and lid[3] == lid[2], "lids open wider by keypoints"
    blink = [motion[0, len(COEFFICIENTS) + COEFFICIENT_INDEX["eyeBlink_L"]] for _, _, motion, _ in calls]
    assert blink[0] == 1 and blink[1] == 0, "the network is not told of lids that it does not draw"
    assert all(torch.equal(given, shut) for *_, given in calls)
