"""What stands behind a head, guessed from around it."""

from __future__ import annotations

import cv2
import numpy as np

PLATE = 256  # px: what stands behind a head is seldom sharp
SURE = 0.3  # from where a place counts as head
STRAY = 3  # places of the map by which the filled part reaches beyond the head: stray hair
REACH = 9.0  # px of the filling's neighbourhood


def behind(crop: np.ndarray, moving: np.ndarray) -> np.ndarray:
    """The crop uint8 RGB [S S 3] without the head, filled in from around it (Telea 2004): uint8 [PLATE PLATE 3].

    moving [H W]: how sure it is that a place shows what moves with the head, 0 to 1.
    """
    small = cv2.resize(crop, (PLATE, PLATE), interpolation=cv2.INTER_AREA)
    wide = cv2.dilate((moving > SURE).astype(np.uint8), np.ones((2 * STRAY + 1,) * 2, np.uint8))
    hole = cv2.resize(wide, (PLATE, PLATE), interpolation=cv2.INTER_NEAREST)
    if hole.all():  # there is nothing to fill from
        return small
    return cv2.inpaint(small, hole, REACH, cv2.INPAINT_TELEA)
