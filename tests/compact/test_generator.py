"""The generator of all compact methods: limits of targets, gaze and lids."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from tests.compact.drawn_face import drawn_eyes
from thgen.compact.flow.compositing import PhotoLayers
from thgen.compact.flow.dentition import Bite
from thgen.compact.flow.openings import EDGE
from thgen.compact.frozen_generator import load_generator
from thgen.compact.generator import (
    MAX_CHANGE,
    MAX_CLOSURE,
    Movement,
    clamp_target,
    lid_travel,
    movement,
    photo_of,
    render,
    targets,
)
from thgen.compact.keypoint_rig import EYE_LAYERS, LID_FOLLOWS
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


@pytest.mark.parametrize("closed", [0.0, 0.4, 0.6])
def test_a_lid_closes_the_eye_that_the_photo_shows(closed):
    """However far it is open there. If the travel were only the opening's height, a half closed eye would stay open."""
    rig = load_generator({"head": "ellipsoid"}).rig
    keypoints = 0.05 * rig.canonical[None] * torch.tensor([1.0, -1.0, -1.0])
    zero, still = torch.zeros(1, len(COEFFICIENTS)), torch.zeros(1, 3)
    blink = place(torch.tensor([[closed, closed]]), BLINK_COEFFICIENTS)
    awake = photo_of(rig, torch.zeros(1, 3, 8, 8), keypoints, zero, torch.zeros(1, 2, 2))
    shown = targets(rig, awake, replace(Movement.none(awake), change=blink))
    photo = photo_of(rig, awake.image, shown, blink, awake.gaze)
    source, target = state(blink), state(place(torch.ones(1, 2), BLINK_COEFFICIENTS))
    move = movement(source, target, photo.lid_scale)
    assert torch.allclose(move.shut, torch.ones(1, 2))
    height = place(move.shut * (1 - closed) * photo.lid_scale, BLINK_COEFFICIENTS)
    gap, naive = (
        float((rig.lid_scale(rig.unpose(targets(rig, photo, m))) / awake.lid_scale).mean())
        for m in (move, replace(move, change=height))
    )
    assert gap < naive + 1e-4
    whole = rig.targets(awake.posed, place(awake.lid_scale, BLINK_COEFFICIENTS), awake.gaze, still, still)
    expected = float((rig.lid_scale(rig.unpose(whole)) / awake.lid_scale).mean())
    assert gap == pytest.approx(expected, abs=0.08), "as from an open eye"
    if closed:
        assert naive > gap + 0.1


def test_the_travel_of_a_lid_is_limited_where_keypoints_are_wrong():
    travel = lid_travel(torch.tensor([[0.5, 3.0], [0.1, 1.0]]), torch.tensor([[0.5, 1.0], [1.0, 0.0]]))
    assert torch.allclose(travel, torch.tensor([[1.0, 2.0], [0.4, 2.0]]))


def drawn(photo, move):
    """Keypoints [1 K 3], motion code and turn of the eyes that `render` gives to the network."""
    asked = []

    def generator(small, source, target, motion, full, layers=None, shut=None, turn=None):
        asked.extend([target, motion, turn])

    generator.rig = load_generator({"head": "ellipsoid"}).rig
    render(generator, photo, move)
    return asked


def test_layers_turn_the_eyes_and_keypoints_do_so_only_without_them():
    rig = load_generator({"head": "ellipsoid"}).rig
    keypoints = 0.05 * rig.canonical[None] * torch.tensor([1.0, -1.0, -1.0])
    zero = torch.zeros(1, len(COEFFICIENTS))
    photo = photo_of(rig, torch.zeros(1, 3, 8, 8), keypoints, zero, torch.zeros(1, 2, 2))
    move = replace(Movement.none(photo), gaze=torch.tensor([[[10.0, 0.0], [-5.0, 3.0]]]))
    points, motion, turn = drawn(photo, move)
    assert torch.allclose(points, targets(rig, photo, move)) and not turn.any()
    layered = replace(photo, layers=SimpleNamespace(irises=object(), expand=lambda count: None))
    still, rest, turned = drawn(layered, move)
    assert torch.equal(turned, move.gaze), "each eye apart"
    assert torch.allclose(still, targets(rig, photo, Movement.none(photo)))
    iris = rig.layer == EYE_LAYERS[0]
    assert (points - still)[0, iris].abs().max() > 1e-3 and not torch.equal(rest, motion)


def test_layers_close_the_lids_and_without_layers_the_keypoints_do():
    torch.manual_seed(0)
    rig = load_generator({"head": "ellipsoid"}).rig
    keypoints = 0.05 * rig.canonical[None] * torch.tensor([1.0, -1.0, -1.0])
    calls = []

    def generator(small, source, drawn, motion, full, layers=None, shut=None, turn=None):
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


def test_lids_that_follow_a_lower_gaze_close_by_layers_too():
    rig = load_generator({"head": "ellipsoid"}).rig
    keypoints = 0.05 * rig.canonical[None] * torch.tensor([1.0, -1.0, -1.0])
    asked = []

    def generator(small, source, drawn, motion, full, layers=None, shut=None, turn=None):
        asked.append((drawn - source, shut))

    generator.rig = rig
    zero = torch.zeros(1, len(COEFFICIENTS))
    photo = photo_of(rig, torch.zeros(1, 3, 8, 8), keypoints, zero, torch.zeros(1, 2, 2))
    photo = replace(photo, layers=SimpleNamespace(irises=None, expand=lambda count: None))
    down, up = (place(torch.tensor([[1.0, 0.0]]), names) for names in LID_FOLLOWS[::-1])
    for change in (down, up):
        render(generator, photo, replace(Movement.none(photo), change=change, coefficient_change=change))
    (lowered, shut), (_, still) = asked
    assert 0.1 < shut[0, 0] < 1 and shut[0, 1] == 0 and lowered[0, [43, 44], 1].abs().max() < 1e-6
    assert not still.any(), "raised lids move by keypoints"
    assert torch.equal(rig.lowered_lids(down), shut)


def test_lips_part_past_the_rim_that_hides_a_gap():
    rig = load_generator({"head": "ellipsoid"}).rig
    keypoints = 0.05 * rig.canonical[None] * torch.tensor([1.0, -1.0, -1.0])
    gaps = []

    def generator(small, source, drawn, motion, full, layers=None, shut=None, turn=None):
        gaps.append(float(rig.lip_gap(rig.unpose(drawn).shape)))

    generator.rig = rig
    zero = torch.zeros(1, len(COEFFICIENTS))
    photo = photo_of(rig, torch.zeros(1, 3, 8, 8), keypoints, zero, torch.zeros(1, 2, 2))
    opened = place(torch.tensor([[0.6]]), ("jawOpen",))
    still = Movement.none(photo)
    for move in (still, replace(still, change=opened)):
        render(generator, photo, move)
    shut, drawn = gaps
    asked = float(rig.lip_gap(rig.canonical[None] + rig.displaced(opened)))
    rim = float(2 * EDGE / photo.posed.scale)
    assert shut == pytest.approx(float(rig.lip_gap(rig.canonical[None])), abs=0.02), "closed lips stay closed"
    assert drawn - asked == pytest.approx(rim, rel=0.3)
