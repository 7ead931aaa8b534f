"""Errors between two motions: landmarks, pose, gaze, eye openness, action units, flow. Units as in `schema`.

Errors are mean absolute errors over the frames; equal motions have an error of 0. Landmark distances are percent of the
true inter-ocular distance (between the outer corners of the eyes), so they do not depend on the size of the face.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from thgen.evaluation.metrics.statistics import correlation
from thgen.facs import intensities_of

MOUTH = slice(48, 68)  # of the 68 landmarks
EYE_CORNERS = (36, 45)  # landmarks at the outer corners of the eyes
OPEN_EYE = 30.0  # % of the open eye: below it the iris is hidden, so the gaze is not scored
INNER_UPPER_LIP, INNER_LOWER_LIP = (61, 62, 63), (67, 66, 65)  # opposite landmarks in the same order


def inter_ocular(landmarks: np.ndarray) -> np.ndarray:
    """Distance of the outer eye corners, [T], of landmarks [T 68 2+] in their own unit."""
    return np.linalg.norm(landmarks[:, EYE_CORNERS[0], :2] - landmarks[:, EYE_CORNERS[1], :2], axis=-1)


def landmark_distance(
    predicted: np.ndarray, true: np.ndarray, points: slice = slice(0, 68), size: int | None = None
) -> float:
    """LMD: mean distance of landmarks [T 68 2+], in percent of the true inter-ocular distance.

    points: which of the 68 landmarks count. size: px of the crop in whose coordinates the landmarks are; then the
    result is in px, as in papers. Raises ValueError for different shapes.
    """
    _same(predicted, true)
    distance = np.linalg.norm(predicted[:, points, :2] - true[:, points, :2], axis=-1)
    return _mean_distance(distance, true, size)


def mouth_distance(predicted: np.ndarray, true: np.ndarray, size: int | None = None) -> float:
    """LMD of the mouth: as `landmark_distance`, over the mouth's 20 landmarks, both mouths moved to one centre.

    It measures the shape of the mouth only. The position depends on the pose, which `pose_error` measures.
    """
    _same(predicted, true)
    a, b = predicted[:, MOUTH, :2], true[:, MOUTH, :2]
    distance = np.linalg.norm((a - a.mean(1, keepdims=True)) - (b - b.mean(1, keepdims=True)), axis=-1)
    return _mean_distance(distance, true, size)


def _mean_distance(distance: np.ndarray, true: np.ndarray, size: int | None) -> float:
    """Mean of distances [T N] in crop coordinates: in px of a crop of `size` px, or in percent of the inter-ocular
    distance of the true landmarks."""
    if size is not None:
        return float(distance.mean() * size / 2)
    return float(100 * (distance.mean(1) / inter_ocular(true)).mean())


def pose_error(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Mean absolute error of yaw, pitch and roll in degrees, [3]; angles [T 3]. 359° and -1° are the same angle."""
    _same(predicted, true)
    return np.abs((predicted - true + 180) % 360 - 180).mean(0)


def gaze_error(predicted: np.ndarray, true: np.ndarray) -> float:
    """Mean angle between two lines of sight in degrees; each is yaw and pitch [... 2] in degrees."""
    _same(predicted, true)
    cosine = (_line_of_sight(predicted) * _line_of_sight(true)).sum(-1)
    return float(np.rad2deg(np.arccos(np.clip(cosine, -1, 1))).mean())


def openness_error(predicted: np.ndarray, true: np.ndarray) -> float:
    """Mean absolute error of eye openness [T 2], in percent points of the open eye."""
    _same(predicted, true)
    return float(np.abs(predicted - true).mean())


def action_unit_error(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Mean absolute error of each action unit's intensity (0 to 5), [23]; takes coefficients [T 57]."""
    _same(predicted, true)
    return np.asarray(np.abs(intensities_of(predicted) - intensities_of(true)).mean(0))


def action_unit_correlation(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Pearson's r of each action unit's intensity, [23]; takes coefficients [N 57].

    NaN for a unit that is constant. Most faces show few units, so a small mean error alone proves little.
    """
    _same(predicted, true)
    pairs = zip(intensities_of(predicted).T, intensities_of(true).T, strict=True)
    return np.array([correlation(a, b) for a, b in pairs])


def lip_gap(landmarks: np.ndarray) -> np.ndarray:
    """Mean gap between the inner lips of landmarks [T 68 2+], percent of the inter-ocular distance, [T]."""
    upper, lower = landmarks[:, INNER_UPPER_LIP, :2], landmarks[:, INNER_LOWER_LIP, :2]
    return np.asarray(100 * np.linalg.norm(upper - lower, axis=-1).mean(1) / inter_ocular(landmarks))


def mean_deviation(clips: Sequence[np.ndarray]) -> float:
    """How far features of clips [T D] move: mean distance from their mean over the clip, in the features' unit.

    Eq. I of PD-FGC (Wang et al., CVPR 2023), (1 / N) sum_i (1 / T_i) sum_t || f_it - mean_t f_it ||_2. The paper calls
    it a variance, but it takes the norm, not its square.
    """
    return float(np.mean([np.linalg.norm(clip - clip.mean(0), axis=1).mean() for clip in clips]))


def flow_error(predicted: np.ndarray, true: np.ndarray, mask: np.ndarray | None = None) -> float:
    """EPE: mean distance of two flows [... H W 2] in crop half-widths, as percent of the half-width.

    mask: bool [... H W], only these pixels count.
    """
    _same(predicted, true)
    error = np.linalg.norm(predicted - true, axis=-1)
    chosen = error if mask is None else error[np.asarray(mask, bool)]
    return float(100 * chosen.mean())


def _line_of_sight(gaze: np.ndarray) -> np.ndarray:
    yaw, pitch = np.deg2rad(gaze[..., 0]), np.deg2rad(gaze[..., 1])
    return np.stack([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)], -1)


def _same(predicted: np.ndarray, true: np.ndarray) -> None:
    if predicted.shape != true.shape:
        raise ValueError(f"both motions must have one shape, not {predicted.shape} and {true.shape}")
