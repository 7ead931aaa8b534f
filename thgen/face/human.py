"""Who is a face: people, and what has a human face (drawings, paintings, statues, dolls, robots, masks). No animals.

Most animals are refused by the analyser's score and by landmarks that wander (`look.Candidate.confidence`). Monkeys and
apes have two eyes, a nose and a mouth where people have them, and the analyser is nearly sure of them. What gives them
away is proportion: their eyes are close together beside the width of the head, the nose and the muzzle. People with
such proportions exist, but of them the analyser is sure. So both count, in one sum.

Measured (docs/measured.md, 2): 1,600 renders of 400 people, also turned by up to 45 degrees, reach 2.3; 160 renders far
from the mean (spread 1.6) 2.1; 20 real, drawn and painted people in 17 changes of light, size, tilt and sharpness 1.9,
stretched to 1.2 of their height 2.8; a clip of the wildest grimaces 2.6 in 95 % of its frames, 3.1 in 99 %. A monkey in
these changes has 2.9 (48 px tall) to 5.0, plain 4.2; with its eyes covered 1.6.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from thgen.analyser.network import Analysis

# Pairs of the 68 landmarks: the outer corners of the eyes; the width of the jaw, of the nose and of the brows and the
# length of the nose, which are compared with it.
EYE_CORNERS = (36, 45)
LENGTHS = ((0, 16), (31, 35), (17, 26), (27, 33))
# Mean and standard deviation of `face_per_eyes` of the renders, and the logit of the score that is usual for them.
HUMAN, SPREAD, SURE = -0.272, 0.0485, 6.0
DOUBT_WEIGHT = 0.5  # standard deviations of proportion that one unit of the logit makes up for
MOST_STRANGE = 2.85


def face_per_eyes(analysis: Analysis) -> np.ndarray:
    """How large each face of an analysis is beside the distance of its eyes: mean logarithm of LENGTHS, float64 [B].

    Distances in space, so the pose does not count. Of a monkey -0.12, of people -0.38 to -0.16 (98 % of the renders).
    """
    points = analysis.keypoints[:, :68].numpy().astype(np.float64)
    far, near = np.array(LENGTHS).T
    lengths = np.linalg.norm(points[:, far] - points[:, near], axis=2)
    across = np.linalg.norm(points[:, EYE_CORNERS[0]] - points[:, EYE_CORNERS[1]], axis=1)
    return np.log(np.maximum(lengths, 1e-6) / np.maximum(across, 1e-6)[:, None]).mean(1)


def strangeness(per_eyes: float, score: float) -> float:
    """How unlike a human face something is that looks like a face; people are below MOST_STRANGE.

    per_eyes: of `face_per_eyes`; score: probability of a human face, 0 to 1, by the analyser.
    """
    score = min(max(score, 1e-6), 1 - 1e-6)
    return (per_eyes - HUMAN) / SPREAD - DOUBT_WEIGHT * (math.log(score / (1 - score)) - SURE)
