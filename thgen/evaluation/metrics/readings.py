"""Measurements of a result by the analyser, in a square that is known beforehand.

The analyser does not search: it gets the square where the true face is. A result whose face is elsewhere therefore
scores as wrong.
"""

from __future__ import annotations

import numpy as np
import torch

from thgen.face.crop import ANALYSER, Square, landmark_square
from thgen.face.observe import Observation, Observer
from thgen.nn.coefficients import pick
from thgen.schema import EXPRESSION_COEFFICIENTS, LIP_COEFFICIENTS


def square_of(landmarks: np.ndarray, size: int) -> Square:
    """The analyser's square, in px, around landmarks [68+ 2+] in crop coordinates of a picture of `size` px."""
    return landmark_square((landmarks[:68, :2] + 1) / 2 * size, ANALYSER)


def read_at(observer: Observer, image: np.ndarray, landmarks: np.ndarray) -> Observation:
    """Analyse image uint8 [S S 3] in the square around landmarks [68+ 2+] in crop coordinates."""
    return observer.observe(image, [square_of(landmarks, image.shape[0])])[0]


def in_crop(observation: Observation, size: int) -> np.ndarray:
    """Keypoints [K 3] of an observation of a picture of `size` px, in crop coordinates: x and y in [-1, 1]."""
    return np.asarray(observation.keypoints / size * 2 - np.array([1, 1, 0]))


def read_factors(observer: Observer, frames: np.ndarray, landmarks: np.ndarray) -> dict[str, np.ndarray]:
    """The five common factors in frames uint8 [T S S 3], each [T D] in the units of schema.FACTORS; pose without shift.

    landmarks: [68+ 2+] in crop coordinates; every frame is read at their square.
    """
    analyses = [read_at(observer, frame, landmarks).analysis for frame in frames]
    coefficients = torch.cat([a.coefficients for a in analyses])
    rows = {
        "lip": pick(coefficients, LIP_COEFFICIENTS), "pose": torch.cat([a.pose for a in analyses]),
        "blink": torch.cat([a.openness for a in analyses]), "gaze": torch.cat([a.gaze.mean(1) for a in analyses]),
        "expression": pick(coefficients, EXPRESSION_COEFFICIENTS),
    }  # fmt: skip
    return {name: values.float().numpy() for name, values in rows.items()}
