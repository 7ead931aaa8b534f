"""A person without the background, which is black. Renders know it; of other pictures the analyser segments it."""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from thgen.analyser.network import INPUT_SIZE, Analyser, to_input
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
def person(analyser: Analyser, images: np.ndarray) -> np.ndarray:
    """Crops uint8 [n S S 3] in the framing of a photo -> probability float32 [n S S] of any segment but background.

    The mean of a picture and its mirror image, which have the same segments.
    """
    device = next(analyser.parameters()).device
    small = F.interpolate(to_input(torch.from_numpy(images)).to(device), size=(INPUT_SIZE, INPUT_SIZE), mode="area")
    found = analyser.segment(torch.cat([small, small.flip(3)])).softmax(1)[:, SEGMENTS.index("background")]
    mean = (found[: len(images)] + found[len(images) :].flip(2)) / 2
    return np.stack([enlarged(keep, images.shape[1]) for keep in (1 - mean).cpu().numpy()])
