"""Eyes that close by parts, beside renders of the same person with truly closed eyes.

A render has the same pose, hair and light with every lid. So the difference between result and render is the error of
the method's lids, and of nothing else.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import cv2
import numpy as np

from thgen.evaluation.metrics.appearance import LUMA
from thgen.evaluation.report import Report, Value
from thgen.evaluation.scenes.held_out import FIRST_IDENTITY, clip_source
from thgen.evaluation.scenes.moved import moved_state
from thgen.evaluation.subject import Subject, load, without_idle
from thgen.evaluation.subject import add_arguments as add_subject_arguments
from thgen.methods.base import Identity
from thgen.pipeline import targets
from thgen.synth.head import facekit as fk
from thgen.synth.head.facekit import HeadMesh
from thgen.synth.head.performer import State

CLOSINGS = (25, 50, 75, 100)  # % of the photo's own opening
POSE, GAZE = (
    (20, 8, 12),
    (12, 8),
)  # degrees: largest yaw, pitch and roll of a photo, and largest yaw and pitch of its eyes
COLUMNS = ("error", "of the open eye", "edges above the lid", "render's", "open eye's", "change outside")
EYES = (range(36, 42), range(42, 48))  # landmarks
LEFT_OPEN = 0.08  # share of the open eyes' px that a render with closed eyes may show
MOST_TRIED = 4  # people who are rendered per person who is measured, at most
# Widths of an eye: an orbit reaches this far around the landmarks of its eye. Beyond, up to the second, nothing counts:
# a lid may fade out there.
ORBIT, FADE = 0.35, 0.6


def states(rng: np.random.Generator) -> list[State]:
    """A person at rest with open eyes, and the same with each of CLOSINGS; a random pose and gaze, the same for all."""
    rest = State.neutral()
    pose, gaze = rest.pose.copy(), rest.gaze.copy()
    pose[:3] = rng.uniform(-1, 1, 3) * POSE
    gaze[:] = rng.uniform(-1, 1, 2) * GAZE
    rest = replace(rest, pose=pose, gaze=gaze)
    closed = (moved_state("blink.openness", 100 - closing).coefficients for closing in CLOSINGS)
    return [rest, *(replace(rest, coefficients=coefficients) for coefficients in closed)]


def stills(subject: Subject, identity: Identity) -> np.ndarray:
    """Stills uint8 [1 + N S S 3] of a photo: as it is, and closed by each of CLOSINGS."""
    made = []
    for closing in (0, *CLOSINGS):
        controls = without_idle(subject.method.declaration, values={"blink.openness": 100 - closing})
        made.append(subject.pictures(identity, targets(subject.method, identity, controls)))
    return np.concatenate(made)


def lids_hold(parts: np.ndarray) -> bool:
    """Whether a render with closed eyes shows no eyeball. Large eyeballs of some people come through their lids.

    parts: classes of facekit.PART_NAMES [1 + N S S], the first with open eyes, the last with closed ones.
    """
    shown, left = (int(np.isin(parts[k], (fk.EYE_L, fk.EYE_R)).sum()) for k in (0, -1))
    return left <= LEFT_OPEN * shown


def orbits(landmarks: np.ndarray, size: int, reach: float) -> np.ndarray:
    """bool [size size]: up to `reach` widths of an eye around the eyes of landmarks [68 2+] in crop coordinates."""
    points = (np.asarray(landmarks, np.float64)[:, :2] + 1) / 2 * size
    mask = np.zeros((size, size), bool)
    for eye in EYES:
        one = np.zeros((size, size), np.uint8)
        cv2.fillConvexPoly(one, cv2.convexHull(np.rint(points[list(eye)]).astype(np.int32)), 1)
        step = max(1, round(reach * float(np.linalg.norm(points[eye[3]] - points[eye[0]]))))
        mask |= cv2.dilate(one, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * step + 1, 2 * step + 1))) > 0
    return mask


def above_lids(open_eyes: np.ndarray, now: np.ndarray, size: int) -> np.ndarray:
    """bool [size size]: the lids between the margins `now` and the crease of the open eyes; landmarks [68 2+] of both.

    Margins themselves do not belong to it: the lid's own lash line is no edge that is left.
    """
    was, moved = ((np.asarray(x, np.float64)[:, :2] + 1) / 2 * size for x in (open_eyes, now))
    mask = np.zeros((size, size), np.uint8)
    for eye in EYES:
        first, second = was[eye[0]], was[eye[3]]
        down = np.array([first[1] - second[1], second[0] - first[0]]) / max(float(np.linalg.norm(second - first)), 1e-6)
        upper, lower = was[list(eye[1:3])], was[[eye[5], eye[4]]]
        height = float(((lower - upper) @ down).mean())
        top = upper - 0.5 * height * down
        margin = moved[list(eye[1:3])] - 0.2 * height * down
        if float(((margin - top) @ down).min()) > 1:
            outline = np.concatenate(
                [first[None] - 0.3 * height * down, top, second[None] - 0.3 * height * down, margin[::-1]]
            )
            cv2.fillPoly(mask, [np.rint(outline).astype(np.int32)], 1)
    return mask.astype(bool)


def edges(image: np.ndarray, mask: np.ndarray) -> float:
    """Mean gradient of the luma over a mask, in levels (of 255) per px. image: uint8 RGB [S S 3]. NaN for no px."""
    down, right = np.gradient(image.astype(np.float64) @ LUMA)
    return float(np.hypot(down, right)[mask].mean()) if mask.any() else float("nan")


def measure(subject: Subject, identities: int, size: int, mesh: HeadMesh | None = None) -> Report:
    """One row for each of CLOSINGS. Raises ControlError for a method without the slider of the lids."""
    subject.method.declaration.control("blink.openness")
    source = clip_source(size, size, mesh)
    per_person: list[list[list[float]]] = []
    tried = 0
    while len(per_person) < identities and tried < MOST_TRIED * identities:
        rng = np.random.default_rng((FIRST_IDENTITY, 16, tried))
        clip = source.clip(source.performer(FIRST_IDENTITY + tried), states(rng), rng)
        tried += 1
        if lids_hold(clip.segmentation):
            made = stills(subject, subject.photo(clip.frames[0]))
            per_person.append(compare(made, clip.frames, clip.keypoints[:, :68]))
    means = np.nanmean(np.array(per_person).reshape(-1, len(CLOSINGS), len(COLUMNS)), 0)
    rows: list[dict[str, Value]] = [
        {"closed": f"{closing} %", **dict(zip(COLUMNS, map(float, values), strict=True))}
        for closing, values in zip(CLOSINGS, means, strict=True)
    ]
    return Report(
        f"lids_{subject.name}", f"Method {subject.name}: eyes that close", rows,
        f"{len(per_person)} unseen rendered people at rest, with a random pose and gaze. The method closes their open "
        "eyes; the renders have closed the same share. "
        f"{tried - len(per_person)} people were left out: in their renders the eyeballs come through closed lids. "
        "Error: mean difference in the orbits, in levels of 255; of the open eye: the same for the photo as it is. "
        "Edges: mean gradient of the lids between margin and crease, in levels per px; a lid should have as many as "
        "the render's. Change outside: mean difference that closing makes more than "
        f"{FADE:g} widths of an eye away from the eyes, in levels.",
        {"size": size}, weights=subject.weights,
    )  # fmt: skip


def compare(made: np.ndarray, true: np.ndarray, landmarks: np.ndarray) -> list[list[float]]:
    """The numbers of each closing, in the order of COLUMNS.

    made, true: uint8 [1 + N S S 3], the first with open eyes. landmarks [1 + N 68 2+] of `true`.
    """
    size = true.shape[1]
    orbit, outside = orbits(landmarks[0], size, ORBIT), ~orbits(landmarks[0], size, FADE)
    rows = []
    for k in range(1, len(true)):
        lid = above_lids(landmarks[0], landmarks[k], size)
        rows.append([
            _difference(made[k], true[k], orbit), _difference(true[0], true[k], orbit),
            edges(made[k], lid), edges(true[k], lid), edges(true[0], lid), _difference(made[k], made[0], outside),
        ])  # fmt: skip
    return rows


def _difference(one: np.ndarray, other: np.ndarray, mask: np.ndarray) -> float:
    """Mean difference of two pictures uint8 [S S 3] over a mask, in levels."""
    return float(np.abs(one.astype(np.float64) - other)[mask].mean())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_subject_arguments(parser, 12)


def run(args: argparse.Namespace) -> Report:
    """Raises AssetError, ControlError, MethodError, WeightsError."""
    (subject,) = load([args.method], args.device)
    return measure(subject, args.identities, args.size)
