"""Eyes of one frame in the face of another."""

import numpy as np

from thgen.methods.pd_fgc.eye_swap import EYES, corner_transform, eye_patch, swap_eyes
from thgen.synth.head.ellipsoid import ellipsoid_head

SIZE = 128


def face(shift: float = 0.0, scale: float = 1.0, turn: float = 0.0) -> np.ndarray:
    """Landmarks [68 2] of the built-in head in a crop."""
    mesh = ellipsoid_head()
    points = mesh.vertices[mesh.landmarks][:, :2] * [1, -1] / 14 * scale
    c, s = np.cos(turn), np.sin(turn)
    return points @ np.array([[c, s], [-s, c]]) + shift


def middle(points: np.ndarray, eye: range) -> tuple[int, int]:
    x, y = ((points[list(eye)].mean(0) + 1) / 2 * SIZE).astype(int)
    return int(y), int(x)


def plain(level: int) -> np.ndarray:
    return np.full((SIZE, SIZE, 3), level, np.uint8)


def test_the_eyes_come_from_one_picture_and_all_else_from_the_other():
    points = face()
    out = swap_eyes(plain(200), plain(50), points, points)
    for eye in EYES:
        assert (out[middle(points, eye)] == 200).all()
    patch = sum(eye_patch(points, eye, SIZE) for eye in EYES)
    assert (out[patch == 0] == 50).all() and 0.01 < (patch > 0.5).mean() < 0.15
    brow = ((points[19] + 1) / 2 * SIZE).astype(int)
    assert patch[brow[1], brow[0]] < 0.3, "brows are left alone"


def test_a_face_with_its_own_eyes_is_itself():
    picture = np.random.default_rng(0).integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)
    assert np.abs(swap_eyes(picture, picture, face(), face()).astype(int) - picture).max() <= 1


def test_corners_meet_corners_however_the_face_lies():
    one, other = face(), face(0.1, 0.8, 0.4)
    for eye in EYES:
        for mirror in (False, True):
            matrix = corner_transform(one, other, eye, SIZE, mirror)
            source, target = ((p[[eye[0], eye[3]]] + 1) / 2 * SIZE for p in (one, other))
            moved = source @ matrix[:, :2].T + matrix[:, 2]
            np.testing.assert_allclose(moved, target[::-1] if mirror else target, atol=1e-6)
            assert np.sign(np.linalg.det(matrix[:, :2])) == (-1 if mirror else 1)


def test_a_mirrored_eye_keeps_its_height_and_looks_to_the_other_side():
    points, picture = face(), plain(0)
    y, x = middle(points, EYES[0])
    picture[y - 1 : y + 2, x + 2 : x + 5] = 255  # an iris right of the middle
    out = swap_eyes(picture, picture, points, points, mirror=True)[..., 0].astype(float)
    around = out[y - 12 : y + 13, x - 12 : x + 13]
    rows, columns = np.mgrid[-12:13, -12:13]
    assert (around * columns).sum() / around.sum() < -1.5 and abs((around * rows).sum() / around.sum()) < 1.5
