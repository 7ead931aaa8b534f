"""Layers of the eyes of a photo for a changed gaze, cut once: the eyeball without iris, and the disk of the iris.

Each eye has a patch: a picture that is turned so that the corners of the eye lie in one row; see `eye_patch`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from thgen.compact.eye_patch import Patch
from thgen.compact.flow.irises import IrisLayers, compose_eye, looking, squash

GREY = np.array([0.299, 0.587, 0.114], np.float32)
RADIUS_FROM_RING = 0.92  # radius of an iris relative to that of its keypoints
RADII = (0.72, 1.35)  # range of the searched radius, relative to the expected one
SAME = (0.9, 1.11)  # the same, once the size of the irises is known
AWAY = 0.75  # radii: the centre is searched this far from the expected one
ANGLES = 64  # directions in which the rim is looked for
# Radii whose brightness is compared, with their share: just inside and outside the rim, and well inside and outside.
RIMS = ((0.7, (0.88, 1.12)), (0.3, (0.6, 1.28)))
IRIS_LEVEL = 65  # percentile of the brightness in the expected iris that counts as its brightness
FAINT = 0.2  # contrast of iris and white, relative to the white, below which only the pupil may be dark
STRAY = 0.16  # cost of a centre one radius away from the expected one, in parts of the contrast of the eye
STRANGE = 0.5  # cost of a radius twice as large as the expected one
UNSURE = 0.18  # heights below the upper margin in which the rim does not count
SOFT = (0.025, 0.05, 0.08, 0.11)  # tried widths of the soft rim (of a logistic function), in radii
CLEAR = 0.12  # step at the rim, in parts of the contrast of the eye, from which it is refined
LASH, EDGE = 0.08, 0.06  # heights: the eyeball begins so far below the upper margin, and so softly
WHITE_LEVEL = 80  # percentile of the brightness beside the iris that counts as white
WHITE = (0.42, 0.68)  # brightness relative to it from which a place begins to count as white, and does
LEAST_WHITE = 0.25  # area of visible white, in areas of the disk, from which its own colour is trusted
SHADOW, SHADOW_REACH = 0.3, 0.35  # darkness of the upper lid's shadow if it cannot be measured; its reach in heights
LID_SHADOW, LID_SHADOW_REACH = 0.3, 0.24  # the same for the white that the iris hid
RINGS = 16  # rings of an iris, in each of which what lids hide is like what they leave free
HIGHLIGHT = (0.06, 0.16)  # brighter than its ring by this much: begins to count as highlight, and does
SHINY = (0.55, 0.8)  # brightness relative to the white of the eye: the same
LEAST_SHARE = 0.25  # cover of the soft rim from which its colour is computed as a mixture with the white
MIRRORED = 0.4  # share of the structure that the hidden part takes from its mirror image
# How far the centre of the iris may leave the opening of the lids, in radii: sideways, up, down. Negative: stay inside.
BEYOND = (0.15, 0.2, 0.3)
ROUND = 0.04  # an outline that is narrower than a circle by less than this is searched as a circle
CLOSED = 0.16  # heights of the opening, in widths of the eye, below which an eye counts as closed


@dataclass(frozen=True)
class Disk:
    """The iris in a patch. centre [2] px (edge to edge), radius px, squash [2 2]: unit circle -> outline / radius."""

    centre: np.ndarray
    radius: float
    squash: np.ndarray

    def distance(self, shape: tuple[int, ...]) -> np.ndarray:
        """Distance of each px [H W] from the centre, 1 on the rim."""
        y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
        away = np.stack([x - self.centre[0], y - self.centre[1]], -1) @ np.linalg.inv(self.squash).T
        return np.linalg.norm(away, axis=-1) / self.radius


def paleness(image: np.ndarray, free: np.ndarray) -> np.ndarray:
    """The darkest channel [H W] of an image [H W 3], relative to the white of the eye: it is bright in all channels.

    An iris is dark in at least one channel, brown ones in blue, blue ones in red. free [H W]: where the eye is sure.
    """
    inside = image[free > 0.5]
    if len(inside) < 20:
        return image.min(2)
    return (image / np.maximum(np.percentile(inside, 90, axis=0), 0.05)).min(2).astype(np.float32)


def find_iris(
    grey: np.ndarray, visible: np.ndarray, expected: Disk, radii: tuple[float, float] = RADII
) -> tuple[Disk, float]:
    """The circle with the greatest step from dark inside to bright outside, near the expected one, and this step.

    An integro-differential operator (Daugman 1993), whose rim counts only where the lids leave it free.
    grey, visible: [H W] in [0, 1]. radii: range of the radius, relative to the expected one. The step is in parts of
    the contrast of the eye.
    """
    found, step = expected, -1.0
    for _ in range(2):  # the first time what is iris and what is white is known from the expected place alone
        even = _contrast(grey, visible, found)
        if even is None:
            break
        found, step = _search(even, visible, expected, radii)
    return found, step


def _contrast(grey: np.ndarray, visible: np.ndarray, disk: Disk) -> np.ndarray | None:
    """Brightness [H W] between that of the iris (0) and that of the white (1). None if there is too little of one."""
    rho = disk.distance(grey.shape)
    inside, outside = grey[(visible > 0.5) & (rho < 0.85)], grey[(visible > 0.5) & (rho > 1.1)]
    if inside.size < 20 or outside.size < 20:
        return None
    # What is darker than most of the iris is as dark as the iris: the rim of the pupil must not count.
    low, high = float(np.percentile(inside, IRIS_LEVEL)), float(np.percentile(outside, 85))
    if high - low < FAINT * high:
        low = float(np.percentile(inside, 20))
    even = np.clip((grey - low) / max(high - low, 0.02), 0, 1.1).astype(np.float32)
    return cv2.GaussianBlur(even, (0, 0), 0.06 * disk.radius)


def _search(even: np.ndarray, visible: np.ndarray, expected: Disk, radii: tuple[float, float]) -> tuple[Disk, float]:
    """The best circle and its step; see `find_iris`. even: see `_contrast`."""
    phi = (np.arange(ANGLES) + 0.5) * 2 * np.pi / ANGLES
    circle = np.stack([np.cos(phi), np.sin(phi)], -1) @ expected.squash.T
    sides = np.stack([np.clip(-np.cos(phi), 0, 1), np.clip(np.cos(phi), 0, 1), 0.6 * np.clip(np.sin(phi), 0, 1)])
    best, centre, radius, reach = -np.inf, expected.centre, expected.radius, AWAY
    for spread in (0.35, 0.12, 0.04):  # from coarse to fine
        offsets = np.linspace(-reach, reach, 11) * expected.radius
        tried = np.clip(
            radius + np.linspace(-spread, spread, 7) * expected.radius, *(expected.radius * np.array(radii))
        )
        x, y, r = (v.ravel() for v in np.meshgrid(centre[0] + offsets, centre[1] + offsets, np.unique(tried)))
        score = sum(share * _step(even, visible, x, y, r, circle, sides, rim) for share, rim in RIMS)
        away = ((x - expected.centre[0]) ** 2 + (y - expected.centre[1]) ** 2) / expected.radius**2
        score = score - STRAY * away - STRANGE * np.log2(r / expected.radius) ** 2
        at = int(score.argmax())
        if score[at] > best:
            best, centre, radius = float(score[at]), np.array([x[at], y[at]]), float(r[at])
        reach *= 0.25
    return Disk(centre, radius, expected.squash), best


def _step(
    even: np.ndarray, visible: np.ndarray, x: np.ndarray, y: np.ndarray, r: np.ndarray, circle: np.ndarray,
    sides: np.ndarray, rim: tuple[float, float],
) -> np.ndarray:  # fmt: skip
    """How much brighter n circles [n] are outside than inside: the mean of left, right and bottom, and of the least."""
    (inner, free), (outer, clear) = (
        tuple(cv2.remap(v, (x[:, None] + s * r[:, None] * circle[:, 0] - 0.5).astype(np.float32),
                        (y[:, None] + s * r[:, None] * circle[:, 1] - 0.5).astype(np.float32), cv2.INTER_LINEAR)
              for v in (even, visible))
        for s in rim
    )  # fmt: skip
    weight = free * clear
    parts = [(weight * side * (outer - inner)).sum(1) / ((weight * side).sum(1) + 0.15 * side.sum()) for side in sides]
    return 0.35 * (parts[0] + parts[1]) + 0.3 * parts[2] + 0.5 * np.minimum(parts[0], parts[1])


def refine(grey: np.ndarray, visible: np.ndarray, disk: Disk) -> tuple[Disk, float]:
    """The disk whose left and right rim lie in the middle of the blurred step there, and half the width of this step.

    The width is in radii.
    """
    inside = grey[visible > 0.5]
    if inside.size < 20:
        return disk, 2 * SOFT[1]
    contrast = max(float(np.ptp(np.percentile(inside, (5, 95)))), 0.02)
    rho = np.linspace(0.7, 1.35, 40)
    ends, widths = [], []
    for middle in (np.pi, 0.0):  # left, right
        phi = middle + np.linspace(-0.9, 0.9, 24)
        circle = np.stack([np.cos(phi), np.sin(phi)], -1) @ disk.squash.T
        x, y = ((disk.centre[k] + disk.radius * rho[:, None] * circle[:, k] - 0.5).astype(np.float32) for k in (0, 1))
        values, weight = (cv2.remap(v.astype(np.float32), x, y, cv2.INTER_LINEAR) for v in (grey, visible))
        share = weight.sum(1)
        profile, known = (values * weight).sum(1) / np.maximum(share, 1e-3), np.sqrt(share * (share > 2))
        best = (np.inf, 1.0, SOFT[1], 0.0)
        for end in np.arange(0.86, 1.19, 0.02):
            for width in SOFT:
                model = np.stack([np.ones_like(rho), _sigmoid((rho - end) / width)], 1)
                solution, *_ = np.linalg.lstsq(model * known[:, None], profile * known, rcond=None)
                error = float((((model @ solution - profile) * known) ** 2).sum())
                best = min(best, (error, float(end), width, float(solution[1])))
        outside = float(share[rho > best[1] + 0.05].sum())
        if best[3] > CLEAR * contrast and outside > 40:
            ends.append((middle, best[1]))
            widths.append(best[2])
    if not ends:
        return disk, 2 * SOFT[1]
    radius, centre = disk.radius * float(np.mean([end for _, end in ends])), disk.centre.copy()
    if len(ends) == 2:
        centre[0] += disk.radius * (ends[1][1] - ends[0][1]) / 2
    return Disk(centre, radius, disk.squash), 2 * float(np.mean(widths))


def cut_irises(
    patches: Sequence[Patch], size: int, keypoints: np.ndarray, balls: Sequence[np.ndarray], rotation: np.ndarray,
    gaze: np.ndarray,
) -> IrisLayers:  # fmt: skip
    """Layers of both eyes of a photo.

    patches: of both eyes, with true margins. size: of the crop, px. keypoints: [K 2+] in crop coordinates. balls:
    numbers of the keypoints on each iris, the pupil first. rotation [3 3]: of the head. gaze [2 2]: degrees.
    """
    points = (np.asarray(keypoints, np.float64)[:, :2] + 1) / 2 * size
    axes = [_axes(patch.matrix) @ rotation for patch in patches]
    views = [
        view(patch, points[ball] @ patch.matrix[:, :2].T + patch.matrix[:, 2], turn, look)
        for patch, ball, turn, look in zip(patches, balls, axes, gaze, strict=True)
    ]
    # Both eyes have irises of one size; the clearer one says more about it.
    found = [eye.find(1.0, RADII) for eye in views]
    trust = np.array([max(score, 0.02) ** 2 for _, score in found])
    sizes = np.array([disk.radius / eye.expected[0].radius for (disk, _), eye in zip(found, views, strict=True)])
    common = float(np.exp((trust * np.log(sizes)).sum() / trust.sum()))
    cut = [
        (
            patch.from_crop(size),
            *_cut_iris(eye, *refine(eye.pale, eye.free, eye.find(common, SAME)[0])),
            turn,
            look,
        )
        for patch, eye, turn, look in zip(patches, views, axes, gaze, strict=True)
    ]
    return IrisLayers(*(torch.from_numpy(np.stack(part)[None].astype(np.float32)) for part in zip(*cut, strict=True)))


def _axes(matrix: np.ndarray) -> np.ndarray:
    """Head axes (y up) -> axes of a patch (y down) [3 3]. matrix [2 3]: crop px -> patch px."""
    turn = np.eye(3)
    turn[:2, :2] = matrix[:, :2] / np.linalg.norm(matrix[0, :2])
    return turn @ np.diag([1.0, -1.0, 1.0])


@dataclass(frozen=True)
class View:
    """An eye before its iris is cut. free [H W]: where the rim of an iris counts, 0 or 1. pale [H W]: see `paleness`.

    expected: the iris by its keypoints, with the outline that the gaze gives, and as a circle.
    """

    patch: Patch
    free: np.ndarray
    pale: np.ndarray
    expected: tuple[Disk, Disk]

    def find(self, larger: float, radii: tuple[float, float]) -> tuple[Disk, float]:
        """`find_iris` with `larger` times the expected radius. The gaze, which gives the outline, may be wrong."""
        tried = [Disk(disk.centre, larger * disk.radius, disk.squash) for disk in self.expected]
        if np.abs(tried[0].squash - tried[1].squash).max() < ROUND:
            tried = tried[1:]
        return max((find_iris(self.pale, self.free, disk, radii) for disk in tried), key=lambda pair: pair[1])


def view(patch: Patch, ball: np.ndarray, axes: np.ndarray, gaze: np.ndarray) -> View:
    """One eye. ball [n 2]: keypoints of the iris, px, the pupil first. axes [3 3], gaze [2]: see `IrisLayers`."""
    free = ((patch.rows > patch.upper + UNSURE * patch.height) & (patch.rows < patch.lower)).astype(np.float32)
    free[:, : patch.inside.start] = free[:, patch.inside.stop :] = 0
    normal = looking(*(torch.from_numpy(np.asarray(x, np.float32))[None] for x in (axes, gaze)))
    radius = RADIUS_FROM_RING * float(np.sqrt(((ball[1:] - ball[1:].mean(0)) ** 2).sum(1).max()))
    turned, round_ = (Disk(ball.mean(0), radius, shape) for shape in (squash(normal)[0].numpy(), np.eye(2)))
    return View(patch, free, paleness(patch.image.clip(0, 1), free), (turned, round_))


def _cut_iris(seen: View, disk: Disk, soft: float) -> tuple[np.ndarray, ...]:
    """white, disk, glint, rest, cover, place of one eye; see `IrisLayers`. soft: half-width of the rim, radii."""
    patch, image, pale = seen.patch, seen.patch.image.clip(0, 1), seen.pale
    inside, upper, lower, height, y = patch.inside, patch.upper, patch.lower, patch.height, patch.rows
    column = np.zeros(image.shape[1], np.float32)
    column[inside] = 1
    rho = disk.distance(image.shape)
    alpha = _smooth(rho, 1 + 1.3 * soft, 1 - 0.7 * soft)
    edge = EDGE * height + 0.5
    within = _sigmoid((y - upper - LASH * height) / edge * 2) * _sigmoid((lower - y) / edge * 2) * column
    within = within * (1 - patch.front)
    beside = within * _smooth(rho, 1 + soft, 1 + 2 * soft)
    grey = image @ GREY
    level = _percentile(grey, beside, WHITE_LEVEL)
    palest = _percentile(pale, beside, WHITE_LEVEL)
    bright = within * _smooth(pale / max(palest, 0.02), *WHITE)
    above = np.clip((y - upper) / height, 0, 2)
    light = _light(grey, bright * beside, above)
    iris = _colour(image, (rho < 0.9) * within)
    whitest = _colour(image, bright * beside * (grey >= level))
    share = ((image / light[..., None] - iris) @ (whitest - iris)) / max(float(((whitest - iris) ** 2).sum()), 1e-3)
    whiteness = bright * beside * _smooth(share, 0.3, 0.6)
    white = _white(image, whiteness, light, disk, rho, soft, level, above)
    step = 2 * round(0.12 * height) + 1
    open_ = np.maximum(bright, rho < 1 + 1.5 * soft).astype(np.float32)
    open_ = cv2.morphologyEx(open_, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (step, step)))
    cover = cv2.GaussianBlur(open_, (0, 0), 0.012 * patch.width) * within
    colour, glint = _iris(image, cover, alpha, light, disk, rho, soft, level, white)
    layers = [np.concatenate([x, c[..., None]], 2).transpose(2, 0, 1) for x, c in ((white, light), (colour, alpha))]
    glint = glint.transpose(2, 0, 1)
    old = compose_eye(*(torch.from_numpy(x.astype(np.float32))[None] for x in (*layers, glint)))[0].numpy()
    if float((lower - upper).max()) < CLOSED * patch.width:
        cover = cover * 0
    reach = disk.radius * np.array(BEYOND)
    at = int(np.clip(disk.centre[0], inside.start, inside.stop - 1))
    x0, y0 = disk.centre
    limits = (
        min(x0, inside.start + reach[0]), max(x0, inside.stop - reach[0]),
        min(y0, upper[at] - reach[1]), max(y0, lower[at] + reach[2]),
    )  # fmt: skip
    place = np.array([x0, y0, disk.radius, *limits])
    return layers[0], layers[1], glint, image.transpose(2, 0, 1) - old, cover[None], place


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -30, 30)))


def _smooth(x: np.ndarray, start: float, full: float) -> np.ndarray:
    """0 up to `start`, 1 from `full` on; `full` may be the smaller one."""
    t = np.clip((x - start) / (full - start), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def _percentile(values: np.ndarray, weight: np.ndarray, percent: float) -> float:
    """Percentile of `values` where `weight` is above a half, or anywhere in the weight if that is nowhere."""
    chosen = values[weight > 0.5]
    return float(np.percentile(chosen if chosen.size > 8 else values, percent))


def _colour(image: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Median colour [3] where `weight` is above a half; that of the whole patch if that is nowhere."""
    chosen = image[weight > 0.5]
    return np.median(chosen if len(chosen) > 8 else image.reshape(-1, 3), axis=0)


def _light(grey: np.ndarray, whiteness: np.ndarray, above: np.ndarray) -> np.ndarray:
    """Light that the upper lid lets onto the eyeball [H W], 0 to 1: it casts a shadow on the white just below it.

    above: distance below the upper margin in heights of the opening.
    """
    near, far = (whiteness * mask for mask in (above < 0.3, (above > 0.4) & (above < 0.85)))
    depth = SHADOW
    if near.sum() > 12 and far.sum() > 12:
        ratio = float((grey * near).sum() / near.sum() / max((grey * far).sum() / far.sum(), 0.02))
        depth = float(np.clip(2 * (1 - ratio), 0.1, 0.35))
    return (1 - depth * np.exp(-((above / SHADOW_REACH) ** 2))).astype(np.float32)


def _white(
    image: np.ndarray, whiteness: np.ndarray, light: np.ndarray, disk: Disk, rho: np.ndarray, soft: float, level: float,
    above: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """The eyeball without iris [H W 3]: behind the disk, the white beside it, nearer white with more weight."""
    lit = image / light[..., None]
    total = float(whiteness.sum())
    colour = (lit * whiteness[..., None]).sum((0, 1)) / max(total, 1e-3)
    share = min(total / (LEAST_WHITE * np.pi * disk.radius**2), 1)
    skin = np.median(image.reshape(-1, 3), 0)
    pale = level * (0.5 + 0.5 * skin / max(float(skin @ GREY), 0.02))
    filled = np.ones_like(image) * (share * colour + (1 - share) * pale)
    known = np.concatenate([lit * whiteness[..., None], whiteness[..., None]], 2)
    for reach in (1.2, 0.5):
        blurred = cv2.GaussianBlur(known, (0, 0), reach * disk.radius, sigmaY=0.6 * reach * disk.radius)
        near = blurred[..., :3] / np.maximum(blurred[..., 3:], 1e-4)
        filled = filled + np.clip(6 * blurred[..., 3:], 0, 1) * share * (near - filled)
    outside = _smooth(rho, 1 + soft, 1 + 2.2 * soft)[..., None]
    light = light * (1 - LID_SHADOW * np.exp(-((above / LID_SHADOW_REACH) ** 2)))  # nothing shows how dark it is there
    return np.clip(filled * light[..., None] * (1 - outside) + image * outside, 0, 1)


def _iris(
    image: np.ndarray, cover: np.ndarray, alpha: np.ndarray, light: np.ndarray, disk: Disk, rho: np.ndarray,
    soft: float, level: float, white: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """The disk in full light without highlights, and these, each [H W 3]. What lids hide is completed."""
    lit = image / light[..., None]
    seen = cover * (alpha > 0.5)
    bins = np.linspace(0, 1, RINGS)
    rings = np.full((RINGS, 3), np.nan)
    for k, r in enumerate(bins):
        ring = (np.abs(rho - min(r, 1 - 1.2 * soft)) < 0.75 / RINGS + 0.02) & (seen > 0.6)
        if ring.sum() > 5:
            rings[k] = np.median(lit[ring], 0)
    known = ~np.isnan(rings[:, 0])
    if not known.any():
        return lit, np.zeros_like(lit)
    profile = np.stack([np.interp(rho, bins[known], rings[known, k]) for k in range(3)], -1)
    bright = (lit - profile) @ GREY
    shine = _smooth(bright, *HIGHLIGHT) * _smooth(lit @ GREY / max(level, 0.02), *SHINY)
    shine = cv2.GaussianBlur(cv2.dilate(shine * (rho < 1), np.ones((5, 5), np.uint8)), (0, 0), 1.0)
    glint = (lit - profile) * shine[..., None]
    clean = lit - glint
    rim = _smooth(rho, 1 - 1.2 * soft, 1 - 0.2 * soft)[..., None]
    share = alpha[..., None]
    own = (image - (1 - share) * white) / np.maximum(share, LEAST_SHARE) / light[..., None]
    own = np.clip(own, 0.5 * profile, 1.5 * profile)
    clean = clean + rim * (own - clean)
    x, y = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in image.shape[1::-1]))
    mirrored = (2 * disk.centre[1] - 1 - y).astype(np.float32)
    other = cv2.remap(
        np.concatenate([clean - profile, seen[..., None]], 2).astype(np.float32), x, mirrored, cv2.INTER_LINEAR
    )
    hidden = profile + MIRRORED * other[..., :3] * other[..., 3:]
    visible = _smooth(cover, 0.3, 0.9)[..., None]
    glint = glint * visible * (rho < 1)[..., None]
    return np.clip(hidden + visible * (clean - hidden), 0, 1), cv2.GaussianBlur(glint, (0, 0), 0.5)
