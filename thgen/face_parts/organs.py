"""A head without its organs: brows, eyes, nose and mouth are covered (pose input of GC-AVT, section 3.2)."""

from __future__ import annotations

import cv2
import numpy as np

from thgen.face_parts.geometry import filled, hull, pixels

ORGANS = slice(17, 68)  # landmarks (Multi-PIE): all but the outline
MARGIN = 0.08  # of the hull's width, by which the cover reaches beyond it: lids, lips and brows have a thickness
RING = 0.06  # of the hull's width: width of the skin around the cover that gives it its colour


def organ_mask(landmarks: np.ndarray, size: int, margin: float = MARGIN) -> np.ndarray:
    """Mask float32 [size size] in [0, 1]: 1 on the hull of brows, eyes, nose and mouth, and `margin` around it.

    landmarks [68 2+] in crop coordinates.
    """
    outline = hull(pixels(np.asarray(landmarks)[ORGANS], size))
    return _wider(filled(outline, size), margin * float(np.ptp(outline[:, 0])))


def cover_organs(image: np.ndarray, landmarks: np.ndarray, margin: float = MARGIN) -> np.ndarray:
    """Picture uint8 [S S 3] with the organs under one colour, the mean of the skin around them.

    The colour comes from outside of the cover, so that it does not tell whether a mouth or an eye is open.
    """
    size = image.shape[0]
    mask = organ_mask(landmarks, size, margin)
    width = float(np.ptp(pixels(np.asarray(landmarks)[ORGANS], size)[:, 0]))
    ring = _wider(mask, RING * width) * (mask == 0)
    pixel = image.astype(np.float32)
    colour = (pixel * ring[..., None]).sum((0, 1)) / max(float(ring.sum()), 1.0)
    out = pixel + mask[..., None] * (colour - pixel)
    return np.rint(out).clip(0, 255).astype(np.uint8)


def _wider(mask: np.ndarray, reach: float) -> np.ndarray:
    """A mask [S S], dilated by `reach` px."""
    radius = round(reach)
    if radius < 1:
        return mask
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.dilate(mask, kernel)
