"""Ground truth of the renderer: signs, flow, segmentation, determinism."""

import cv2
import numpy as np
import pytest

from thgen.schema import COEFFICIENT_INDEX
from thgen.synth.head import facekit as fk
from thgen.synth.head.keypoints import build_layout
from thgen.synth.head.performer import BLINK_CLOSED, Performer, State, neck_weight
from thgen.synth.motion import random_states
from thgen.synth.render import renderer
from thgen.synth.render.renderer import Camera, flow_between, frame_window, render

SIZE = 128


@pytest.fixture(scope="module")
def performer(mesh):
    return Performer(mesh, seed=3)


@pytest.fixture(scope="module")
def camera(performer):
    return frame_window(performer, Camera(2.0, 68.0, -2.0), State.neutral(), 2.0, 0.08)


def state(pose=(0, 0, 0), gaze=(0, 0), **shapes) -> State:
    neutral = State.neutral()
    coefficients = neutral.coefficients.copy()
    for name, value in shapes.items():
        for full in (name, f"{name}_L", f"{name}_R"):
            if full in COEFFICIENT_INDEX:
                coefficients[COEFFICIENT_INDEX[full]] = value
    return State(coefficients, np.array([*pose, 0, 0, 0], np.float32), np.array([gaze, gaze], np.float32))


def landmarks(performer, camera, at: State) -> np.ndarray:
    frame = render(performer, at, camera, SIZE)
    return frame.points[performer.mesh.landmarks, :2] / frame.face.shape[0] * 2 - 1


@pytest.mark.parametrize(
    ("turn", "axis", "sign"), [((20, 0, 0), 0, 1), ((-20, 0, 0), 0, -1), ((0, 15, 0), 1, -1), ((0, -15, 0), 1, 1)]
)
def test_yaw_moves_the_nose_right_and_pitch_moves_it_up(performer, camera, turn, axis, sign):
    still, turned = (landmarks(performer, camera, state(pose=p)) for p in ((0, 0, 0), turn))
    assert sign * (turned[30] - still[30])[axis] > 0.1


def test_positive_roll_tilts_the_head_clockwise(performer, camera):
    turned = landmarks(performer, camera, state(pose=(0, 0, 15)))
    eyes = turned[42:48].mean(0) - turned[36:42].mean(0)  # from image left to right
    assert np.degrees(np.arctan2(eyes[1], eyes[0])) == pytest.approx(15, abs=1.5)


@pytest.mark.parametrize(("gaze", "axis", "sign"), [((20, 0), 0, 1), ((0, 15), 1, -1)])
def test_gaze_moves_both_pupils(performer, camera, gaze, axis, sign):
    layout = build_layout(performer.mesh, neck_weight)
    pupils = layout.index[68:70]
    frames = [render(performer, state(gaze=g), camera, SIZE) for g in ((0, 0), gaze)]
    moved = (frames[1].points[pupils, :2] - frames[0].points[pupils, :2])[:, axis]
    assert (sign * moved > 1.0).all()


def test_openness_is_100_when_neutral_and_0_when_closed(performer, camera):
    assert render(performer, state(), camera, 32).openness == pytest.approx(100, abs=0.1)
    # Lids of other identities may keep a small gap, which the openness then states.
    assert (render(performer, state(eyeBlink=BLINK_CLOSED), camera, 32).openness < 5).all()


def test_eyeballs_lie_behind_lids_that_close_and_open_eyes_stay(performer, camera, monkeypatch):
    """Lids move along straight lines, so halfway they lie inside the eyeball, which came through them."""

    def seen(blink: float) -> int:
        parts = render(performer, state(eyeBlink=blink), camera, SIZE).segmentation(performer)
        return int(np.isin(parts, (fk.EYE_L, fk.EYE_R)).sum())

    behind = [seen(blink) for blink in (0, BLINK_CLOSED)]
    monkeypatch.setattr(renderer, "BEHIND_LIDS", 0.0)
    through = [seen(blink) for blink in (0, BLINK_CLOSED)]
    assert behind[0] > 0.9 * through[0] and behind[1] < 0.7 * through[1]


def test_the_left_eye_is_the_subjects_left(performer, camera):
    wink = performer.openness(performer.shape(state(eyeBlink_L=1.0)))
    assert wink[0] < 35 and wink[1] > 95
    assert landmarks(performer, camera, state())[42:48, 0].mean() > 0, "the subject's left lies right in the image"


def test_the_same_arguments_give_the_same_bytes(mesh, camera):
    images = [render(Performer(mesh, seed=5), state(pose=(10, 0, 0)), camera, 64).image for _ in range(2)]
    assert np.array_equal(*images)
    assert not np.array_equal(images[0], render(Performer(mesh, seed=6), state(pose=(10, 0, 0)), camera, 64).image)


def test_warping_by_the_true_flow_gives_the_target(performer, camera):
    source = render(performer, state(), camera, SIZE)
    target = render(performer, state(pose=(14, 6, 4), jawOpen=0.3), camera, SIZE)
    flow, visible = flow_between(performer, target, source, SIZE)
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    warped = cv2.remap(source.image, x + flow[..., 0] * SIZE / 2, y + flow[..., 1] * SIZE / 2, cv2.INTER_LINEAR)
    # Not at edges of visibility, where a pixel mixes two surfaces.
    sure = cv2.erode(visible, np.ones((5, 5), np.uint8)).astype(bool)
    error = np.abs(warped.astype(float) - target.image)[sure].mean()
    copied = np.abs(source.image.astype(float) - target.image)[sure].mean()
    assert sure.mean() > 0.5
    assert error < 0.6 * copied  # the rest of the error is shading, which does not move with the surface


def test_flow_to_itself_is_zero_and_all_is_visible(performer, camera):
    frame = render(performer, state(), camera, SIZE)
    flow, visible = flow_between(performer, frame, frame, SIZE // 2)
    assert np.abs(flow).max() < 1e-3
    assert visible.mean() > 0.98


def test_the_shoulders_do_not_move_with_the_head(performer):
    still, turned = (performer.pose(s, performer.shape(s)) for s in (state(), state(pose=(30, 0, 0))))
    body = performer.neutral[:, 1] < -18
    assert np.abs(turned - still)[body].max() == 0
    assert np.abs(turned - still)[performer.mesh.landmarks].max() > 1


def test_segmentation_has_face_eyes_and_background(performer, camera):
    parts = render(performer, state(), camera, SIZE).segmentation(performer)
    assert parts[0, 0] == fk.BACKGROUND
    assert (parts == fk.FACE).mean() > 0.1
    assert {fk.EYE_L, fk.EYE_R} <= set(np.unique(parts))


def test_random_states_differ_and_repeat():
    first, again = (random_states(np.random.default_rng(1), 5) for _ in range(2))
    assert all(np.array_equal(a.coefficients, b.coefficients) for a, b in zip(first, again, strict=True))
    assert len({s.coefficients.tobytes() for s in first}) == 5
