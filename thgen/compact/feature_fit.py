"""Keypoints of a photo's brows, moved to where the photo shows them.

The analyser was trained on renders. On photos it sees brows a third of their height above the lids too high. A flow
that moves those keypoints then moves the brows of the picture by less. (Lips were searched likewise, for the line
between them and for their corners. Mouths then followed worse: 0.74 instead of 0.85 of a real clip's openings.)
A brow is a dark band. It is searched near the keypoints: two numbers say how far the ends of the line through the
keypoints are moved, and the line with the strongest band wins.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np

from thgen.compact.keypoint_rig import BROWS, EYE_RINGS

SMALLEST = 4.0  # px: width of an eye above which a brow is searched
COLUMNS = 33  # places along a line at which it is compared with the picture
SIDE = 2.0  # a band is compared with what lies this many of its half-heights beside it
SMOOTH = 0.5  # px: blur of the picture before it is sampled

LEAST_BROW = 0.3  # length of a brow, in widths of its eye, at least

# Brows. The unit is the height from the lid's upper margin to the brow by the landmarks.
BROW_BANDS = (0.07, 0.12, 0.18)  # half-heights of a brow
BROW_OFFSETS = np.linspace(-0.1, 0.5, 13)  # how far the inner and the outer end lie lower than the landmarks
BROW_LIKELY, BROW_SPREAD = 0.25, 0.3  # where they usually are on photos, and how far from there they may be
BROW_CERTAIN = (0.01, 0.03)  # contrast from which a band counts as a brow, and fully
BROW_ABOVE = 1.0  # the forehead follows up to about this far above the brow
BROW_BESIDE = 0.3  # of the brow's length: what lies beside it follows up to about this far

EFFORT = 0.02  # contrast that a line must gain to lie one spread from where it is likely


@dataclass(frozen=True)
class Frame:
    """Coordinates along a line and down from it. origin [2] px; along, down [2]: px per unit of each."""

    origin: np.ndarray
    along: np.ndarray
    down: np.ndarray

    @staticmethod
    def between(first: np.ndarray, last: np.ndarray, height: float) -> Frame:
        """0 to 1 from `first` to `last` [2]; one unit down is `height` px at right angles."""
        along = last - first
        normal = np.array([-along[1], along[0]]) / max(float(np.linalg.norm(along)), 1e-6)
        return Frame(first, along, normal * height * np.sign(along[0] or 1.0))

    def to(self, points: np.ndarray) -> np.ndarray:
        """Pixels [n 2] -> coordinates [n 2]."""
        return np.asarray(np.linalg.solve(np.stack([self.along, self.down], 1), (points - self.origin).T).T)

    def pixels(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Coordinates of one shape -> pixels [... 2]."""
        return np.asarray(self.origin + u[..., None] * self.along + v[..., None] * self.down)


def fit_features(crop: np.ndarray, keypoints: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """Keypoints [K 3] in crop coordinates whose brows lie where the crop shows them.

    crop: uint8 RGB [S S 3]. skin: bool [K], keypoints that may move.
    """
    size = crop.shape[0]
    grey = cv2.GaussianBlur(crop, (0, 0), SMOOTH).astype(np.float32).mean(2) / 255
    points = (keypoints[:, :2] + 1) * (size / 2)
    moved = points.copy()
    for side in range(2):
        moved += _brow_shift(grey, points, side) * skin[:, None]
    out = keypoints.copy()
    out[:, :2] += (moved - points) * (2 / size)
    return out.astype(keypoints.dtype)


def bands(grey: np.ndarray, frame: Frame, u: np.ndarray, v: np.ndarray, halves: tuple[float, ...]) -> np.ndarray:
    """How much darker than both of its sides the picture is at places [n m] of a frame, as a share of white; [n m].

    halves: half-heights of the band; the best counts. What is darker than one side only is an edge and no band.
    """

    def mean(low: float, high: float) -> np.ndarray:
        places = [frame.pixels(u, v + low + (high - low) * t) - 0.5 for t in (0.1, 0.5, 0.9)]
        maps = [np.ascontiguousarray(np.moveaxis(p, -1, 0), np.float32) for p in places]
        return np.mean(
            [cv2.remap(grey, m[0], m[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for m in maps], 0
        )

    best = [np.minimum(mean(-(1 + SIDE) * h, -SIDE * h), mean(SIDE * h, (1 + SIDE) * h)) - mean(-h, h) for h in halves]
    return np.asarray(np.max(best, 0))


def best_line(
    contrast: np.ndarray, rows: np.ndarray, shapes: np.ndarray, weights: np.ndarray, likely: float, usual: float
) -> tuple[np.ndarray, float]:
    """The offsets [n] of the line with most contrast, and its contrast.

    contrast [R C] at offsets `rows` [R], ascending. shapes [n C]: offset of the line at each place per offset of its
    ends. weights [M n]: the offsets to be tried. likely, usual: see EFFORT.
    """
    lines = weights @ shapes
    at = np.clip((lines - rows[0]) / (rows[1] - rows[0]), 0, len(rows) - 1.001)
    low, column = at.astype(int), np.arange(contrast.shape[1])
    share = at - low
    found = (contrast[low, column] * (1 - share) + contrast[low + 1, column] * share).mean(1)
    effort = EFFORT * (((weights - likely) / usual) ** 2).mean(1)
    number = int((found - effort).argmax())
    return weights[number], float(found[number])


def _brow_shift(grey: np.ndarray, points: np.ndarray, side: int) -> np.ndarray:
    """Displacement [K 2] px that brings one brow (0 = the subject's left) to where the picture shows it."""
    brow, ring = points[list(BROWS[side])], points[list(EYE_RINGS[side])]
    brow = brow[np.argsort(brow[:, 0])]
    first, last = sorted((ring[0], ring[3]), key=lambda p: float(p[0]))
    if np.linalg.norm(last - first) < SMALLEST:
        return np.zeros_like(points)
    across = Frame.between(first, last, 1.0)
    height = float(across.to(ring[1:3])[:, 1].mean() - across.to(brow)[:, 1].mean())
    length = float(np.ptp(across.to(brow)[:, 0]))
    if height < 1 or length < LEAST_BROW:  # the brow lies on the eye, or is seen from its end
        return np.zeros_like(points)
    frame = Frame(brow[0], across.along * length, across.down * height)
    u, v = frame.to(brow).T
    places = np.linspace(0, 1, COLUMNS)
    line = np.interp(places, u, v)
    rows = np.linspace(BROW_OFFSETS[0], BROW_OFFSETS[-1], 4 * len(BROW_OFFSETS) - 3)
    grid_u, grid_v = np.broadcast_arrays(places[None], line[None] + rows[:, None])
    contrast = bands(grey, frame, grid_u, grid_v, BROW_BANDS)
    weights = np.array(list(product(BROW_OFFSETS, repeat=2)))
    ends, found = best_line(contrast, rows, np.stack([1 - places, places]), weights, BROW_LIKELY, BROW_SPREAD)
    certain = float(np.interp(found, BROW_CERTAIN, (0.0, 1.0)))
    at = frame.to(points)
    away = at[:, 1] - np.interp(at[:, 0], u, v)  # below the brow's line, in heights
    near = np.where(away > 0, 1 - away, np.exp(-((away / BROW_ABOVE) ** 2))).clip(0, 1)
    beside = np.maximum(-at[:, 0], at[:, 0] - 1).clip(0)
    near = near * np.exp(-((beside / BROW_BESIDE) ** 2))
    ends = certain * ends + (1 - certain) * BROW_LIKELY  # a faint brow lies where brows usually lie
    down = (ends[0] + (ends[1] - ends[0]) * at[:, 0].clip(0, 1)) * near
    return np.asarray(down[:, None] * frame.down)
