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
