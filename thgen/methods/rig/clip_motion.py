"""Factors of a driving clip, from the change of its keypoints.

A network that reads coefficients from a picture cannot tell a person from an expression. The change of the keypoints
within one clip has no such doubt, because it shows one person. So a clip is read in these steps:
    rest    the keypoints of its quiet frames, without pose
    change  keypoints of each frame, without pose, minus the rest
    fit     bounded coefficients whose change of the keypoints is nearest to it (`explain`); the two sides of the face
            are independent of each other
    lids    each eye's openness is what expression and gaze leave to the blink, relative to the eye's own open state
What a clip at rest shows besides the person is added: parted lips are measured, a strong expression is read.
A weight of 0 then means a closed mouth and a neutral face, an openness of 100 an open eye, a gaze of 0 straight ahead.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.signal import wiener
from torch import Tensor

from thgen.compact.keypoint_rig import BROWS, EYE_RINGS, LID_PAIRS, LIP_PAIRS, MOUTH_CORNERS, KeypointRig
from thgen.compact.slider_motion import own_factors
from thgen.encoder.reader import ReadFaces
from thgen.face.track import smooth
from thgen.methods.base import Factors
from thgen.methods.rig.clip_gaze import clip_gaze
from thgen.methods.rig.expression_prior import usual_motion
from thgen.nn.coefficients import gaze_shapes, pick, place
from thgen.nn.geometry import euler_angles
from thgen.nn.sampling import smoothstep
from thgen.schema import BLINK_COEFFICIENTS, COEFFICIENT_INDEX, EXPRESSION_COEFFICIENTS, FACTORS, LIP_COEFFICIENTS

FITTED = (*LIP_COEFFICIENTS, *EXPRESSION_COEFFICIENTS, *BLINK_COEFFICIENTS)
LOWEST, HIGHEST = -0.35, 1.3  # weights of the fit: the rest of a clip may smile or frown a little
STEPS = 300  # of the fit; the weights then change by less than 0.001
# cm^2: the larger, the more the usual motion counts beside the keypoints. Of 0.01, 0.03 and 0.1, on six rendered clips,
# this one gave the least error of expressions without taking size from brows and corners.
PRIOR = 0.03
ALONE = 0.25  # share of the usual motion in which each coefficient moves alone: one brow, one corner of the mouth
LEAST = 1e-3  # variance that every coefficient has at least, so that an unusual face can be explained, too
POINTS = 0.1  # weight of each keypoint; a measurement weighs 1 to 3, since it loses no size to the noise of others
# Share of a true change of the mouth's width that the face encoder reads: 0.82 on 80 unseen rendered clips. On real
# ones it varies, 0.67 to 1.02 where the mouth moves: with 0.85 none is asked for more than 1.2 of its width.
WIDTH_READ = 0.85
DEPTH = 0.3  # weight of a keypoint's depth, which a picture hardly shows
QUIET = 0.25  # share of the frames with the smallest lip gap, which are the rest
STILL = 0.1  # lip gap, cm, that makes no difference
PARTED = (0.25, 0.6)  # lip gap at rest, cm: shut below the first, which is above the noise; truly open above the second
CERTAIN = 0.3  # weight of a shape at rest that may be the person, and not the expression
MIN_EYE = 0.5  # height of an open eye, as a part of the canonical one, at least: else a sleeper would count as awake
CLOSED = 0.1  # height at which a closed eye is still read, as a part of the open one
# Window of the smoothing, s: short for fast factors, so that blinks and lip closures remain.
SMOOTHING = {"lip": 0.12, "pose": 0.28, "gaze": 0.16, "blink": 0.08, "expression": 0.28}
# Standard deviation of the analyser's noise, in units of the factor. Motion below it is removed, larger motion stays.
NOISE = {"lip": 0.012, "pose": 0.15, "gaze": 0.5, "blink": 1.5, "expression": 0.02}
NOISE_FRAMES = 7  # window in which motion is compared with the noise

# Keypoints of the measurements, by their numbers among the 68 landmarks.
NOSE = (27, 30)  # bridge and tip
MOUTH = (48, 54)  # outer corners, left and right in the image


def clip_factors(rig: KeypointRig, faces: ReadFaces) -> Factors:
    """Every factor of a clip of T frames, each [T D] on the CPU in the units of schema.FACTORS; the head's shift is 0.

    A single frame has no change, so its factors are those that the analyser reads.
    """
    if len(faces) == 1:
        return own_factors(faces.analysis)
    faces = faces.to(rig.canonical.device)
    analysis, read = faces.analysis, own_factors(faces.analysis)
    posed = rig.unpose(faces.keypoints)
    quiet = quiet_frames(rig, posed.shape)
    rest = posed.shape[quiet].median(0).values
    gaze = clip_gaze(rig, faces.keypoints, posed, read["gaze"])
    followed = _lids_of_gaze(gaze)
    change = posed.shape - rest - rig.displaced(followed - followed[quiet].median(0).values)
    weights = explain(rig, change, as_read(rig))
    expression = pick(weights, EXPRESSION_COEFFICIENTS)
    weights = weights + rest_weights(rig, rest, analysis.coefficients[quiet].median(0).values)
    factors = {
        "lip": pick(weights, LIP_COEFFICIENTS),
        "pose": torch.cat([_pose(analysis.pose, posed.rotation), read["pose"][:, 3:]], 1),
        "gaze": gaze,
        "blink": openness(rig, posed.shape - rig.displaced(followed + place(expression, EXPRESSION_COEFFICIENTS))),
        "expression": pick(weights, EXPRESSION_COEFFICIENTS),
    }
    return {name: _calm(name, factors[name]) for name in FACTORS}


def quiet_frames(rig: KeypointRig, shape: Tensor) -> Tensor:
    """Which frames of a clip are its rest, bool [T]: those whose lips are nearest to each other. shape [T K 3].

    Where the mouth hardly moves, all frames are; the median of their keypoints is then the usual face.
    """
    gap = rig.lip_gap(shape)
    return gap <= gap.quantile(QUIET) + STILL


def measurements(rig: KeypointRig) -> Tensor:
    """Linear measures of a face as rows [M K 3]: their product with a change of the keypoints is a change in cm.

    They are differences of neighbouring keypoints, so an error of the head's place is not in them: lip gaps, width and
    height of the mouth's corners, height of each part of each brow above its eye, opening of each eye.
    """
    rows: list[Tensor] = []

    def add(plus: tuple[int, ...], minus: tuple[int, ...], axis: int, weight: float) -> None:
        row = torch.zeros_like(rig.canonical)
        row[list(plus), axis] += weight / len(plus)
        row[list(minus), axis] -= weight / len(minus)
        rows.append(row)

    for upper, lower in LIP_PAIRS:
        add((upper,), (lower,), 1, 2.0)
    for left, right in (MOUTH, MOUTH_CORNERS):
        add((right,), (left,), 0, 2.0)
    for corner in MOUTH:
        add((corner,), NOSE, 1, 2.0)
    for side, ring in enumerate(EYE_RINGS):
        for point in BROWS[side]:
            add((point,), (ring[0], ring[3]), 1, 1.0)
        for upper, lower in LID_PAIRS[side]:
            add((upper,), (lower,), 1, 3.0)
    return torch.stack(rows)


def as_read(rig: KeypointRig) -> Tensor:
    """What the face encoder reads of a true change by 1 of each of `measurements`, [M]."""
    share = rig.canonical.new_ones(len(measurements(rig)))
    share[len(LIP_PAIRS) : len(LIP_PAIRS) + 2] = WIDTH_READ
    return share


def explain(rig: KeypointRig, change: Tensor, read: Tensor | float = 1.0) -> Tensor:
    """Weights [T 57] that explain a change of keypoints [T K 3], cm in head axes. Those not in FITTED are 0.

    read: what a true change by 1 of each of `measurements` is in `change`, [M] or a number, see `as_read`.

    Least squares with the usual motion of faces as a prior, within LOWEST and HIGHEST, by an accelerated projected
    gradient (Beck & Teboulle 2009).
    """
    point = change.new_tensor([POINTS, POINTS, POINTS * DEPTH]) * ((rig.layer == 0) | (rig.layer == 3))[:, None]
    rows = measurements(rig).flatten(1)

    def seen(moved: Tensor, share: Tensor | float = 1.0) -> Tensor:
        return torch.cat([(moved * point).flatten(1), moved.flatten(1) @ rows.T / share], 1)

    columns = [COEFFICIENT_INDEX[name] for name in FITTED]
    basis = seen(rig.basis[columns])
    system = basis @ basis.T + _penalty().to(basis)
    wanted = seen(change, read) @ basis.T
    step = 1 / torch.linalg.eigvalsh(system)[-1]
    best = ahead = torch.zeros_like(wanted)
    pace = 1.0
    for _ in range(STEPS):
        new = (ahead - step * (ahead @ system - wanted)).clamp(LOWEST, HIGHEST)
        faster = (1 + (1 + 4 * pace * pace) ** 0.5) / 2
        ahead, best, pace = new + (pace - 1) / faster * (new - best), new, faster
    return place(best, FITTED)


def _penalty() -> Tensor:
    """Matrix [n n] of the penalty of weights in the order of FITTED: PRIOR over their usual motion."""
    columns = [COEFFICIENT_INDEX[name] for name in FITTED]
    usual = usual_motion()[np.ix_(columns, columns)]
    own = np.diag(ALONE * usual.diagonal() + LEAST)
    return torch.from_numpy(PRIOR * np.linalg.inv((1 - ALONE) * usual + own)).float()


def rest_weights(rig: KeypointRig, rest: Tensor, read: Tensor) -> Tensor:
    """Weights [57] of a clip's rest [K 3]: what it shows besides the person. read [57]: coefficients that were read.

    An expression counts as far as it is stronger than CERTAIN. Lips are read, and scaled to the measured gap; lips that
    are shut have no weight.
    """
    expression = pick(read[None], EXPRESSION_COEFFICIENTS)
    certain = expression.sign() * (expression.abs() - CERTAIN).clamp_min(0)
    lips = place(pick(read[None], LIP_COEFFICIENTS).clamp_min(0), LIP_COEFFICIENTS)
    gap = rig.lip_gap(rest[None]) - rig.lip_gap(rig.canonical[None])
    parted = smoothstep(gap, *PARTED)
    missing = gap - _gap(rig, place(expression, EXPRESSION_COEFFICIENTS))
    jaw = place(torch.ones_like(gap)[:, None], ("jawOpen",))
    # Lips that were read as shut although they are open: the jaw opens them.
    lips = lips + jaw * ((missing - 2 * _gap(rig, lips)) / _gap(rig, jaw)).clamp(0, 1)[:, None]
    share = (missing / _gap(rig, lips).clamp_min(1e-3)).clamp(0, 2)
    return (place(certain, EXPRESSION_COEFFICIENTS) + (parted * share)[:, None] * lips)[0]


def openness(rig: KeypointRig, shape: Tensor) -> Tensor:
    """Openness [T 2] in % (left, right eye) of shapes [T K 3] from which all but the blinks has been removed.

    100 is the eye's own open state, which the clip shows at its widest.
    """
    height = _eye_height(shape)
    widest = height.quantile(0.9, dim=0, keepdim=True).maximum(MIN_EYE * _eye_height(rig.canonical[None]))
    return (100 * (height / widest - CLOSED) / (1 - CLOSED)).clamp(0, 140)


def _lids_of_gaze(gaze: Tensor) -> Tensor:
    """Weights [T 57] with which the lids follow a gaze [T 4]. They belong to the gaze, so the fit must not see them."""
    return gaze_shapes(gaze.unflatten(1, (2, 2)))


def _pose(read: Tensor, rotation: Tensor) -> Tensor:
    """Pose [T 3] in degrees: the mean of the pose that was read and the rotation of the keypoints [T 3 3].

    Each has errors of its own; the rotation, which depends on the person's proportions, gives its change alone.
    """
    turned = euler_angles(rotation)
    return (read + turned - turned.median(0).values + read.median(0).values) / 2


def _gap(rig: KeypointRig, weights: Tensor) -> Tensor:
    """Lip gap [T], cm, that weights [T 57] add to a closed mouth."""
    return rig.lip_gap(rig.displaced(weights))


def _eye_height(shape: Tensor) -> Tensor:
    """Height of the eyes' openings, cm, [T 2] (left, right), of shapes [T K 3]."""
    return torch.stack([torch.stack([shape[:, a, 1] - shape[:, b, 1] for a, b in p]).mean(0) for p in LID_PAIRS], 1)


def _calm(name: str, track: Tensor) -> Tensor:
    """A factor [T D] without lag and noise: a local quadratic, then Wiener's filter, which leaves what exceeds the
    noise."""
    values = smooth(track.cpu().numpy(), SMOOTHING[name])
    if len(values) >= NOISE_FRAMES:
        edge = NOISE_FRAMES // 2
        padded = np.pad(values, ((edge, edge), (0, 0)), mode="edge")
        with np.errstate(divide="ignore", invalid="ignore"):  # where nothing moves, its variance is 0
            values = wiener(padded, (NOISE_FRAMES, 1), NOISE[name] ** 2)[edge:-edge]
    return torch.from_numpy(values).float()
