"""The layout of the keypoints."""

import numpy as np

from thgen.schema import COEFFICIENT_INDEX
from thgen.synth.head.facekit import EYE_L, FACE
from thgen.synth.head.keypoints import EYE_L_LAYER, SKIN_LAYER, boundary_loops, build_layout, farthest_points
from thgen.synth.head.performer import neck_weight


def test_layout_begins_with_the_landmarks_and_the_pupils(mesh):
    layout = build_layout(mesh, neck_weight)
    assert np.array_equal(layout.index[:68], mesh.landmarks)
    assert mesh.part[layout.index[68]] == EYE_L and layout.layer[68] == EYE_L_LAYER
    assert layout.canonical.shape == (len(layout.index), 3) and layout.basis.shape[1:] == layout.canonical.shape
    assert (layout.width > 0).all()
    assert layout.rigid[layout.layer != SKIN_LAYER].max() == 0, "eyeballs have no weight in the pose"


def test_loops_lie_around_their_openings(mesh):
    layout = build_layout(mesh, neck_weight)
    left, right, mouth = (layout.canonical[loop] for loop in layout.loops)
    assert left[:, 0].min() > 0 > right[:, 0].max()
    assert mouth[:, 1].max() < left[:, 1].min()
    upper, lower = layout.canonical[43, 1], layout.canonical[47, 1]
    drop = layout.basis[COEFFICIENT_INDEX["eyeBlink_L"], 43, 1]
    assert -1.3 * (upper - lower) < drop < -0.7 * (upper - lower), "a blink brings the upper lid to the lower one"


def test_the_jaw_opens_the_loop_of_the_mouth(mesh):
    layout = build_layout(mesh, neck_weight)
    shut = layout.canonical[layout.loops[2], 1]
    wide = shut + layout.basis[COEFFICIENT_INDEX["jawOpen"], layout.loops[2], 1]
    assert np.ptp(wide) > np.ptp(shut) + 0.5


def test_farthest_points_are_spread():
    points = np.random.default_rng(0).random((500, 3))
    chosen = farthest_points(points, np.arange(500), 20)
    assert len(set(chosen.tolist())) == 20
    gaps = np.linalg.norm(points[chosen][:, None] - points[chosen][None], axis=2) + 9 * np.eye(20)
    assert gaps.min() > 0.15


def test_boundary_of_two_triangles_is_their_square():
    loops = boundary_loops(np.array([[0, 1, 2], [0, 2, 3]]))
    assert len(loops) == 1 and sorted(loops[0].tolist()) == [0, 1, 2, 3]
    assert FACE == 1
