"""A method on unseen rendered people, driven by themselves and by others, between a lower and an upper bound.

copy       lower bound: the photo, unchanged
true flow  upper bound: the photo warped by the true flow, which is perfect motion without painting of hidden regions
true       the true frames: only the errors of the analyser, which every row contains
"""

from __future__ import annotations

import argparse

import cv2
import numpy as np

from thgen.evaluation.metrics.reenactment import frame_scores, means_of
from thgen.evaluation.report import Report, Value
from thgen.evaluation.scenes.held_out import HeldOut, flow_size, held_out
from thgen.evaluation.subject import Subject, load
from thgen.evaluation.subject import add_arguments as add_subject_arguments
from thgen.synth.head.facekit import HeadMesh

COPY, SELF, CROSS, FLOW, TRUE = ROWS = (
    "copy the source (floor)", "self-driven", "cross-driven", "true flow (ceiling)", "the true frames",
)  # fmt: skip
Answer = tuple[np.ndarray, np.ndarray | None]  # frames uint8 [T S S 3], and their flow [T F F 2] where it is known


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_subject_arguments(parser, 50)
    parser.add_argument("--frames", type=int, default=4, help="driven frames of each (default: 4)")


def run(args: argparse.Namespace) -> Report:
    """Raises AssetError, MethodError, WeightsError."""
    (subject,) = load([args.method], args.device)
    return measure(subject, args.identities, args.frames, args.size)


def measure(subject: Subject, identities: int, frames: int, size: int, mesh: HeadMesh | None = None) -> Report:
    """Renders people, drives them, compares the results with the true frames."""
    scores: dict[str, list[dict[str, float]]] = {name: [] for name in ROWS}
    for person in held_out(identities, frames, size, flow_size(size), mesh=mesh):
        for name, (images, flow) in _answers(subject, person).items():
            scores[name] += frame_scores(images, flow, person.clip, subject.observer)
    rows: list[dict[str, Value]] = [{"": name, **means_of(scores[name])} for name in ROWS]
    relative = subject.method.declaration.relative
    return Report(
        f"reenact_{subject.name}", f"Method {subject.name} on held-out renders", rows,
        f"{identities} rendered people that no training used × {frames} independent states. Self-driven: the person's "
        "own frames drive; their values are taken as they are. Cross-driven: another person in the same states drives, "
        + ("and the change from that person's first frame counts. " if relative
           else "again by values (the method has no relative motion). ") +
        "LMD: distance of the 68 landmarks, which the analyser finds in the result, from the true ones, % of the "
        "inter-ocular distance; LMD mouth: of the mouth's 20, after moving both mouths to one centre. EPE: end-point "
        "error of the flow over the visible head, % of half the crop's width. Pose, gaze and openness: the analyser on "
        "the result against the truth. All of these contain the analyser's own errors: see the row of the true frames.",
        {"size": size, "frames": identities * frames}, weights=subject.weights,
    )  # fmt: skip


def _answers(subject: Subject, person: HeldOut) -> dict[str, Answer]:
    """Row -> its frames 1 to T."""
    clip = person.clip
    photo, wanted, side = clip.frames[0], len(clip.frames) - 1, clip.flow.shape[1]
    identity = subject.photo(photo)
    out: dict[str, Answer] = {
        COPY: (np.repeat(photo[None], wanted, 0), np.zeros_like(clip.flow[1:])),
        FLOW: (np.stack([warp(photo, flow) for flow in clip.flow[1:]]), clip.flow[1:]),
        TRUE: (clip.frames[1:], clip.flow[1:]),
    }
    drivers = {SELF: (clip, "absolute"), CROSS: (person.driver, "relative")}
    for row, (driver, motion) in drivers.items():
        if driver is not None:
            target = subject.reenact(identity, subject.states(driver.frames), motion)
            out[row] = subject.pictures_and_flow(identity, target, side)
    return out


def warp(photo: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Photo uint8 [S S 3] sampled at p + flow(p); flow [F F 2] in half-widths -> uint8 [S S 3]."""
    size = photo.shape[0]
    full = cv2.resize(flow, (size, size), interpolation=cv2.INTER_LINEAR) * (size / 2)
    x, y = np.meshgrid(np.arange(size, dtype=np.float32), np.arange(size, dtype=np.float32))
    return cv2.remap(photo, x + full[..., 0], y + full[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
