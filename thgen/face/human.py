"""Separates human faces from faces of animals. Drawings, statues, dolls, robots and masks with a human face count.

Most animals have a low score or landmarks that depend on the crop (`observe.Candidate.confidence`). Monkeys and apes
have eyes, nose and mouth where people have them, and the analyser is nearly certain of them. Their proportions differ:
the eyes are close together, relative to the width of the head, the nose and the muzzle. Some people have such
proportions too, but for them the analyser is certain. So `strangeness` combines proportion and score in one sum.

Values measured (docs/measured.md, 2), the highest of each set:
- 1,600 renders of 400 people, turned by up to 45 degrees: 2.3; 160 renders far from the mean (spread 1.6): 2.1
- 20 real, drawn and painted people under 17 changes of light, size, tilt and sharpness: 1.9; stretched by 1.2: 2.8
- a clip of extreme grimaces: 2.6 in 95 % of its frames, 3.1 in 99 %
- a monkey: 4.2; from 2.9 under the same changes (48 px tall) up to 5.0; 1.6 with covered eyes
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from thgen.analyser.network import Analysis

# Pairs of the 68 landmarks: the outer corners of the eyes, and the lengths that are compared with their distance
# (width of jaw, nose and brows, length of the nose).
EYE_CORNERS = (36, 45)
LENGTHS = ((0, 16), (31, 35), (17, 26), (27, 33))
# Mean and standard deviation of `face_per_eyes` over the renders, and the usual logit of their score.
HUMAN, SPREAD, SURE = -0.272, 0.0485, 6.0
DOUBT_WEIGHT = 0.5  # standard deviations of proportion that one unit of the logit compensates
MOST_STRANGE = 2.85  # `strangeness` of a human face, at most; see the measurements above


def face_per_eyes(analysis: Analysis) -> np.ndarray:
    """Size of each face relative to the distance of its eyes: mean logarithm of the ratios of LENGTHS, float64 [B].

    The distances are 3-D, so the pose has no influence. A monkey has -0.12, people have -0.38 to -0.16 (98 % of the
    renders).
    """
    points = analysis.keypoints[:, :68].numpy().astype(np.float64)
    far, near = np.array(LENGTHS).T
    lengths = np.linalg.norm(points[:, far] - points[:, near], axis=2)
    across = np.linalg.norm(points[:, EYE_CORNERS[0]] - points[:, EYE_CORNERS[1]], axis=1)
    return np.log(np.maximum(lengths, 1e-6) / np.maximum(across, 1e-6)[:, None]).mean(1)


def strangeness(per_eyes: float, score: float) -> float:
    """How much a face-like region differs from human faces, in standard deviations. People are below MOST_STRANGE.

    per_eyes: of `face_per_eyes`; score: the analyser's probability of a human face, 0 to 1.
    """
    score = min(max(score, 1e-6), 1 - 1e-6)
    return (per_eyes - HUMAN) / SPREAD - DOUBT_WEIGHT * (math.log(score / (1 - score)) - SURE)
