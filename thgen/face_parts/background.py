"""A person without the background, which is black. Renders know it; of other pictures the analyser segments it."""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from thgen.analyser.network import INPUT_SIZE, Analyser
from thgen.schema import SEGMENTS


def enlarged(keep: np.ndarray, size: int) -> np.ndarray:
    """Mask [s s] of any type -> float32 [size size], linear between its values."""
    if keep.shape[0] == size:
        return keep.astype(np.float32)
    return cv2.resize(keep.astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR)


def without_background(image: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Picture uint8 [S S 3] times keep [S S] in [0, 1], 1 where the person is."""
    return np.rint(image * keep[..., None]).astype(np.uint8)


@torch.no_grad()
def person(analyser: Analyser, pictures: Tensor) -> Tensor:
    """Crops [n 3 S S] in [-1, 1] in the framing of a photo -> probability [n 1 S S] of any segment but background.

    The mean of a picture and its mirror image, which have the same segments.
    """
    small = F.interpolate(pictures, size=(INPUT_SIZE, INPUT_SIZE), mode="area")
    found = analyser.segment(torch.cat([small, small.flip(3)])).softmax(1)[:, [SEGMENTS.index("background")]]
    background = (found[: len(small)] + found[len(small) :].flip(3)) / 2
    return F.interpolate(1 - background, size=pictures.shape[2:], mode="bilinear", align_corners=False)
