"""The alignment with which PD-FGC's weights were trained."""

import cv2
import numpy as np
import pytest

from thgen.face_parts.geometry import similarity
from thgen.methods.pd_fgc.align import TEMPLATE, Aligner, anchors

SHOWN = np.array([[82.8, 68.8], [141.2, 68.8], [112.0, 140.0]])  # design notes 1.2, in the frame that networks see


def face(scale: float = 1.0, turn: float = 0.0, shift: tuple[float, float] = (0, 0), mouth: float = 0.0) -> np.ndarray:
    """Landmarks [68 2] in pixels whose anchors are the template's, moved by the arguments."""
    points = np.zeros((68, 2))
    points[36:42], points[42:48], points[60:68] = TEMPLATE + np.array([[0, 0], [0, 0], [0, mouth]])
    points[36:42] += np.array([[-3, 0], [3, 0], [0, 2], [0, -2], [1, 1], [-1, -1]])
    c, s = np.cos(turn) * scale, np.sin(turn) * scale
    return points @ np.array([[c, s], [-s, c]]) + shift


def test_anchors_are_the_middles_of_eyes_and_mouth():
    np.testing.assert_allclose(anchors(face()[None])[0], TEMPLATE)


def test_a_similarity_is_found_exactly_and_fits_what_is_none():
    points = np.random.default_rng(0).normal(size=(5, 2))
    matrix = np.array([[0.6, -0.8, 3.0], [0.8, 0.6, -1.0]]) * [[2, 2, 1], [2, 2, 1]]
    np.testing.assert_allclose(similarity(points, points @ matrix[:, :2].T + matrix[:, 2]), matrix, atol=1e-9)
    fitted = similarity(points, points * [1.0, 1.2])
    assert fitted[0, 0] == fitted[1, 1] and fitted[0, 1] == -fitted[1, 0]


@pytest.mark.parametrize("place", [{}, {"scale": 2.5, "turn": 0.4, "shift": (90, -20)}])
def test_anchors_come_to_lie_on_the_template_after_the_cut(place):
    points = face(**place)
    _, matrix = Aligner(points[None]).align(np.zeros((600, 700, 3), np.uint8), points)
    moved = anchors(points[None])[0] @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(moved, SHOWN, atol=0.15)  # given to a tenth there, from edges in place of middles


def test_the_matrix_says_where_pixels_go():
    picture = np.zeros((300, 300, 3), np.uint8)
    points = face(1.1, 0.2, (20, 15))
    cv2.circle(picture, (150, 140), 3, (255, 255, 255), -1)
    shown, matrix = Aligner(points[None]).align(picture, points)
    weight = shown[..., 0].astype(float)
    centre = [(weight * grid).sum() / weight.sum() for grid in np.mgrid[:224, :224][::-1]]
    np.testing.assert_allclose(centre, matrix @ [150, 140, 1], atol=0.1)
    assert shown.shape == (224, 224, 3)


def test_rotation_and_scale_are_the_clips_and_the_mouth_is_pinned():
    clip = np.stack([face(mouth=m) for m in (0.0, 10.0, 10.0, 10.0)])
    aligner = Aligner(clip)
    biases = []
    for points in clip:
        matrix = aligner.transform(points)
        np.testing.assert_allclose(matrix[:, :2], aligner.matrix[:, :2])
        mouth = points[60:68].mean(0)
        biases.append(120 - (matrix @ [*mouth, 1])[1])
    assert biases[0] == pytest.approx(0), "the first frame is not smoothed"
    # A jump of 10 px is followed by 80 %, then by 80 % of what is left.
    scale = aligner.matrix[0, 0]
    np.testing.assert_allclose(biases[1:], [-10 * scale * k for k in (0.2, 0.04, 0.008)], atol=1e-6)
