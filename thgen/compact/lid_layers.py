"""Layers that close the eyes of a photo, cut once: skin for the lids, and the lash line that their margins carry."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch

from thgen.compact.eye_patch import FLAT_EYE, Patch, along_margin, lash_ends, skin_ends
from thgen.compact.flow.lids import EyeLayers

# Sizes are in heights of the open eye, or in its widths.
LIFT = (-0.2, 0.8)  # heights: the landmarks' upper margin is raised by so much, least and most
SMALLEST = (2.0, 6.0)  # px of the crop: lids of a smaller eye than the first are not drawn, of the second they are
BROW_SHARE = 0.6  # of the way from the margin to the brow's landmarks: the skin that moves ends here at the latest
REACH = (0.4, 1.1)  # heights above the margin, least and most, for that end
SINGLE = 0.06, 0.06  # single lashes are narrower than twice this, in widths, and darker than skin by this, of white
NEAR_LASHES = 0.75  # heights above the margin up to which there are single lashes
CREASE = 0.22  # heights: half the thickness of a crease
SMOOTH = (0.15, 0.05)  # skin without crease is smoothed over this much: widths along the eye, heights across it
BEHIND = 0.1  # heights above the end of the lashes: the skin there is what lies behind them
BLACK = 0.4  # brightness of fully covering lashes, as a share of the skin's behind them
LASH_TOP = 0.08  # heights: lashes are cut out up to this far above their end
LASH_LINE = 0.3  # heights below the margin to which the lash line reaches at most
# Percentile over the columns that tells the darkness before the white of the eye, and factor on it: columns differ.
BESIDE_IRIS, LINE_DARKER = 35, 1.0
FADE, LASH_FADE = 0.2, 0.14  # widths: lids and lash lines reach this far beyond the corners
OVERLAP = 0.06  # heights: the skin of a closed lid reaches this far below the lower margin, so that no white shows
# Depth of the line between closed lids below the corners, relative to that of the smoothed lower margin. Smoothing over
# LINE_SOFT widths makes it a sixth less deep; lids meet a little above the lower margin. Fitted on renders.
CLOSED_AT, LINE_SOFT = 1.1, 0.12
# Share of the cheek's light, and of its hue, on the edge of a closed lid; the rest is that of the stretched skin. On 16
# renders, the error of closed eyes is 8.1, 7.9 and 8.3 levels with a light of 0, 0.3 and 0.6.
CHEEK_LIGHT, CHEEK_HUE = 0.3, 0.4
# How often its height the skin is stretched from which, and to which, it is trusted less, and the cheek so much more.
NARROW, MORE_CHEEK = (3.0, 5.0), 0.3
LIGHT_RANGE, HUE_RANGE = (0.8, 1.7), (0.85, 1.18)  # factors on the light and hue of the stretched skin, least and most
CHEEK = (0.35, 0.45, 0.55)  # heights below the lower margin where the cheek's light is measured
GRAIN_FROM, GRAIN_SIZE, GRAIN_MOST = 0.45, 2.0, 0.05  # heights below it; px; of white: grain of the cheek


def cut_eyes(patches: Sequence[tuple[Patch, Patch]], size: int) -> tuple[EyeLayers, np.ndarray]:
    """Layers of both eyes, and how far the upper margins lie above those of the landmarks, [2] heights of the eyes.

    patches: see `eye_patch.cut_patches`. size: of the crop, px.
    """
    cut, lift = [], []
    for rough, patch in patches:
        cut.append(_cut_eye(patch, size))
        height = (rough.lower - rough.upper).sum() / max((rough.lower > rough.upper).sum(), 1)
        raised = (rough.upper - patch.upper).sum() / max((rough.lower > rough.upper).sum(), 1)
        lift.append(float(np.clip(raised / max(height, FLAT_EYE * rough.width), *LIFT)))
    maps = (np.stack(parts)[None].astype(np.float32) for parts in zip(*cut, strict=True))
    return EyeLayers(*(torch.from_numpy(np.ascontiguousarray(m)) for m in maps)), np.array(lift)


def _cut_eye(patch: Patch, size: int) -> tuple[np.ndarray, ...]:
    """The fields of `EyeLayers` for one eye of a crop of `size` px."""
    rows = patch.image.shape[0]
    skin, lashes = without_lashes(patch), lash_ends(patch)
    flat = without_crease(patch, skin, lashes)
    limit = BROW_SHARE * (float(patch.upper.min()) - patch.brow)
    limit = min(max(limit, REACH[0] * patch.height), REACH[1] * patch.height)
    anchor = np.maximum(patch.upper - skin_ends(patch, flat, lashes, limit), 1.0)
    end = np.maximum(patch.upper - lashes, anchor + 2)
    covered = patch.lower + OVERLAP * (patch.lower - patch.upper)
    stretch = float(np.median(((covered - anchor) / (end - anchor))[patch.inside]))
    seen = np.clip((patch.width / max(patch.scale, 1e-6) - SMALLEST[0]) / (SMALLEST[1] - SMALLEST[0]), 0, 1)
    curves = [2 * row / rows - 1 for row in (anchor, end, patch.upper, closed_line(patch), covered)]
    moved = np.concatenate([lash_line(patch, flat, lashes), cheek_grain(patch)[..., None]], 2)
    return (
        patch.from_crop(size), (2 * np.concatenate([skin, flat], 2) - 1).transpose(2, 0, 1), moved.transpose(2, 0, 1),
        patch.front[None], np.concatenate([curves, [seen * patch.beside(FADE)], lid_light(patch, flat, end, stretch)]),
        np.array(edge_width(patch) * 2 / rows),
    )  # fmt: skip


def without_lashes(patch: Patch) -> np.ndarray:
    """The image [H W 3] without single lashes, which are dark and upright, and stand above the margin."""
    step = 2 * round(SINGLE[0] * patch.width) + 1
    closed = cv2.morphologyEx(patch.image, cv2.MORPH_CLOSE, np.ones((1, step), np.uint8))
    closed = cv2.GaussianBlur(closed, (0, 0), 0.02 * patch.width)
    dark = np.clip((closed - patch.image).mean(2) / SINGLE[1], 0, 1)
    near = np.clip(2 * (1 - (patch.upper - patch.rows) / (NEAR_LASHES * patch.height)), 0, 1)
    return patch.image + (dark * near)[..., None].astype(np.float32) * (closed - patch.image)


def without_crease(patch: Patch, skin: np.ndarray, lashes: np.ndarray) -> np.ndarray:
    """Skin [H W 3] smooth and without the crease, which is a dark line along the eye; lashes [W]: see `lash_ends`."""
    step = 2 * round(CREASE * patch.height) + 1
    closed = cv2.morphologyEx(skin, cv2.MORPH_CLOSE, np.ones((step, 1), np.uint8))
    lowest = patch.upper.max()
    straight = _shifted(closed, lowest - patch.upper)  # the margin becomes a straight line, which smoothing follows
    known = (lowest - patch.rows > lashes).astype(np.float32)[..., None]  # without it lashes would darken the skin
    maps = np.concatenate([straight * known, known], 2)
    maps = cv2.GaussianBlur(maps, (0, 0), SMOOTH[0] * patch.width, sigmaY=max(SMOOTH[1] * patch.height, 0.5))
    smooth = np.where(maps[..., 3:] > 0.02, maps[..., :3] / np.maximum(maps[..., 3:], 1e-3), straight)
    return _shifted(smooth, patch.upper - lowest)


def _shifted(image: np.ndarray, down: np.ndarray) -> np.ndarray:
    """The image [H W C] with each column moved down by `down` [W] px."""
    x, y = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in image.shape[1::-1]))
    return cv2.remap(image, x, (y - down).astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _row_of(image: np.ndarray, row: np.ndarray, smooth: float) -> np.ndarray:
    """Colours [W 3] of an image [H W 3] at a row for each column [W], smoothed over `smooth` px."""
    x = np.arange(image.shape[1], dtype=np.float32)[None]
    at = cv2.remap(image, x, (row - 0.5)[None].astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return cv2.GaussianBlur(at, (0, 0), smooth, sigmaY=0.01)[0]


def lash_line(patch: Patch, flat: np.ndarray, lashes: np.ndarray) -> np.ndarray:
    """The lash line of the upper margin: RGB premultiplied by cover, and cover, [H W 4] in [0, 1].

    It is what is darker than the skin above the lashes, in a band around the margin.
    """
    behind = _row_of(flat, patch.upper - lashes - BEHIND * patch.height, 0.1 * patch.width)[None]
    dark = (behind - patch.image).mean(2) / ((1 - BLACK) * behind.mean(2) + 0.02)
    dark = cv2.GaussianBlur(np.clip(dark, 0, 1), (0, 0), 0.03 * patch.width, sigmaY=0.01)  # highlights are no holes
    above = patch.upper - patch.rows
    over = np.clip(2 * (1 - above / (lashes + LASH_TOP * patch.height)), 0, 1)
    under = np.minimum(1, line_thickness(patch, dark, above) / np.maximum(dark, 1e-3))
    cover = (dark * np.where(above > 0, over, under) * patch.beside(LASH_FADE))[..., None]
    return np.concatenate([np.minimum(patch.image, behind) * cover, cover], 2)


def line_thickness(patch: Patch, dark: np.ndarray, above: np.ndarray) -> np.ndarray:
    """Cover of the lash line below the margin, [H W] in [0, 1]. dark, above [H W]: darkness, and px above the margin.

    A dark iris must not count as lash line. The line is as thick as it is before the white of the eye, beside the iris.
    """
    heights, strip = along_margin(patch, -LASH_LINE * patch.height, 0, dark)
    thick = np.percentile(strip[:, patch.inside], BESIDE_IRIS, 1)[::-1]  # from the margin downwards
    peak = int(np.argmax(thick))
    thick[: peak + 1] = thick[peak]
    cover = np.interp(above, heights, np.minimum.accumulate(thick)[::-1])
    return LINE_DARKER * cover * np.clip(2 * (1 + above / (LASH_LINE * patch.height)), 0, 1)


def edge_width(patch: Patch) -> float:
    """Width in px over which the brightness changes at the upper margin: how sharp the photo is."""
    _, grey = along_margin(patch, -0.5 * patch.height, 0.5 * patch.height, patch.grey)
    profile = cv2.GaussianBlur(np.median(grey[:, patch.inside], 1)[:, None], (1, 3), 0)
    width = float(np.ptp(profile)) / max(float(np.abs(np.diff(profile[:, 0])).max()), 1e-3)
    return float(np.clip(width, 2.0, max(0.4 * patch.height, 2.0)))


def closed_line(patch: Patch) -> np.ndarray:
    """Rows [W] of the line between closed lids: nearly as deep as the lower margin, softly bent near the corners."""
    soft = cv2.GaussianBlur(patch.lower[None], (0, 0), LINE_SOFT * patch.width, borderType=cv2.BORDER_REPLICATE)[0]
    corners = np.interp(np.arange(len(soft)), [patch.inside.start, patch.inside.stop], patch.lower[[0, -1]])
    return np.maximum(corners + CLOSED_AT * (soft - corners), patch.upper)


def lid_light(patch: Patch, flat: np.ndarray, end: np.ndarray, stretch: float) -> np.ndarray:
    """How much brighter the edge of a closed lid is than the skin from which it is stretched, factors of RGB [3 W].

    The lid turns to the front, out of the shadow of the brow: its light lies between that of this skin and the cheek's.
    end [W]: row of that skin's lower end. stretch: heights of the lid per height of this skin.
    """
    smooth = 0.15 * patch.width
    cheek = np.mean([_row_of(patch.image, patch.lower + share * patch.height, smooth) for share in CHEEK], 0)
    ratio = (cheek + 0.04) / (_row_of(flat, end, smooth) + 0.04)
    light = ratio.mean(1, keepdims=True)
    more = MORE_CHEEK * np.clip((stretch - NARROW[0]) / (NARROW[1] - NARROW[0]), 0, 1)
    hue = np.clip((ratio / light) ** (CHEEK_HUE + more), *HUE_RANGE)
    return (np.clip(light ** (CHEEK_LIGHT + more), *LIGHT_RANGE) * hue).T


def cheek_grain(patch: Patch) -> np.ndarray:
    """Fine structure of the skin below the eye, [H W] in [-1, 1], mirrored and repeated over the patch."""
    rows, columns = patch.grey.shape
    fine = patch.grey - cv2.GaussianBlur(patch.grey, (0, 0), GRAIN_SIZE)
    top = min(int(patch.lower.max() + GRAIN_FROM * patch.height), rows - 8)
    piece = fine[top:, patch.inside]
    tile = np.block([[piece, piece[:, ::-1]], [piece[::-1], piece[::-1, ::-1]]])
    tiles = np.tile(tile, (-(-rows // len(tile)), -(-columns // tile.shape[1])))
    return 2 * tiles[:rows, :columns].clip(-GRAIN_MOST, GRAIN_MOST)
