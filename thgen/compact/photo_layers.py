"""What a photo shows besides the face: where head and hair end, and what may stand behind them."""

from __future__ import annotations

import cv2
import numpy as np

SIZE = 128  # px at which head and background are told apart by their colours
PLATE = 256  # px: what stands behind a head is seldom sharp
HEAD, MAYBE = 0.5, 0.3  # probabilities from which a place is head, and may be
AROUND = 0.1  # of the crop: so far beyond what the network saw the rest of the hair is looked for
ROUNDS = 3  # of GrabCut
STRAY = 0.05  # of the crop: so far beyond the head the background is filled in, for stray hair
REACH = 9.0  # px of the filling's neighbourhood

EYES, BROWS = (range(36, 42), range(42, 48)), (range(17, 22), range(22, 27))  # landmarks
LASHES, BROW_HAIR = 0.26, 0.14  # of an eye's width: how far lashes and creases reach beyond it, and hair beyond a brow
BRIGHT, WHITE = 75, 85  # percentiles of brightness: of skin in the light, and of an eye's white
TINT = 0.8  # of the skin's colour that teeth have
LIT = 1.05  # brightness of teeth beside that of bright skin or the white of eyes
SKIN_NEAR, SKIN_FAR = 0.22, 0.8  # of an eye's width: from how far around its skin is taken


def grow_head(crop: np.ndarray, moving: np.ndarray, held: np.ndarray) -> np.ndarray:
    """`moving` float32 [H W], 0 to 1, with what looks like it and touches it: soft dark hair that the network lost.

    By the colours of head and background (GrabCut, Rother et al. 2004): nothing is taken away from `moving`, and
    nothing is added where `held` [H W] says that the place is body or neck. crop uint8 RGB [S S 3].
    """
    small = cv2.resize(crop, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    sure, still = (cv2.resize(m.astype(np.float32), (SIZE, SIZE)) for m in (moving, held))
    head = (sure > HEAD).astype(np.uint8)
    reach = 2 * int(AROUND * SIZE) + 1
    near = cv2.dilate(head, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    maybe = (head == 0) & (near > 0) & (still < MAYBE)
    kinds = np.full(head.shape, cv2.GC_BGD, np.uint8)
    kinds[head > 0], kinds[maybe] = cv2.GC_FGD, cv2.GC_PR_BGD
    if not (head.any() and maybe.any() and (kinds == cv2.GC_BGD).any()):
        return moving
    cv2.setRNGSeed(0)
    cv2.grabCut(small, kinds, (0, 0, 0, 0), np.zeros((1, 65)), np.zeros((1, 65)), ROUNDS, cv2.GC_INIT_WITH_MASK)
    likely = np.isin(kinds, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    found = cv2.morphologyEx(likely, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))  # no threads into the background
    labels = cv2.connectedComponents(found)[1]
    touching = (labels > 0) & np.isin(labels, np.unique(labels[head > 0]))
    grown = cv2.resize(touching.astype(np.float32), moving.shape[::-1], interpolation=cv2.INTER_AREA)
    return np.maximum(moving, grown).astype(np.float32)


def behind(crop: np.ndarray, moving: np.ndarray) -> np.ndarray:
    """The crop uint8 RGB [S S 3] without the head, filled in from around it (Telea 2004): uint8 [PLATE PLATE 3].

    moving [H W]: how sure it is that a place shows what moves with the head, 0 to 1.
    """
    small = cv2.resize(crop, (PLATE, PLATE), interpolation=cv2.INTER_AREA)
    head = (cv2.resize(moving.astype(np.float32), (PLATE, PLATE)) > MAYBE).astype(np.uint8)
    hole = cv2.dilate(head, np.ones((2 * int(STRAY * PLATE) + 1,) * 2, np.uint8))
    if hole.all():  # there is nothing to fill from
        return small
    return cv2.inpaint(small, hole, REACH, cv2.INPAINT_TELEA)


def without_eyes(crop: np.ndarray, landmarks: np.ndarray, face: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The crop uint8 RGB [S S 3] with skin in the place of the eyes, lashes and creases, as it is around them: uint8
    [S S 3]; and where that is, float32 [S S], 0 to 1. landmarks [68 2+] in crop coordinates; face [H W], 0 to 1: how
    sure it is that a place is the face's skin.

    What a closed lid looks like is not in a photo of open eyes, but the skin around them is: each pixel is the mean of
    that, nearer skin counting more; brows are no skin.
    """
    size = crop.shape[0]
    points = (np.asarray(landmarks, np.float64)[:, :2] + 1) / 2 * size
    width = float(np.mean([np.linalg.norm(points[eye[3]] - points[eye[0]]) for eye in EYES]))
    eyes, hair = (
        _region(points, groups, reach * width, size) for groups, reach in ((EYES, LASHES), (BROWS, BROW_HAIR))
    )
    seen = cv2.resize(face.astype(np.float32), (size, size))
    skin = ((eyes == 0) & (hair == 0) & (seen > HEAD)).astype(np.float32)
    colours = np.concatenate([crop * skin[..., None], skin[..., None]], 2).astype(np.float32)
    filled = np.zeros_like(crop, np.float32)
    for reach in (SKIN_FAR, SKIN_NEAR):
        around = cv2.GaussianBlur(colours, (0, 0), max(reach * width, 0.5))
        share = around[..., 3:]
        near = around[..., :3] / np.maximum(share, 1e-4)
        filled += (1 if reach == SKIN_FAR else np.minimum(share * 8, 1)) * (near - filled)
    soft = cv2.GaussianBlur(np.stack([eyes, 1 - hair], 2).astype(np.float32), (0, 0), max(0.06 * width, 0.5))
    where = (soft.prod(2) * np.clip(2 * seen, 0, 1)).astype(np.float32)
    out = crop + where[..., None] * (filled - crop)
    return np.rint(out).clip(0, 255).astype(np.uint8), where


def _region(points: np.ndarray, groups: tuple[range, ...], reach: float, size: int) -> np.ndarray:
    """uint8 [size size]: 1 inside the hulls of groups of points [68 2], and up to `reach` px beyond."""
    mask = np.zeros((size, size), np.uint8)
    for group in groups:
        cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(points[list(group)]).astype(np.int32)), 1)
    step = max(1, round(reach))
    return cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * step + 1, 2 * step + 1)))


def teeth_light(crop: np.ndarray, face: np.ndarray, eyes: np.ndarray) -> np.ndarray:
    """Colour float32 [3], 0 to 1, that white teeth would have in the light of this photo: as bright as its skin where
    that is bright, or as the white of the eyes beside dark skin, with a little of the skin's hue.

    crop uint8 RGB [S S 3]; face, eyes [H W], 0 to 1: how sure it is that a place is skin, and an eye.
    """
    small = cv2.resize(crop, face.shape[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    grey = small @ np.array([0.299, 0.587, 0.114], np.float32)
    skin, white = face > HEAD, eyes > HEAD
    if not skin.any():
        skin = np.ones_like(skin)
    bright = float(np.percentile(grey[skin], BRIGHT))
    colour = small[skin & (grey >= bright)].mean(0)
    level = max(bright, float(np.percentile(grey[white], WHITE)) if white.any() else 0.0)
    hue = colour / max(float(colour @ np.array([0.299, 0.587, 0.114], np.float32)), 1e-3)
    return (LIT * level * (1 + TINT * (hue - 1))).clip(0, 1).astype(np.float32)
