"""Motion of a face for each slider value, measured by the analyser, beside renders with exactly the requested motion.

The analyser itself has errors, and the renders show them. The difference between result and render is the error of the
method.
"""

from __future__ import annotations

import argparse

import numpy as np

from thgen.evaluation.metrics.appearance import psnr, region_mask
from thgen.evaluation.metrics.readings import read_factors
from thgen.evaluation.report import Report, Value
from thgen.evaluation.scenes.held_out import FIRST_IDENTITY, clip_source
from thgen.evaluation.scenes.moved import AXES, moved_state
from thgen.evaluation.subject import Subject, load, without_idle
from thgen.evaluation.subject import add_arguments as add_subject_arguments
from thgen.methods.base import Identity
from thgen.pipeline import targets
from thgen.schema import SLIDERS
from thgen.synth.head.facekit import HeadMesh
from thgen.synth.head.performer import State

# Slider -> values that users probably try.
ASKED: dict[str, tuple[float, ...]] = {
    "pose.yaw": (-20, 20), "pose.pitch": (-12, 12), "pose.roll": (-12, 12),
    "gaze.yaw": (-20, -10, 10, 20), "gaze.pitch": (-12, 12), "blink.openness": (50, 0),
}  # fmt: skip


def stills(subject: Subject, identity: Identity) -> np.ndarray:
    """Stills uint8 [1 + N S S 3]: without a slider, then each value of each slider, in the order of ASKED."""
    asked: list[dict[str, float]] = [{}, *({s: value} for s, values in ASKED.items() for value in values)]
    made = []
    for values in asked:
        controls = without_idle(subject.method.declaration, values=values)
        made.append(subject.pictures(identity, targets(subject.method, identity, controls)))
    return np.concatenate(made)


def measure(subject: Subject, identities: int, size: int, mesh: HeadMesh | None = None) -> Report:
    """One row for each value of each slider. Raises ControlError for a method without these sliders."""
    for slider in ASKED:
        subject.method.declaration.control(slider)
    source = clip_source(size, size, mesh)
    asked = [(slider, value) for slider, values in ASKED.items() for value in values]
    per_person: dict[str, list[list[float]]] = {"renders": [], "results": [], "psnr": [], "copy": []}
    for i in range(identities):
        states = [State.neutral(), *(moved_state(slider, value) for slider, value in asked)]
        clip = source.clip(source.performer(FIRST_IDENTITY + i), states, np.random.default_rng((FIRST_IDENTITY, 9, i)))
        made = stills(subject, subject.photo(clip.frames[0]))
        landmarks = clip.keypoints[0, :68]
        for kind, frames in (("renders", clip.frames), ("results", made)):
            read = read_factors(subject.observer, frames, landmarks)
            per_person[kind].append([_moved(read, slider, 1 + k) for k, (slider, _) in enumerate(asked)])
        mask = region_mask(landmarks, "eyes", size)
        true = clip.frames[1:]
        per_person["psnr"].append([psnr(frame, t, mask) for frame, t in zip(made[1:], true, strict=True)])
        per_person["copy"].append([psnr(clip.frames[0], t, mask) for t in true])
    means = {kind: np.mean(values, 0) for kind, values in per_person.items()}
    rows: list[dict[str, Value]] = []
    for k, (slider, value) in enumerate(asked):
        rows.append({
            "slider": slider, "asked": f"{value:g} {SLIDERS[slider].unit}",
            "render, read": float(means["renders"][k]), "result, read": float(means["results"][k]),
            "PSNR eyes": float(means["psnr"][k]), "of the photo alone": float(means["copy"][k]),
        })  # fmt: skip
    return Report(
        f"sliders_{subject.name}", f"Method {subject.name}: sliders, asked and read", rows,
        f"{identities} unseen rendered people at rest, one slider at a time. Read: by the analyser, as a change from "
        "the frame without sliders (openness: in % of that frame's). The renders moved exactly as asked, so their "
        "readings are the analyser's own scale. PSNR: dB around the eyes, against the renders.",
        {"size": size}, weights=subject.weights,
    )  # fmt: skip


def _moved(read: dict[str, np.ndarray], slider: str, frame: int) -> float:
    """What the slider moves, in a frame: its change from frame 0, in the slider's unit."""
    factor, _, axis = slider.partition(".")
    if factor == "blink":
        return float(100 * (read["blink"][frame] / read["blink"][0]).mean())
    number = AXES.index(axis)
    return float(read[factor][frame, number] - read[factor][0, number])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_subject_arguments(parser, 12)


def run(args: argparse.Namespace) -> Report:
    """Raises AssetError, ControlError, MethodError, WeightsError."""
    (subject,) = load([args.method], args.device)
    return measure(subject, args.identities, args.size)
