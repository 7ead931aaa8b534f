"""Patches of the eyes of a photo, and where in them the lids' margins, lashes, skin and things before the eye are.

A patch is turned so that the corners of the eye lie in one row. Heights are measured in heights of the open eye, and
widths in widths of the eye, so that all numbers hold for small, large and half-closed eyes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from thgen.compact.flow.lids import BOX, CORNERS
from thgen.compact.keypoint_rig import BROWS, EYE_RINGS, OUTLINE_STEPS, lid_curve

WIDTH = 96  # px: least width of an eye in its patch; smaller eyes are enlarged
OUTER = (3, 0)  # number of the outer corner in EYE_RINGS, left and right eye
WIDER = 1.1  # width of an eye relative to the distance of its corners' landmarks, which lie a little inside of it
EYE = 0.35  # probability from which a place belongs to an eye
# On renders the analyser's eyes reach this far beyond the outer corner, in widths. Where they reach further, the corner
# is moved, by so much at most.
USUALLY_BEYOND, MOST_BEYOND = 0.12, 0.2
FLAT_EYE = 0.1  # of an eye's width: its height at least, so that what is measured in heights does not vanish

# Margins are searched near those of the landmarks: from and to, and by steps of, in heights, away from the eye. The
# analyser was trained on renders, which have no lashes, so it sees the upper margin of photos too low.
SEARCH, STEP = (-0.15, 0.55), 0.05
UPPER_LIKELY, LOWER_LIKELY = (0.12, 0.25), (0.03, 0.15)  # where a margin is expected there, and the usual error
SKEW = 0.3  # heights: both thirds of a margin differ by so much at most
WINDOW = 0.1  # heights: the colours above and below a margin are means over this much

# Hair and worn things lie before the lids. Their probability from which they begin to count, and count fully.
FRONT = (0.35, 0.65)
# The same for thin rims of glasses, which the analyser sees only faintly; and their difference from the cheek's colour,
# as a share of its brightness.
FAINT, STRANGE = (0.05, 0.12), (0.5, 0.65)
ABOVE, BELOW = 0.22, 0.25  # heights: this near to the landmarks' margins, what is dark is lashes and no rim
HIDDEN = 0.3  # part of a group of columns that is before the skin: from here on no skin is seen there
RIM_NEAR = 0.1  # widths: a rim may lie this far from where the analyser sees it

COLUMNS = 7  # groups of columns, for each of which lashes and skin are measured
LASH_REACH = 0.5  # heights above the margin: lashes end here at the latest
SHORTEST = 0.06  # heights: lashes end here at the soonest
FALL = 0.2  # share of its brightness above the lashes that skin loses where the crease begins
STRIP_BRIGHT = 0.2  # contrast to the lashes that the strip below a crease has at least, as a share of all skin's
RECOVERED = 0.65  # share of that contrast at which lashes end
FAINTEST = 0.03  # of white: with less contrast there are no lashes
HAIR_DARKER = 0.2  # skin that is darker by this share than skin below it belongs to the brow
HAIR_MARGIN = 0.1  # heights: skin ends this far below the brow
LEAST_STRIP = 0.2  # heights: of skin above the lashes at least; a narrower one is not enough to make a lid of
CHEEK = (0.3, 0.6)  # heights below the lower margin: there the cheek shows the colour of skin


@dataclass(frozen=True)
class Seen:
    """What the analyser sees in a crop: probabilities, float32 [S S] in [0, 1], of hair or the background beside a head
    that is turned away, of something worn, and of an eye."""

    hair: np.ndarray
    worn: np.ndarray
    eyes: np.ndarray

    @staticmethod
    def of(size: int, hair: np.ndarray, worn: np.ndarray, eyes: np.ndarray) -> Seen:
        """From maps [H W] of any size, for a crop of `size` px."""
        return Seen(*(cv2.resize(x.astype(np.float32), (size, size)) for x in (hair, worn, eyes)))


@dataclass(frozen=True)
class Patch:
    """One eye. image: float32 RGB [H W 3] in [0, 1]; matrix [2 3]: crop px -> patch px, edge to edge.

    upper, lower [W]: rows of both margins, and of the corners beside the eye. brow: row of the brow by the landmarks.
    inside: the columns between the corners. front [H W]: how much hair or something worn lies before it, 0 to 1.
    """

    image: np.ndarray
    matrix: np.ndarray
    upper: np.ndarray
    lower: np.ndarray
    brow: float
    inside: slice
    front: np.ndarray

    @property
    def width(self) -> int:
        return self.inside.stop - self.inside.start

    @property
    def scale(self) -> float:
        """Px of the patch per px of the crop."""
        return float(np.linalg.norm(self.matrix[0, :2]))

    def from_crop(self, size: int) -> np.ndarray:
        """Coordinates of a crop of size px -> coordinates of the patch, -1 to 1, [2 3]."""
        rows, columns = self.image.shape[:2]
        matrix = np.concatenate([self.matrix[:, :2], (self.matrix @ [1, 1, 2 / size])[:, None]], 1)
        return np.asarray(matrix * size / 2 * np.array([[2 / columns], [2 / rows]]) - np.array([0, 0, 1]))

    @cached_property
    def height(self) -> float:
        return max(float((self.lower - self.upper).max()), FLAT_EYE * self.width)

    @cached_property
    def rows(self) -> np.ndarray:
        """Rows of the centres of all px, [H 1]."""
        return np.arange(self.image.shape[0])[:, None] + 0.5

    @cached_property
    def grey(self) -> np.ndarray:
        """Mean of the colours [H W]."""
        return self.image.mean(2)

    def beside(self, reach: float) -> np.ndarray:
        """Weight of columns [W]: 1 inside of the eye, softly less up to `reach` widths beside it; 0 at the border."""
        columns = np.arange(self.image.shape[1]) + 0.5
        away = np.maximum(self.inside.start - columns, columns - self.inside.stop).clip(0)
        near = np.clip(1 - away / (reach * self.width), 0, 1)
        near[[0, -1]] = 0
        return near * near * (3 - 2 * near)


def cut_patches(image: np.ndarray, landmarks: np.ndarray, seen: Seen) -> list[tuple[Patch, Patch]]:
    """Patches of the left and the right eye: with the margins of the landmarks, and with those that the photo shows.

    image: uint8 RGB [S S 3]. landmarks: [68 2+] in crop coordinates.
    """
    points = (np.asarray(landmarks, np.float64)[:, :2] + 1) / 2 * image.shape[0]
    width = max(WIDTH, *(round(float(np.linalg.norm(points[r[3]] - points[r[0]]))) for r in EYE_RINGS))
    rough = [cut_patch(image, points, eye, width, seen) for eye in (0, 1)]
    return [(patch, with_true_margins(patch)) for patch in rough]


def cut_patch(image: np.ndarray, points: np.ndarray, eye: int, width: int, seen: Seen) -> Patch:
    """Patch of an eye (0 = the subject's left), with the margins of the landmarks.

    image: uint8 [S S 3]; points [68 2] px; width: px between the corners' landmarks in the patch.
    """
    ring = points[list(EYE_RINGS[eye])]
    across = ring[3] - ring[0]
    along = width * across / max(float(across @ across), 1.0)
    turn = np.array([along, [-along[1], along[0]]])
    rows, columns = round(BOX[1] * width), round(BOX[0] * width)
    corner = np.array([(columns - width) / 2, CORNERS * rows])
    matrix = np.concatenate([turn, (corner - turn @ ring[0])[:, None]], 1)

    def cut(picture: np.ndarray, flags: int = cv2.INTER_LINEAR) -> np.ndarray:
        shifted = matrix.copy()  # OpenCV's px have their centres at whole numbers
        shifted[:, 2] += turn.sum(1) / 2 - 0.5
        return cv2.warpAffine(picture, shifted, (columns, rows), flags=flags, borderMode=cv2.BORDER_REPLICATE)

    ring = ring @ turn.T + matrix[:, 2]
    ring[[0, 3], 0] = corner[0], corner[0] + width  # also where the eye has no width
    ring[OUTER[eye], 0] += _further_out(cut(seen.eyes), ring, eye)
    ring[:, 0] += (WIDER - 1) * (ring[:, 0] - ring[:, 0].mean())
    upper, lower = _margins(ring, columns)
    brow = float(np.median((points[list(BROWS[eye])] @ turn.T + matrix[:, 2])[:, 1]))
    inside = slice(max(int(ring[0, 0]), 0), min(int(ring[3, 0]) + 1, columns))
    pixels = cut(image, cv2.INTER_CUBIC).astype(np.float32) / 255
    patch = Patch(pixels, matrix, upper, lower, brow, inside, np.zeros((rows, columns), np.float32))
    return replace(patch, front=in_front(patch, cut(seen.hair), cut(seen.worn)))


def _further_out(eyes: np.ndarray, ring: np.ndarray, eye: int) -> float:
    """Shift in px of an eye's outer corner in a patch, if the probability `eyes` [H W] of an eye reaches further."""
    seen = (eyes.max(0) > EYE).nonzero()[0]
    if not len(seen):
        return 0.0
    width = ring[3, 0] - ring[0, 0]
    beyond = (seen.max() + 1 - ring[3, 0], ring[0, 0] - seen.min())[eye] / width
    return float((1, -1)[eye] * width * np.clip(beyond - USUALLY_BEYOND, 0, MOST_BEYOND))


def _margins(ring: np.ndarray, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows [columns] of the upper and lower margin of an eye with landmarks `ring` [6 2]."""
    outline = lid_curve().numpy() @ ring
    x = np.arange(columns) + 0.5
    curves = []
    for part in (outline[: OUTLINE_STEPS + 1], np.concatenate([outline[OUTLINE_STEPS:], outline[:1]])):
        order = np.argsort(part[:, 0], kind="stable")
        curves.append(np.interp(x, part[order, 0], part[order, 1]))
    upper, lower = np.minimum(*curves), np.maximum(*curves)
    beyond = (x < ring[0, 0]) | (x > ring[3, 0])
    upper[beyond] = lower[beyond] = np.interp(x, ring[[0, 3], 0], ring[[0, 3], 1])[beyond]
    return upper, lower


def in_front(patch: Patch, hair: np.ndarray, worn: np.ndarray) -> np.ndarray:
    """How much hair or something worn lies before the skin, [H W] in [0, 1]. hair, worn [H W]: their probabilities.

    The analyser sees thin rims of glasses only faintly. Near to them, what has not the colour of skin counts as rim,
    unless hair is nearer: lashes beside hair are no rim.
    """
    y, height = patch.rows, patch.height
    eye = (y > patch.upper - ABOVE * height) & (y < patch.lower + BELOW * height)
    cheek = patch.image[(y > patch.lower + CHEEK[0] * height) & (y < patch.lower + CHEEK[1] * height)]
    skin = np.median(cheek, 0) if len(cheek) else patch.image.mean((0, 1))
    strange = np.abs(patch.image - skin).max(2) / (skin.max() + 0.05)
    step = 2 * round(RIM_NEAR * patch.width) + 1
    near, by_hair = (cv2.dilate(x, np.ones((step, step), np.uint8)) for x in (worn, hair))
    rim = (_ramp(strange, STRANGE) * _ramp(near, FAINT) * (near > by_hair) * ~eye).astype(np.float32)
    return np.maximum(_ramp(hair + worn, FRONT), cv2.dilate(rim, np.ones((3, 3), np.uint8)))


def _ramp(values: np.ndarray, ends: tuple[float, float]) -> np.ndarray:
    """0 up to the first end, 1 from the second on."""
    return np.clip((values - ends[0]) / (ends[1] - ends[0]), 0, 1)


def with_true_margins(patch: Patch) -> Patch:
    """The patch with the margins that the photo shows. They lie near those of the landmarks, where colours change most.

    Above an upper margin it is brighter, except on dark skin; at the lower one any change counts.
    """
    drop = _change(patch.grey, patch.height)
    free = cv2.erode(1 - patch.front, np.ones((2 * round(WINDOW * patch.height) + 1, 1), np.uint8))
    upper = _fitted(patch, patch.upper, free * np.where(drop > 0, drop, -0.5 * drop), -1, UPPER_LIKELY)
    change = np.linalg.norm([_change(patch.image[..., k], patch.height) for k in range(3)], axis=0)
    lower = _fitted(patch, patch.lower, change, 1, LOWER_LIKELY)
    return replace(patch, upper=np.minimum(upper, lower), lower=lower)


def _change(values: np.ndarray, height: float) -> np.ndarray:
    """Mean of `values` [H W] above each row minus the mean below it, both over WINDOW."""
    window = min(max(round(WINDOW * height), 1), len(values) // 4)
    sums = np.cumsum(np.concatenate([np.zeros((1, values.shape[1]), np.float32), values]), 0)
    means = (sums[window:] - sums[:-window]) / window  # means[i]: of the rows i to i + window
    change = np.zeros_like(values)
    change[window:-window] = means[: -window - 1] - means[window:-1]
    return change


def _fitted(patch: Patch, curve: np.ndarray, score: np.ndarray, sign: int, likely: tuple[float, float]) -> np.ndarray:
    """The curve [W] with the best mean `score` [H W] of all that differ from `curve` by an arch. sign: of outwards."""
    columns = np.arange(patch.inside.start, patch.inside.stop)
    share = (columns - columns[0] + 0.5) / len(columns)
    # Two cubics that are 0 at both corners; one is 1 at a third of the way, the other at two thirds.
    arches = 13.5 * share * (1 - share) * np.stack([2 / 3 - share, share - 1 / 3])
    steps = np.arange(SEARCH[0], SEARCH[1] + STEP / 2, STEP)
    tried = np.array([(a, b) for a in steps for b in steps if abs(a - b) <= SKEW])
    used = (share > 0.1) & (share < 0.9)
    rows = curve[columns][used] + sign * patch.height * tried @ arches[:, used]
    values = score[np.rint(rows).astype(int).clip(0, len(score) - 1), columns[used]].mean(1)
    values = values * np.exp(-((tried - likely[0]) ** 2).sum(1) / (4 * likely[1] ** 2))
    out = curve.copy()
    out[columns] += sign * patch.height * tried[int(np.argmax(values))] @ arches
    return out


def lash_ends(patch: Patch) -> np.ndarray:
    """Height above the upper margin, [W] px, where lashes end and skin begins."""
    low, high = -0.15 * patch.height, (LASH_REACH + 0.2) * patch.height
    above, grey, front = along_margin(patch, low, high, patch.grey, patch.front)
    ends = []
    for group in _groups(patch):
        profile = np.median(grey[:, group], 1)
        start = int(np.argmin(np.where(above <= 0.2 * patch.height, profile, np.inf)))
        hidden = np.median(front[start:, group], 1) > HIDDEN
        if hidden.any() and not hidden[0]:
            profile = profile[: start + int(np.argmax(hidden))]
        bright = profile[start:] - profile[start]
        peaks = np.maximum.accumulate(bright)
        # The first peak is the strip between lashes and crease, if it is bright enough.
        falls = (peaks - bright > FALL * peaks) & (peaks > STRIP_BRIGHT * peaks[-1])
        skin = peaks[int(np.argmax(falls))] if falls.any() else peaks[-1]
        ends.append(float(above[start + int(np.argmax(bright >= RECOVERED * skin))]) if skin > FAINTEST else 0.0)
    ends = [float(np.median(ends[max(0, i - 1) : i + 2])) for i in range(len(ends))]
    return np.clip(_over_columns(patch, ends), SHORTEST * patch.height, LASH_REACH * patch.height)


def skin_ends(patch: Patch, flat: np.ndarray, lashes: np.ndarray, limit: float) -> np.ndarray:
    """Height above the upper margin, [W] px, up to which there is only skin: no brow, no rim; `limit` px at most.

    flat: the skin without crease, [H W 3]. lashes: see `lash_ends`.
    """
    above, grey, front = along_margin(patch, 0, limit, flat.mean(2), patch.front)
    ends = []
    for group in _groups(patch):
        start = min(int(lashes[group].mean()) + 1, len(above) - 1)
        profile = np.median(grey[start:, group], 1)
        darker = profile < (1 - HAIR_DARKER) * np.maximum.accumulate(profile)
        hair = darker | (np.median(front[start:, group], 1) > HIDDEN)
        ends.append(float(above[start + int(np.argmax(hair))]) - HAIR_MARGIN * patch.height if hair.any() else limit)
    ends = [min(ends[max(0, i - 1) : i + 2]) for i in range(len(ends))]
    return np.maximum(_over_columns(patch, ends), lashes + LEAST_STRIP * patch.height)


def along_margin(patch: Patch, low: float, high: float, *maps: np.ndarray) -> tuple[np.ndarray, ...]:
    """Heights [n] px above the upper margin from `low` to `high`, and maps [H W] there: [n W] each."""
    above = np.arange(np.floor(low), np.ceil(high) + 1)
    x = np.repeat(np.arange(patch.image.shape[1], dtype=np.float32)[None], len(above), 0)
    y = (patch.upper - 0.5 - above[:, None]).astype(np.float32)
    return above, *(
        cv2.remap(m.astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for m in maps
    )


def _groups(patch: Patch) -> list[np.ndarray]:
    """Columns of the eye in COLUMNS groups."""
    return np.array_split(np.arange(patch.inside.start, patch.inside.stop), COLUMNS)


def _over_columns(patch: Patch, values: list[float]) -> np.ndarray:
    """A value for each of `_groups`, interpolated and smoothed over all columns [W]."""
    centres = [float(group.mean()) for group in _groups(patch)]
    out = np.interp(np.arange(patch.image.shape[1]), centres, values)
    return cv2.GaussianBlur(out[None], (0, 0), 0.05 * len(out))[0]
