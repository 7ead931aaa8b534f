"""Performers with hair, clothes and props, their proportions, and image styles."""

import functools
from collections.abc import Callable

import numpy as np
import pytest

from thgen.schema import COEFFICIENT_INDEX
from thgen.synth.clip import ClipSource
from thgen.synth.head import facekit as fk
from thgen.synth.head.performer import BLINK_CLOSED, PIVOT, Performer, State, neck_weight
from thgen.synth.head.proportions import STYLISED, Proportions, sample_proportions
from thgen.synth.looks.hair import bun, cap, curtain, sample_hair
from thgen.synth.looks.props import hand, microphone
from thgen.synth.looks.wear import earrings, glasses, hat, sample_wear, scarf
from thgen.synth.motion import random_states
from thgen.synth.render.imaging import CLEAN, Style, develop, sample_style
from thgen.synth.render.renderer import Camera, frame_window, render

SIZE = 96


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def cast(mesh) -> Callable[[int], Performer]:
    """(seed) -> the performer of this seed, made once for all tests that only look at it: each takes 0.3 s."""
    return functools.cache(functools.partial(Performer, mesh))


def pieces_of(kind, mesh, seed=1):
    head, landmarks, brown = mesh.vertices, mesh.vertices[mesh.landmarks], np.array([0.1, 0.06, 0.03])
    return {
        "cap": lambda: [cap(rng(seed), head, brown, 50, 90, 60, 1.0, 2.0)],
        "curtain": lambda: [curtain(rng(seed), head, brown, 60, -15)],
        "bun": lambda: [bun(rng(seed), head, brown)],
        "glasses": lambda: glasses(rng(seed), landmarks),
        "hat": lambda: hat(rng(seed), head),
        "scarf": lambda: scarf(rng(seed), head),
        "earrings": lambda: earrings(rng(seed), landmarks),
    }[kind]()


@pytest.mark.parametrize("kind", ["cap", "curtain", "bun", "glasses", "hat", "scarf", "earrings"])
@pytest.mark.parametrize("seed", range(4))
def test_pieces_are_valid_meshes_near_the_head(mesh, kind, seed):
    pieces = pieces_of(kind, mesh, seed)
    for piece in pieces:
        assert np.isfinite(piece.vertices).all() and np.isfinite(piece.colour).all()
        assert piece.faces.min() >= 0 and piece.faces.max() < len(piece.vertices)
        assert piece.colour.shape == piece.vertices.shape and (piece.colour >= 0).all()
        assert piece.part == (fk.HAIR if kind in ("cap", "curtain", "bun") else fk.WEAR)
        assert np.abs(piece.vertices).max() < 32, "no vertex lies far away"
    low, high = mesh.vertices.min(0), mesh.vertices.max(0)
    points = np.concatenate([p.vertices for p in pieces])
    near = ((points > low - 6) & (points < high + 6)).all(1)
    assert near.mean() > 0.4


def test_glasses_lie_in_front_of_the_eyes_and_lids(mesh):
    landmarks = mesh.vertices[mesh.landmarks]
    rims = np.concatenate([p.vertices for p in glasses(rng(3), landmarks)])
    before = rims[np.abs(rims[:, 1] - landmarks[36:48, 1].mean()) < 2.5]
    assert before[:, 2].max() > landmarks[36:48, 2].max() + 0.5


def test_every_kind_occurs_and_most_heads_wear_nothing(mesh):
    # What is drawn does not depend on the head, only its shape does: every 20th vertex takes 2 s less.
    head, landmarks = mesh.vertices[::20], mesh.vertices[mesh.landmarks]
    drawn = [sample_wear(rng(seed), head, landmarks) for seed in range(150)]
    counts = np.array([len(pieces) for pieces, _ in drawn])
    hides = np.mean([hidden for _, hidden in drawn])
    assert 0.4 < (counts == 0).mean() < 0.8
    assert 0.05 < hides < 0.25
    styles = [len(sample_hair(rng(seed), head, np.full(3, 0.1), seed % 2 == 0)) for seed in range(80)]
    assert set(styles) == {0, 1, 2}


def worn_performer(cast, part):
    """A performer who has triangles of `part` that belong to hair or wear."""
    for seed in range(60):
        performer = cast(seed)
        if (performer.part == part).any():
            return performer
    raise AssertionError(f"no performer of 60 has part {part}")


@pytest.mark.parametrize("part", [fk.HAIR, fk.WEAR])
def test_worn_things_move_with_the_head_and_are_visible(cast, part):
    performer = worn_performer(cast, part)
    turned = State.neutral()
    turned.pose[0] = 30
    where = np.unique(performer.triangles[performer.part == part])
    where = where[performer.neutral[where, 1] > 2]
    still, moved = (performer.pose(s, performer.shape(s)) for s in (State.neutral(), turned))
    step = np.linalg.norm(moved - still, axis=1)[where]
    assert np.median(step) > 1.0
    camera = frame_window(performer, Camera(2.0, 68.0, -2.0), State.neutral(), 2.0, 0.08)
    parts = render(performer, State.neutral(), camera, SIZE).segmentation(performer)
    assert (parts == part).mean() > 0.001


def test_the_same_seed_gives_the_same_performer(mesh):
    first, second = Performer(mesh, 8), Performer(mesh, 8)
    assert np.array_equal(first.neutral, second.neutral) and np.array_equal(first.colour, second.colour)


def test_the_lids_of_every_performer_touch_at_the_blink_weight(cast):
    for seed in range(8):
        performer = cast(seed)
        shut = State.neutral()
        for side in "LR":
            shut.coefficients[COEFFICIENT_INDEX[f"eyeBlink_{side}"]] = BLINK_CLOSED
        assert performer.openness(performer.shape(shut)).max() < 1.0
        assert performer.openness(performer.shape(State.neutral())) == pytest.approx([100, 100], abs=0.5)


def test_styles_change_the_image_and_not_the_ground_truth(mesh):
    for imaging in (True, False):
        clips = []
        for seed in range(3):
            source = ClipSource(mesh, 64, 32, imaging=imaging)
            clips.append(source.clip(source.performer(5), random_states(rng(seed), 2), rng(seed)))
        if imaging:
            styled = clips
    for a, b in zip(styled, clips, strict=True):
        for name in ("keypoints", "flow", "segmentation", "pose"):
            assert np.array_equal(getattr(a, name), getattr(b, name)), name
    assert any(not np.array_equal(a.frames, b.frames) for a, b in zip(styled, clips, strict=True))


def test_a_share_of_clips_has_no_style():
    clean = np.mean([sample_style(rng(seed)) == Style() for seed in range(400)])
    assert clean == pytest.approx(CLEAN, abs=0.08)


def picture():
    y, x = np.mgrid[:SIZE, :SIZE]
    return np.stack([x * 2, y * 2, (x + y)], -1).clip(0, 255).astype(np.uint8) // 2 + 60


def test_each_field_of_a_style_has_its_effect():
    image = picture()
    assert develop(image, Style(), rng()) is image
    grey = develop(image, Style(saturation=0.0), rng())
    assert np.ptp(grey.astype(int), axis=2).max() <= 1
    brighter = develop(image, Style(lift=30.0), rng())
    assert brighter.mean() > image.mean() + 20
    noisy = develop(image, Style(noise=12.0), rng())
    assert 6 < (noisy.astype(float) - image).std() < 18
    rough = (np.mgrid[:SIZE, :SIZE].sum(0) % 2 * 80)[..., None].repeat(3, 2).astype(np.uint8)
    for style in (Style(shrink=0.4), Style(brush=5)):
        assert develop(rough, style, rng()).std() < 0.5 * rough.std(), "detail is lost"
    prints = develop(image, Style(tones=6), rng())
    assert len(np.unique(prints)) <= 8
    coded = develop(image, Style(jpeg=20), rng())
    assert coded.shape == image.shape and 0 < np.abs(coded.astype(int) - image).mean() < 20


def test_noise_differs_between_frames_and_repeats_with_a_seed():
    image, generator = picture(), rng(4)
    first, second = (develop(image, Style(noise=8.0), generator) for _ in range(2))
    assert not np.array_equal(first, second)
    assert np.array_equal(first, develop(image, Style(noise=8.0), rng(4)))


def test_pairs_are_neighbours_in_time():
    poses = np.stack([[s.pose[:3] for s in random_states(rng(seed), 9, pairs=True)] for seed in range(20)])
    step = np.abs(np.diff(poses, axis=1)).max(2)
    within, between = step[:, 1::2], step[:, 0::2]
    assert within.min() > 0 and np.median(within) < 0.4 * np.median(between)


EYES = np.array([[3.2, 2.5, 6.5], [-3.2, 2.5, 6.5]], np.float32)


def test_proportions_of_one_change_nothing(mesh):
    assert np.allclose(Proportions().apply(mesh.vertices, EYES), mesh.vertices)


def test_large_eyes_grow_around_their_centre_and_the_rest_does_not_move():
    aside, far = np.array([1.0, 0, 0], np.float32), np.array([0, -25.0, 0], np.float32)
    points = np.concatenate([EYES, EYES + aside, EYES + far])
    out = Proportions(eyes=1.4).apply(points, EYES)
    assert np.allclose(out[:2], EYES, atol=0.1)
    grown = out[2:4, 0] - out[:2, 0]
    assert (grown > 1.2).all() and (grown < 1.45).all()
    assert np.allclose(out[4:], points[4:], atol=0.01)


def test_a_narrow_jaw_narrows_the_chin_but_not_temples_and_shoulders():
    heights = np.array([8.0, -8.0, -25.0])
    points = np.stack([np.full(3, 5.0), heights, np.zeros(3)], 1).astype(np.float32)
    x = Proportions(jaw=0.7).apply(points, EYES)[:, 0]
    assert x[0] == pytest.approx(5) and x[1] < 4.0 and x[2] == pytest.approx(5)


def test_some_performers_have_the_proportions_of_drawings():
    drawn = [sample_proportions(rng(seed)) for seed in range(300)]
    assert np.mean([p.eyes > 1.1 for p in drawn]) == pytest.approx(STYLISED, abs=0.07)
    assert len({p.sag > 0 for p in drawn}) == 2


def test_lids_follow_large_eyes(mesh, cast):
    """With eyes 1.5 times as large the lids still close, since all shapes follow the proportions."""
    performer = Performer(mesh, 2)
    shut = State.neutral()
    for side in "LR":
        shut.coefficients[COEFFICIENT_INDEX[f"eyeBlink_{side}"]] = BLINK_CLOSED
    performer.proportions = Proportions(eyes=1.5)
    gap_open, gap_shut = (performer._gap(performer.shape(s)) for s in (State.neutral(), shut))
    assert (gap_open > 1.3 * performer._lid_gap / cast(2).proportions.eyes).all()
    assert (gap_shut < 0.35 * gap_open).all()


@pytest.mark.parametrize("prop", [lambda r, lm: hand(r, lm, np.full(3, 0.5)), microphone])
def test_props_lie_in_front_of_the_head(mesh, prop):
    landmarks = mesh.vertices[mesh.landmarks]
    for seed in range(5):
        piece = prop(rng(seed), landmarks)
        assert np.isfinite(piece.vertices).all() and piece.faces.max() < len(piece.vertices)
        assert piece.vertices[:, 2].max() > landmarks[:17, 2].mean()
        assert piece.part == (fk.BODY if piece.follow == 0 and prop is microphone else fk.WEAR)


def test_a_microphone_does_not_move_with_the_head(cast):
    performer = next(cast(s) for s in range(200) if is_microphone(cast(s)))
    turned = State.neutral()
    turned.pose[0] = 25
    still, moved = (performer.pose(s, performer.shape(s)) for s in (State.neutral(), turned))
    front = [v for v in np.unique(performer.triangles[performer.part == fk.BODY]) if performer.neutral[v, 1] > -13]
    assert front and np.allclose(still[front], moved[front])


def is_microphone(performer):
    return (performer.neutral[np.unique(performer.triangles[performer.part == fk.BODY]), 1] > -13).any()


def test_a_shirt_hardly_moves_with_the_head_and_covers_no_face(mesh, cast):
    clothed = 0
    for seed in range(6):
        performer = cast(seed)
        corners = mesh.triangles
        own = performer.region[: len(corners)]
        skin = np.isin(performer.part[: len(corners)], (fk.FACE, fk.SKIN))
        shirt = np.unique(corners[skin & (own == fk.BODY)])
        shirt = shirt[performer.neutral[shirt, 1] > -14]  # above that height skin follows the head
        assert performer.region[: len(corners)][(corners == mesh.landmarks[30]).any(1)].tolist().count(fk.BODY) == 0
        if not len(shirt):
            continue
        clothed += 1
        turned = State(
            np.zeros(57, np.float32), np.array([30, 0, 0, 0, 0, 0], np.float32), np.zeros((2, 2), np.float32)
        )
        head = performer.shape(State.neutral())
        moved = np.linalg.norm(performer.pose(turned, head) - performer.pose(State.neutral(), head), axis=1)
        free = neck_weight(performer.neutral[shirt, 1])
        away = np.linalg.norm(performer.neutral[shirt][:, [0, 2]] - PIVOT[[0, 2]], axis=1)
        assert (moved[shirt] < 0.4 * free * away * np.deg2rad(30) + 0.05).all()
    assert clothed >= 1
