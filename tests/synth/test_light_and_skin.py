"""Light, shadows, defocus, and paint on the skin."""

import dataclasses

import numpy as np
import pytest

from thgen.synth.head import facekit as fk
from thgen.synth.head.performer import Performer, State
from thgen.synth.looks.skin import drawing, freckles, makeup, skin_details, wrinkles
from thgen.synth.render.light import sky_and_ground, windows
from thgen.synth.render.raster import lit_mask
from thgen.synth.render.renderer import Camera, _darken_holes, _defocus, frame_window, render

SIZE = 96


def rng(seed=0):
    return np.random.default_rng(seed)


def lit_performer(mesh, **light):
    performer = Performer(mesh, 4)
    performer.look = dataclasses.replace(performer.look, light=dataclasses.replace(performer.look.light, **light))
    camera = frame_window(performer, Camera(2.0, 68.0, -2.0), State.neutral(), 2.0, 0.08)
    return render(performer, State.neutral(), camera, SIZE)


def test_a_light_from_the_side_casts_a_shadow_on_the_other_side(mesh):
    side = np.array([[0.95, 0.1, 0.3], [0, 0, 1], [0, 0, 1]], np.float32)
    tints = np.array([[0.9] * 3, [0.02] * 3, [0.02] * 3], np.float32)
    ambient = sky_and_ground(np.full(3, 0.1), np.full(3, 0.1))
    same = {"lights": side, "tints": tints, "ambient": ambient, "contact": 0.0, "blur": 4.0}
    without, within = (lit_performer(mesh, cast=c, **same).image.astype(float) for c in (0.0, 1.0))
    darker = (without - within).mean(2)
    assert darker.min() > -3, "a shadow never brightens"
    assert darker.max() > 25
    left, right = darker[:, : SIZE // 2].sum(), darker[:, SIZE // 2 :].sum()
    assert left > right, "the light comes from the right of the image"


def test_only_the_nearest_surface_is_lit():
    face = np.zeros((4, 4), np.int32)
    face[0] = -1
    weight = np.zeros((4, 4, 3), np.float32)
    weight[..., 0] = 1
    triangles = np.array([[0, 1, 2]], np.int32)
    in_light = np.array([[1.5, 1.5, 10.0], [0, 0, 0], [0, 0, 0]], np.float32)
    near, far = np.full((4, 4), 9.0, np.float32), np.full((4, 4), 9.9, np.float32)
    dark, bright = (lit_mask(face, weight, triangles, in_light, depth, 0.4) for depth in (near, far))
    assert (dark[1:] == 0).all() and (dark[0] == 1).all(), "the background is always lit"
    assert (bright == 1).all()


def test_under_the_upper_lid_the_eye_is_darker_than_below():
    image = np.ones((256, 256, 3), np.float32)
    part = np.full((256, 256), fk.FACE, np.uint8)
    part[100:130, 100:160] = fk.EYE_L
    _darken_holes(image, part, 0.5)
    assert (image[part == fk.FACE] == 1).all()
    assert image[101, 130, 0] < 0.8 and image[126, 130, 0] == 1
    _darken_holes(image, np.full((256, 256), fk.FACE, np.uint8), 0.5)  # closed eyes have no shadow


@pytest.mark.parametrize("paint", [wrinkles, freckles, makeup, skin_details])
def test_paint_changes_the_face_within_the_range_of_colours(mesh, paint):
    plain = np.full((512, 512, 3), 0.5, np.float32)
    changed = 0
    for seed in range(6):
        out = paint(rng(seed), plain, mesh.landmark_uv)
        assert out.shape == plain.shape and np.isfinite(out).all() and out.min() >= 0 and out.max() <= 1.2
        changed += np.abs(out - plain).max() > 0.02
    assert changed >= 3


def test_a_drawing_covers_a_part_only():
    share = [
        (np.abs(drawing(rng(s), np.full((512, 512, 3), 0.5, np.float32)) - 0.5).max(2) > 0.02).mean() for s in range(8)
    ]
    assert 0 < np.median(share) < 0.3


def test_ambient_light_equals_the_integral_over_its_sources():
    """The integral is the mean over many directions d of max(0, n . d) x radiance."""
    normals = rng(1).standard_normal((50, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    x, y, z = normals.T
    rows = np.stack([np.ones(50), x, y, z, x * x, y * y, z * z, x * y, x * z, y * z], 1)
    one = windows(np.array([[0.6, 0.0, 0.8]]), np.ones((1, 3)))
    cosine = np.maximum(normals @ [0.6, 0.0, 0.8], 0)
    assert np.abs(rows @ one[:, 0] - cosine).max() < 0.13, "second order is within an eighth of the cosine"
    around = rng(2).standard_normal((4000, 3))
    around /= np.linalg.norm(around, axis=1, keepdims=True)
    bright = np.where(around[:, 1:2] > 0, 1.0, 0.2) / 1000  # a sky and a ground
    exact = (np.maximum(normals @ around.T, 0) @ bright)[:, 0]
    assert rows @ windows(around, bright)[:, 0] == pytest.approx(exact, abs=0.03)
    assert rows @ sky_and_ground(np.ones(3), np.full(3, 0.2))[:, 0] == pytest.approx(0.6 + 0.4 * y)


def test_only_the_background_is_blurred():
    image = np.random.default_rng(0).random((64, 64, 3)).astype(np.float32)
    depth = np.full((64, 64), 50.0, np.float32)
    depth[:, 32:] = 1e9
    out = _defocus(image, depth, 0.1)
    assert np.array_equal(out[:, :32], image[:, :32])
    assert out[:, 36:].std() < 0.3 * image[:, 36:].std()
    dark = np.where(depth[..., None] < 100, 0.0, 1.0).astype(np.float32).repeat(3, 2)
    assert _defocus(dark, depth, 0.1)[:, 33:].min() > 0.9, "the face leaves no dark rim in the background"


def test_skin_below_the_jaw_is_the_neck(mesh):
    performer = Performer(mesh, 3)
    camera = frame_window(performer, Camera(2.0, 68.0, -2.0), State.neutral(), 2.2, 0.08)
    regions = render(performer, State.neutral(), camera, SIZE).segmentation(performer)
    neck, face = np.argwhere(regions == fk.NECK), np.argwhere(regions == fk.FACE)
    assert len(neck) > 50 and neck[:, 0].mean() > face[:, 0].mean() + 10
    chin = performer.mesh.landmarks[8]
    assert performer.region[: len(mesh.triangles)][(mesh.triangles == chin).any(1)].tolist().count(fk.NECK) == 0
