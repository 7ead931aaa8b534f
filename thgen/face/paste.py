"""Pastes a generated crop back into its photo, without a seam. No pixel outside the mask changes."""

from __future__ import annotations

import math

import cv2
import numpy as np
from PIL import Image

from thgen.face.crop import Square

BORDER = 0.06  # part of the crop's side: width over which the paste fades out at the crop's edge
FEATHER = 0.01  # part of the crop's side: radius by which the mask's edge is softened inwards


def border_window(size: int, width: float = BORDER) -> np.ndarray:
    """float32 [size size]: 1 in the middle, 0 at the edge. width: of the transition, as a part of the side."""
    centre = (np.arange(size) + 0.5) / size
    ramp = np.clip((np.minimum(centre, 1 - centre) - 1 / size) / width, 0, 1)
    ramp = ramp * ramp * (3 - 2 * ramp)
    return np.minimum.outer(ramp, ramp).astype(np.float32)


def soften_inwards(mask: np.ndarray, feather: int, spread: int = 0) -> np.ndarray:
    """mask float32 [H W] with soft edges. They reach 0 at `spread` px inside the mask; feather: blur radius, px."""
    reach = 2 * (feather + spread) + 1
    eroded = cv2.erode(mask, np.ones((reach, reach), np.uint8), borderType=cv2.BORDER_REPLICATE)
    return cv2.blur(eroded, (2 * feather + 1, 2 * feather + 1), borderType=cv2.BORDER_REPLICATE)


class Paster:
    """Pastes frames into one photo. What is constant for the photo is computed once; a frame costs only its region."""

    def __init__(self, photo: np.ndarray, square: Square, size: int) -> None:
        """photo uint8 RGB [H W 3]; square: the crop's place in the photo; size: the generated crop's side, px."""
        self.photo = photo
        self.size = size
        height, width = photo.shape[:2]
        # Only pixels that are completely inside the square and the photo. The window is 0 at the square's edge.
        self.x0, self.x1 = max(0, math.ceil(square.left)), min(width, math.floor(square.left + square.side))
        self.y0, self.y1 = max(0, math.ceil(square.top)), min(height, math.floor(square.top + square.side))
        self.empty = self.x0 >= self.x1 or self.y0 >= self.y1
        k = size / square.side
        box = np.array([self.x0 - square.left, self.y0 - square.top, self.x1 - square.left, self.y1 - square.top]) * k
        self._box = tuple(np.clip(box, 0, size).tolist())
        self._window = border_window(size)
        self._feather = max(round(FEATHER * size), 1)
        # Resampling widens a mask by up to one pixel of each grid. Erosion by the same amount compensates for it.
        self._spread = math.ceil(k) + 1

    @property
    def region(self) -> tuple[int, int, int, int]:
        """x0, y0, x1, y1 (exclusive) in photo px. No pixel outside it changes."""
        return self.x0, self.y0, self.x1, self.y1

    def alpha(self, mask: np.ndarray | None) -> np.ndarray:
        """Weight of the generated pixels over the region, float32 [y1-y0 x1-x0] in [0, 1]. mask: see `paste`."""
        window = self._window
        if mask is not None:
            soft = soften_inwards(np.ascontiguousarray(mask, np.float32), self._feather, self._spread)
            window = window * np.clip(soft, 0, 1)
        return np.asarray(self._resize(window, Image.Resampling.BILINEAR))

    def paste(self, frame: np.ndarray, mask: np.ndarray | None = None, out: np.ndarray | None = None) -> np.ndarray:
        """The photo uint8 [H W 3] with `frame` uint8 [S S 3] blended in. mask [S S] in [0, 1]: weight; None: 1.

        out: a copy of the photo or the last result, in which only the region is overwritten; None: a new copy. The
        photo itself does not change. Raises ValueError for a wrong shape or type.
        """
        if frame.shape != (self.size, self.size, 3) or frame.dtype != np.uint8:
            raise ValueError(f"frame must be uint8 [{self.size} {self.size} 3], not {frame.dtype} {frame.shape}")
        if mask is not None and mask.shape != (self.size, self.size):
            raise ValueError(f"mask must be [{self.size} {self.size}], not {mask.shape}")
        out = self.photo.copy() if out is None else out
        if self.empty:
            return out
        area = (slice(self.y0, self.y1), slice(self.x0, self.x1))
        below = self.photo[area]
        alpha = self.alpha(mask)[..., None]
        # below + alpha (above - below), rounded; exact where alpha is 0. In place, because this dominates the cost.
        blend = np.asarray(self._resize(frame, Image.Resampling.LANCZOS)).astype(np.float32)
        blend -= below
        blend *= alpha
        blend += below
        blend += 0.5
        out[area] = blend.astype(np.uint8)  # truncates; no value leaves 0 to 255
        return out

    def _resize(self, image: np.ndarray, kernel: Image.Resampling) -> Image.Image:
        target = (self.x1 - self.x0, self.y1 - self.y0)
        return Image.fromarray(image).resize(target, kernel, box=self._box)
