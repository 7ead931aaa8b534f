"""Layers of eyes: skin without eye and lashes, the lash line with its cover, and what they are in odd photos."""

import cv2
import numpy as np
import pytest
import torch

from tests.compact.drawn_face import drawn_eyes, drawn_face, nothing_seen
from thgen.compact.eye_patch import Patch, cut_patch, cut_patches, lash_ends, with_true_margins
from thgen.compact.lid_layers import (
    cheek_grain,
    closed_line,
    cut_eyes,
    edge_width,
    lash_line,
    lid_light,
    without_crease,
    without_lashes,
)  # fmt: skip

SIZE = 256
SKIN = np.array([220, 170, 140]) / 255


def patch_of(crop=None, points=None) -> Patch:
    drawn = drawn_face()
    crop, points = drawn[0] if crop is None else crop, drawn[1] if points is None else points
    return with_true_margins(cut_patch(crop, (points + 1) / 2 * SIZE, 1, 80, nothing_seen()))


def above(patch, low, high):
    """Mask [H W]: between two heights above the margin, in px, in the middle of the eye."""
    columns = np.zeros(patch.image.shape[1], bool)
    columns[patch.inside.start + 15 : patch.inside.stop - 15] = True
    height = patch.upper - patch.rows
    return (height > low) & (height < high) & columns


def test_skin_has_neither_single_lashes_nor_crease():
    crop, points = drawn_face()
    for x in range(78, 104, 5):
        cv2.line(crop, (x, 111), (x, 103), (30, 20, 20), 1)
    cv2.line(crop, (72, 100), (108, 100), (120, 80, 60), 1)
    patch = patch_of(crop, points)
    ends = lash_ends(patch)
    skin = without_lashes(patch)
    flat = without_crease(patch, skin, ends)
    strip = above(patch, ends.max(), ends.max() + 8)
    error = [float(np.abs(x - SKIN).max(2)[strip].mean()) for x in (patch.image, skin, flat)]
    assert error[1] < 0.6 * error[0] and error[2] < 0.1
    crease = above(patch, ends.max() + 8, ends.max() + 30)
    assert np.abs(flat - SKIN).max(2)[crease].max() < 0.25 < np.abs(skin - SKIN).max(2)[crease].max()


def test_the_lash_line_covers_the_lashes_alone():
    patch = patch_of()
    ends = lash_ends(patch)
    layer = lash_line(patch, without_crease(patch, without_lashes(patch), ends), ends)
    cover, colour = layer[..., 3], layer[..., :3] / np.maximum(layer[..., 3:], 1e-3)
    lashes = above(patch, -4, -1)  # of 5 px, below the edge of the skin
    assert cover[lashes].mean() > 0.6 and colour[lashes & (cover > 0.5)].mean() < 0.35
    assert cover[above(patch, ends.max() + 6, 99)].max() < 0.05
    assert cover[above(patch, -99, -0.3 * patch.height)].max() == 0, "the eye itself is not a lash"
    assert (layer >= 0).all() and (layer[..., :3] <= layer[..., 3:] + 1e-6).all()


def test_a_dark_iris_is_no_lash_line():
    crop, points = drawn_face()
    cv2.circle(crop, (90, 120), 7, (20, 15, 10), -1)
    eyes = [patch_of(), patch_of(crop, points)]
    ends = [lash_ends(patch) for patch in eyes]
    plain, iris = (
        lash_line(p, without_crease(p, without_lashes(p), e), e)[..., 3] for p, e in zip(eyes, ends, strict=True)
    )
    middle = slice(
        (eyes[0].inside.start + eyes[0].inside.stop) // 2 - 6, (eyes[0].inside.start + eyes[0].inside.stop) // 2 + 6
    )
    assert iris[:, middle].sum() < 1.6 * plain[:, middle].sum()


def test_closed_lids_meet_near_the_lower_margin():
    patch = patch_of()
    line = closed_line(patch)
    middle = (patch.inside.start + patch.inside.stop) // 2
    assert patch.upper[middle] < line[middle] and abs(line[middle] - patch.lower[middle]) < 0.15 * patch.height
    assert (line >= patch.upper).all() and abs(line[0] - patch.lower[0]) < 1


def test_a_smiling_eye_closes_downwards_too():
    points = drawn_face()[1].copy()
    points[[40, 41], 1] = points[36, 1] - 2 / 128  # the lower margin arches upwards
    patch = patch_of(points=points)
    assert (closed_line(patch) >= patch.upper).all() and np.ptp(closed_line(patch)) < patch.height


def test_a_lid_in_the_shadow_of_the_brow_gets_light_of_the_cheek():
    patch = patch_of()
    flat, end = np.ones_like(patch.image) * SKIN, patch.upper - 8
    dark = flat * 0.5
    assert np.allclose(lid_light(patch, flat, end, 2.0)[:, patch.inside], 1, atol=0.03)
    trusted, narrow = (lid_light(patch, dark, end, stretch)[:, patch.inside].mean() for stretch in (2.0, 6.0))
    assert 1.1 < trusted < narrow < 2 * 0.9


def test_grain_and_sharpness_are_those_of_the_photo():
    crop, points = drawn_face()
    noisy = (crop + np.random.default_rng(0).normal(0, 6, crop.shape)).clip(0, 255).astype(np.uint8)
    assert cheek_grain(patch_of(noisy, points)).std() > 3 * cheek_grain(patch_of(crop, points)).std()
    blurred = cv2.GaussianBlur(crop, (0, 0), 3.0)
    assert edge_width(patch_of(blurred, points)) > 1.2 * edge_width(patch_of(crop, points))


def test_layers_have_their_shapes_and_expand():
    layers = drawn_eyes()
    h, w = layers.front.shape[-2:]
    assert layers.skin.shape == (1, 2, 6, h, w) and layers.lashes.shape == (1, 2, 5, h, w)
    assert layers.curves.shape == (1, 2, 9, w) and layers.matrix.shape == (1, 2, 2, 3) and layers.edge.shape == (1, 2)
    assert layers.expand(3).skin.shape == (3, 2, 6, h, w)
    anchor, end, margin, line, covered = layers.curves[0, :, :5].unbind(1)
    assert (anchor < end).all() and (end < margin).all() and (margin <= line + 1e-5).all() and covered.max() < 1


def test_the_matrix_leads_to_the_middle_of_the_eye():
    layers, points = drawn_eyes(), torch.from_numpy(drawn_face()[1]).float()
    for eye, ring in enumerate((slice(42, 48), slice(36, 42))):
        middle = layers.matrix[0, eye] @ torch.cat([points[ring].mean(0), torch.ones(1)])
        colour = torch.nn.functional.grid_sample(
            layers.skin[:, eye, :3], middle.reshape(1, 1, 1, 2), align_corners=False
        )
        assert colour.min() > 0.9, "the white of the eye"


def test_margins_are_lifted_to_where_the_photo_shows_them():
    crop, points = drawn_face()
    low = points.copy()
    low[[37, 38, 43, 44], 1] += 0.3 * 16 / 128
    (right, wrong) = (cut_eyes(cut_patches(crop, x, nothing_seen()), len(crop))[1] for x in (points, low))
    assert (wrong > right + 0.15).all()


@pytest.mark.parametrize("kind", ["black", "noise", "tiny", "outside", "flat", "profile"])
def test_no_photo_breaks_it(kind):
    crop, points = drawn_face()
    if kind == "black":
        crop = crop * 0
    elif kind == "noise":
        crop = np.random.default_rng(0).integers(0, 255, crop.shape, dtype=np.uint8)
    elif kind == "tiny":
        points = points * 0.02
    elif kind == "outside":
        points = points + 1.5
    elif kind == "flat":
        points[36:48, 1] = points[36, 1]
    else:
        points[36:42, 0] = points[36, 0]
    layers, lift = cut_eyes(cut_patches(crop, points, nothing_seen()), len(crop))
    assert all(torch.isfinite(getattr(layers, name)).all() for name in layers.__dataclass_fields__)
    assert np.isfinite(lift).all() and np.abs(lift).max() < 1
