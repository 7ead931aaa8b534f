"""A drawn face for tests of layers: one colour of skin, white eyes, dark lashes and brows, before a green wall."""

import cv2
import numpy as np

from thgen.compact.eye_patch import Seen, cut_patches
from thgen.compact.flow.lids import EyeLayers
from thgen.compact.lid_layers import cut_eyes


def drawn_face(turn=None) -> tuple[np.ndarray, np.ndarray]:
    """uint8 [256 256 3], and landmarks [68 2] in crop coordinates. turn [2 2]: rotation about the middle."""
    points = np.zeros((68, 2))
    for start, x in ((36, 90), (42, 166)):
        angle = np.pi - np.arange(6) * np.pi / 3
        points[start : start + 6] = np.stack([x + 20 * np.cos(angle), 120 - 9 * np.sin(angle)], 1)
    for start, x in ((17, 90), (22, 166)):
        points[start : start + 5] = np.stack([np.linspace(x - 22, x + 22, 5), np.full(5, 90)], 1)
    crop = np.full((256, 256, 3), (20, 160, 40), np.uint8)
    cv2.ellipse(crop, (128, 130), (80, 100), 0, 0, 360, (220, 170, 140), -1)
    for x in (90, 166):
        cv2.ellipse(crop, (x, 120), (20, 9), 0, 180, 360, (30, 20, 20), 5)
        cv2.ellipse(crop, (x, 120), (20, 9), 0, 0, 360, (250, 250, 250), -1)
        cv2.line(crop, (x - 22, 90), (x + 22, 90), (40, 25, 20), 5)
    points = points / 128 - 1
    if turn is not None:
        matrix = np.concatenate([turn, (np.array([128, 128]) - turn @ [128, 128])[:, None]], 1)
        crop = cv2.warpAffine(crop, matrix, (256, 256), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        points = points @ turn.T
    return crop, points


def drawn_eyes() -> EyeLayers:
    """The layers of the drawn face's eyes, without anything before them."""
    crop, points = drawn_face()
    return cut_eyes(cut_patches(crop, points, nothing_seen()), len(crop))[0]


def nothing_seen(hair=0.0, worn=0.0, size=256) -> Seen:
    """An analyser that sees no eyes, and hair and something worn everywhere with these probabilities."""
    none = np.zeros((64, 64), np.float32)
    return Seen.of(size, none + hair, none + worn, none)
