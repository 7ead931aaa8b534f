"""Layers of a photo: the head with all of its hair, the background behind it, light on teeth."""

from __future__ import annotations

import cv2
import numpy as np

SIZE = 128  # px: side of the image that GrabCut segments
PLATE = 256  # px: side of the background behind the head, which is seldom sharp
HEAD = 0.5  # probability from which a place counts as head, skin or eye
POSSIBLE = 0.3  # probability from which a place may belong to the head, or to the body
SEARCH = 0.1  # of the crop's side: lost hair is searched up to this far from the head that the network found
ROUNDS = 3  # iterations of GrabCut
STRAY = 0.05  # of the crop's side: the background replaces this margin around the head too, because of stray hair
INPAINT_RADIUS = 9.0  # px: neighbourhood of the inpainting

BRIGHT, WHITE = 75, 85  # percentiles of brightness: lit skin, and the white of the eyes
TINT = 0.8  # share of the skin's hue in the colour of teeth
BRIGHTNESS = 1.05  # brightness of teeth, relative to lit skin or the white of the eyes


def grow_head(crop: np.ndarray, moving: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Add hair that the segmentation network missed, such as soft dark hair. float32 [H W] in [0, 1].

    GrabCut (Rother et al. 2004) compares the colours of head and background. It adds places that look like the head and
    touch it. The result is at least `moving` everywhere.
    crop: uint8 RGB [S S 3]. moving: float32 [H W], probability that a place moves with the head. held: [H W],
    probability of body or neck; nothing is added there.
    """
    small = cv2.resize(crop, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    sure, still = (cv2.resize(m.astype(np.float32), (SIZE, SIZE)) for m in (moving, held))
    head = (sure > HEAD).astype(np.uint8)
    reach = 2 * int(SEARCH * SIZE) + 1
    near = cv2.dilate(head, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    possible = (head == 0) & (near > 0) & (still < POSSIBLE)
    kinds = np.full(head.shape, cv2.GC_BGD, np.uint8)
    kinds[head > 0], kinds[possible] = cv2.GC_FGD, cv2.GC_PR_BGD
    if not (head.any() and possible.any() and (kinds == cv2.GC_BGD).any()):
        return moving
    cv2.setRNGSeed(0)
    cv2.grabCut(small, kinds, (0, 0, 0, 0), np.zeros((1, 65)), np.zeros((1, 65)), ROUNDS, cv2.GC_INIT_WITH_MASK)
    likely = np.isin(kinds, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    solid = cv2.morphologyEx(likely, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))  # without thin lines in the background
    labels = cv2.connectedComponents(solid)[1]
    touching = (labels > 0) & np.isin(labels, np.unique(labels[head > 0]))
    grown = cv2.resize(touching.astype(np.float32), moving.shape[::-1], interpolation=cv2.INTER_AREA)
    return np.maximum(moving, grown).astype(np.float32)


def behind(crop: np.ndarray, moving: np.ndarray) -> np.ndarray:
    """Background behind the head, uint8 RGB [PLATE PLATE 3], by inpainting (Telea 2004).

    crop: uint8 RGB [S S 3]. moving: [H W] in [0, 1], probability that a place moves with the head.
    """
    small = cv2.resize(crop, (PLATE, PLATE), interpolation=cv2.INTER_AREA)
    head = (cv2.resize(moving.astype(np.float32), (PLATE, PLATE)) > POSSIBLE).astype(np.uint8)
    hole = cv2.dilate(head, np.ones((2 * int(STRAY * PLATE) + 1,) * 2, np.uint8))
    if hole.all():  # no background is left to fill from
        return small
    return cv2.inpaint(small, hole, INPAINT_RADIUS, cv2.INPAINT_TELEA)


def teeth_light(crop: np.ndarray, face: np.ndarray, eyes: np.ndarray) -> np.ndarray:
    """RGB of white teeth in the light of the photo, float32 [3] in [0, 1].

    They are as bright as lit skin, or as the white of the eyes if that is brighter, and have a part of the skin's hue.
    crop: uint8 RGB [S S 3]. face, eyes: [H W] in [0, 1], probability of facial skin and of an eye.
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
    return (BRIGHTNESS * level * (1 + TINT * (hue - 1))).clip(0, 1).astype(np.float32)
