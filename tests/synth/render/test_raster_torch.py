"""The two rasterisers, numba and batched torch, give the same images."""

import dataclasses

import numpy as np
import pytest
import torch

from thgen.synth.clip import ClipSource
from thgen.synth.head.performer import Performer
from thgen.synth.motion import random_states
from thgen.synth.render import raster, raster_torch
from thgen.synth.render.renderer import Camera, frame_window, render
from thgen.synth.render.renderer_torch import render_batch

CPU = torch.device("cpu")
SIZE = 96


def triangles_at_random(seed=0, count=300):
    rng = np.random.default_rng(seed)
    centre = rng.uniform(-5, 70, (count, 1, 2))
    corners = centre + rng.normal(0, rng.choice([1.0, 6.0, 25.0], (count, 1, 1)), (count, 3, 2))
    depth = rng.uniform(10, 20, (count, 3, 1))
    points = np.concatenate([corners, depth], -1).reshape(-1, 3).astype(np.float32)
    return points, np.arange(3 * count, dtype=np.int32).reshape(-1, 3), rng.random(count) < 0.5


@pytest.mark.parametrize("seed", range(3))
def test_z_buffers_agree_on_random_triangles_of_all_sizes(seed):
    points, triangles, two_sided = triangles_at_random(seed)
    depth, face, weight = raster.rasterize(points, triangles, two_sided, 64, 64)
    ours = raster_torch.rasterize(
        torch.tensor(points)[None], torch.tensor(triangles).long(), torch.tensor(two_sided), 64
    )
    same = face == ours[1][0].numpy()
    assert same.mean() > 0.998 and (face >= 0).mean() > 0.5
    assert np.allclose(depth[same], ours[0][0].numpy()[same], rtol=1e-4)
    assert np.allclose(weight[same], ours[2][0].numpy()[same], atol=2e-3)


def test_frames_of_a_batch_are_independent():
    points, triangles, two_sided = triangles_at_random(1, 40)
    both = torch.tensor(np.stack([points, points + np.float32([20, 0, 0])]))
    args = torch.tensor(triangles).long(), torch.tensor(two_sided), 64
    together = raster_torch.rasterize(both, *args)
    for t in range(2):
        alone = raster_torch.rasterize(both[t : t + 1], *args)
        assert all(torch.equal(a[t], b[0]) for a, b in zip(together, alone, strict=True))


def test_normals_agree(mesh):
    ours = raster_torch.vertex_normals(torch.tensor(mesh.vertices)[None], torch.tensor(mesh.triangles).long())[0]
    assert np.allclose(raster.vertex_normals(mesh.vertices, mesh.triangles), ours.numpy(), atol=2e-3)


@pytest.mark.parametrize("cast", [0.0, 0.8])
def test_images_agree_with_and_without_shadows(mesh, cast):
    performer = Performer(mesh, 6)
    performer.look = dataclasses.replace(performer.look, light=dataclasses.replace(performer.look.light, cast=cast))
    states = random_states(np.random.default_rng(0), 3)
    camera = frame_window(performer, Camera(2.0, 68.0, -2.0), states[0], 2.0, 0.08)
    for state, theirs in zip(states, render_batch(performer, states, camera, SIZE, CPU), strict=True):
        ours = render(performer, state, camera, SIZE)
        assert (ours.face == theirs.face).mean() > 0.998
        difference = np.abs(ours.image.astype(int) - theirs.image)
        assert difference.mean() < 0.3 and (difference > 8).mean() < 0.01
        assert np.array_equal(ours.points, theirs.points) and np.array_equal(ours.openness, theirs.openness)


def test_a_clip_of_the_other_rasteriser_has_the_same_truth(mesh):
    states = random_states(np.random.default_rng(3), 2)
    ours, theirs = clip(mesh, states, "cpu"), clip(mesh, states, "cpu:0")  # this name selects torch
    assert np.array_equal(ours.keypoints, theirs.keypoints) and np.array_equal(ours.pose, theirs.pose)
    assert np.abs(ours.flow - theirs.flow).max(-1).mean() < 1e-3
    assert (ours.visible == theirs.visible).mean() > 0.99
    assert (ours.segmentation == theirs.segmentation).mean() > 0.99


def clip(mesh, states, device):
    source = ClipSource(mesh, 64, 32, imaging=False, device=device)
    return source.clip(Performer(mesh, 1), states, np.random.default_rng(0))
