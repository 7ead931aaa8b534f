"""How alike two motions are: landmarks, pose, gaze, eye openness, action units, flow. Units as in `schema`.

All are means of absolute errors over the frames, zero for equal motions. Distances between landmarks are percent of
the true inter-ocular distance (outer corners of the eyes), so they do not depend on how large the face is.
"""

from __future__ import annotations

import numpy as np

from thgen.schema import ACTION_UNITS, AU_MAX, COEFFICIENTS

MOUTH = slice(48, 68)
EYE_CORNERS = (36, 45)


def inter_ocular(landmarks: np.ndarray) -> np.ndarray:
    """Distance of the outer eye corners, [T], of landmarks [T 68 2+] in their own unit."""
    return np.linalg.norm(landmarks[:, EYE_CORNERS[0], :2] - landmarks[:, EYE_CORNERS[1], :2], axis=-1)


def landmark_distance(predicted: np.ndarray, true: np.ndarray, points: slice = slice(0, 68)) -> float:
    """LMD: mean distance of landmarks [T 68 2+], percent of the true inter-ocular distance. `points`: which of them."""
    _same(predicted, true)
    distance = np.linalg.norm(predicted[:, points, :2] - true[:, points, :2], axis=-1)
    return float(100 * (distance.mean(1) / inter_ocular(true)).mean())


def mouth_distance(predicted: np.ndarray, true: np.ndarray) -> float:
    """LMD_m: as `landmark_distance`, over the mouth, after both mouths were moved to the same centre.

    So it judges the mouth's shape; where the mouth stands is the pose's business.
    """
    _same(predicted, true)
    a, b = predicted[:, MOUTH, :2], true[:, MOUTH, :2]
    distance = np.linalg.norm((a - a.mean(1, keepdims=True)) - (b - b.mean(1, keepdims=True)), axis=-1)
    return float(100 * (distance.mean(1) / inter_ocular(true)).mean())


def pose_error(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Mean absolute error of yaw, pitch, roll, degrees [3]; angles [T 3]. 359 degrees and -1 are the same angle."""
    _same(predicted, true)
    return np.abs((predicted - true + 180) % 360 - 180).mean(0)


def gaze_error(predicted: np.ndarray, true: np.ndarray) -> float:
    """Mean angle between lines of sight, degrees; yaw and pitch [... 2] in degrees."""
    _same(predicted, true)
    cosine = (_line_of_sight(predicted) * _line_of_sight(true)).sum(-1)
    return float(np.rad2deg(np.arccos(np.clip(cosine, -1, 1))).mean())


def openness_error(predicted: np.ndarray, true: np.ndarray) -> float:
    """Mean absolute error of eye openness [T 2], in percent points of the open eye."""
    _same(predicted, true)
    return float(np.abs(predicted - true).mean())


def action_units(coefficients: np.ndarray) -> np.ndarray:
    """Coefficients [... 57] -> intensities [... 23] of `schema.ACTION_UNITS` in order, 0 to 5: the mean of the unit's
    shapes, both sides, times 5."""
    columns = []
    for _, stems in ACTION_UNITS.values():
        own = [i for i, name in enumerate(COEFFICIENTS) if name.removesuffix("_L").removesuffix("_R") in stems]
        columns.append(np.clip(coefficients[..., own].mean(-1), 0, 1) * AU_MAX)
    return np.stack(columns, -1)


def action_unit_error(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Mean absolute error of each action unit's intensity (0 to 5), [23]; takes coefficients [T 57]."""
    _same(predicted, true)
    return np.abs(action_units(predicted) - action_units(true)).mean(0)


def flow_error(predicted: np.ndarray, true: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Mean end-point error of flow [... H W 2] (crop half-widths), percent of the half-width; over mask [... H W]."""
    _same(predicted, true)
    error = np.linalg.norm(predicted - true, axis=-1)
    chosen = error if mask is None else error[np.asarray(mask, bool)]
    return float(100 * chosen.mean())


def _line_of_sight(gaze: np.ndarray) -> np.ndarray:
    yaw, pitch = np.deg2rad(gaze[..., 0]), np.deg2rad(gaze[..., 1])
    return np.stack([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)], -1)


def _same(predicted: np.ndarray, true: np.ndarray) -> None:
    if predicted.shape != true.shape:
        raise ValueError(f"two motions of one shape are compared, not {predicted.shape} and {true.shape}")
