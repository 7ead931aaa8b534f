"""Shadows fall where something stands in the light; what is painted stays in the texture."""

import dataclasses

import numpy as np
import pytest

from thgen.synth import facekit as fk
from thgen.synth.head import Performer, State
from thgen.synth.raster import light_arrives
from thgen.synth.render import Camera, _darken_holes, frame_window, render
from thgen.synth.skin import drawing, freckles, makeup, weather, wrinkles

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
    ambient = np.full((2, 3), 0.1, np.float32)
    same = {"lights": side, "tints": tints, "ambient": ambient, "contact": 0.0, "blur": 4.0}
    without, within = (lit_performer(mesh, cast=c, **same).image.astype(float) for c in (0.0, 1.0))
    darker = (without - within).mean(2)
    assert darker.min() > -3, "a shadow never brightens"
    assert darker.max() > 25
    left, right = darker[:, : SIZE // 2].sum(), darker[:, SIZE // 2 :].sum()
    assert left > right, "the light comes from the right of the picture"


def test_light_arrives_only_at_the_nearest_surface():
    face = np.zeros((4, 4), np.int32)
    face[0] = -1
    weight = np.zeros((4, 4, 3), np.float32)
    weight[..., 0] = 1
    triangles = np.array([[0, 1, 2]], np.int32)
    seen = np.array([[1.5, 1.5, 10.0], [0, 0, 0], [0, 0, 0]], np.float32)
    near, far = np.full((4, 4), 9.0, np.float32), np.full((4, 4), 9.9, np.float32)
    dark, bright = (light_arrives(face, weight, triangles, seen, depth, 0.4) for depth in (near, far))
    assert (dark[1:] == 0).all() and (dark[0] == 1).all(), "the background is always lit"
    assert (bright == 1).all()


def test_under_the_upper_lid_the_eye_is_darker_than_below():
    image = np.ones((256, 256, 3), np.float32)
    part = np.full((256, 256), fk.FACE, np.uint8)
    part[100:130, 100:160] = fk.EYE_L
    _darken_holes(image, part, 0.5)
    assert (image[part == fk.FACE] == 1).all()
    assert image[101, 130, 0] < 0.8 and image[126, 130, 0] == 1
    _darken_holes(image, np.full((256, 256), fk.FACE, np.uint8), 0.5)  # shut eyes cast nothing


@pytest.mark.parametrize("paint", [wrinkles, freckles, makeup, weather])
def test_paint_changes_the_face_and_stays_a_colour(mesh, paint):
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
