"""What a face does, measured on keypoints: openings, widths, irises and brows, each side apart.

Their changes within one person are what drives a clip. All are lengths in distances between the outer corners of the
eyes, along and across the line between the eyes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from thgen.encoder.tiles import CORNERS, EYE_CORNERS, rotations

Points = tuple[int, ...]


@dataclass(frozen=True)
class Measure:
    """The mean place of the points `of`, minus that of the points `over`, along one axis: 0 (x, right) or 1 (y, down).

    group: measures with one name are compared together. spread: standard deviation of its change within a clip,
    measured on the truth of 80 rendered clips. eye: 0 or 1 (left, right) where the lids may hide it.
    """

    group: str
    of: Points
    over: Points
    axis: int
    spread: float
    eye: int | None = None


PUPILS = (68, 69)  # keypoints: pupil of the left and of the right eye
LIDS = (((46, 47), (43, 44)), ((40, 41), (37, 38)))  # landmarks of left and right eye: lower lid, upper lid
MEASURES: tuple[Measure, ...] = (
    Measure("opening", (67,), (61,), 1, 0.10), Measure("opening", (66,), (62,), 1, 0.12),
    Measure("opening", (65,), (63,), 1, 0.10),
    Measure("width", (54,), (48,), 0, 0.065), Measure("width", (64,), (60,), 0, 0.065),
    Measure("corner_left", (54,), (33,), 1, 0.08), Measure("corner_right", (48,), (33,), 1, 0.08),
    Measure("lid_left", (47,), (43,), 1, 0.033), Measure("lid_left", (46,), (44,), 1, 0.033),
    Measure("lid_right", (41,), (37,), 1, 0.033), Measure("lid_right", (40,), (38,), 1, 0.033),
    Measure("iris_left_x", PUPILS[:1], EYE_CORNERS[0], 0, 0.042, 0),
    Measure("iris_left_y", PUPILS[:1], EYE_CORNERS[0], 1, 0.021, 0),
    Measure("iris_right_x", PUPILS[1:], EYE_CORNERS[1], 0, 0.042, 1),
    Measure("iris_right_y", PUPILS[1:], EYE_CORNERS[1], 1, 0.021, 1),
    Measure("brow_left", (22, 23), EYE_CORNERS[0], 1, 0.05),
    Measure("brow_left", (24, 25, 26), EYE_CORNERS[0], 1, 0.05),
    Measure("brow_right", (20, 21), EYE_CORNERS[1], 1, 0.05),
    Measure("brow_right", (17, 18, 19), EYE_CORNERS[1], 1, 0.05),
)  # fmt: skip
GROUPS = tuple(dict.fromkeys(m.group for m in MEASURES))
WIDE_OPEN = 0.05  # opening of an eye from which its iris is fully seen


def interocular(points: Tensor) -> Tensor:
    """Distance of the outer corners of the eyes, [B], of keypoints [B K 2+]."""
    return (points[:, CORNERS[1], :2] - points[:, CORNERS[0], :2]).norm(dim=1)


def aligned(points: Tensor, frame: Tensor, unit: Tensor) -> Tensor:
    """Keypoints [B K 2+] in crop coordinates -> [B K 2], upright in the frame [B 4] of a tile, in units [B]."""
    turn = rotations(frame) / frame[:, 2, None, None]
    return (points[..., :2] - frame[:, None, :2]) @ turn / unit[:, None, None]


def measured(points: Tensor) -> Tensor:
    """Values [B M] of MEASURES of `aligned` keypoints [B K 2]."""
    rows = [points[:, list(m.of), m.axis].mean(1) - points[:, list(m.over), m.axis].mean(1) for m in MEASURES]
    return torch.stack(rows, 1)


def eyes_shown(points: Tensor) -> Tensor:
    """How much of the left and the right iris `aligned` keypoints [B K 2] show, [B 2], 0 to 1, by the openings."""
    gaps = [points[:, list(low), 1].mean(1) - points[:, list(high), 1].mean(1) for low, high in LIDS]
    return (torch.stack(gaps, 1) / WIDE_OPEN).clamp(0, 1)


def shown(points: Tensor) -> Tensor:
    """How much the lids let see of what each of MEASURES compares, [B M], 0 to 1, of `aligned` keypoints [B K 2]."""
    eyes = eyes_shown(points)
    whole = torch.ones_like(eyes[:, 0])
    return torch.stack([whole if m.eye is None else eyes[:, m.eye] for m in MEASURES], 1)
