"""What leaks: how much of the known truth, and of the identity, a linear probe reads from each latent of a method."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from thgen.evaluation.groups.store import Arrays
from thgen.evaluation.metrics.probes import explained, explained_by_chance, identified
from thgen.evaluation.report import Value
from thgen.evaluation.scenes.speakers import Talk
from thgen.evaluation.subject import Subject
from thgen.face.observe import Observer
from thgen.schema import COEFFICIENT_INDEX, EXPRESSION_COEFFICIENTS, LIP_COEFFICIENTS
from thgen.synth.clip import ClipTruth

EVERY = 3  # every third frame is probed: neighbours say nearly the same
TRUTH = "the truth"  # the row of no method, whose latents are the true values
CODE, KNOWN = "code ", "true "  # beginnings of names in the results
PROBED = ("pose", "gaze", "lids", "lips")  # what is read, in the order of the columns
IDENTITY, CHANCE, BY_CHANCE = "identity %", "R² by chance", "identity by chance %"
PROTOCOL = (
    f"One frame of {EVERY}. Ridge regression from one latent of a frame to the true pose (yaw, pitch, roll), gaze "
    "(yaw, pitch), openness of the lids and weights of the lips' shapes: R² on people whom the probe has not seen, in "
    "five groups. By chance: the same with the truth exchanged among all frames, the highest of the four. Identity: "
    "share of frames whose person is named; the probe learns the first half of each person's clip and names the "
    "second. A person's camera and way of moving are part of the identity here, and people nod and blink with their "
    "words: the rows of the truth show what codes of the true values alone reach. More than that is a leak."
)


def measure(row: str, subject: Subject | None, talk: Talk, observer: Observer) -> Arrays:
    """Latents of the probed frames and what is true of them: "code <name>" -> [N D], "true <name>" -> [N K].

    row: a method's name with its subject, or TRUTH without one.
    """
    codes = _true_codes(talk.clip) if subject is None else {
        name: values.numpy() for name, values in subject.latents(talk.clip.frames).items()
    }  # fmt: skip
    found = {CODE + name: values for name, values in codes.items()} | _truth(talk.clip)
    return {name: values[::EVERY].astype(np.float32) for name, values in found.items()}


def _columns(names: Sequence[str]) -> list[int]:
    return [COEFFICIENT_INDEX[name] for name in names]


def _true_codes(clip: ClipTruth) -> Arrays:
    """The true values of the common factors, each [T D]."""
    return {
        "lip": clip.coefficients[:, _columns(LIP_COEFFICIENTS)], "pose": clip.pose, "blink": clip.openness,
        "gaze": clip.gaze.reshape(len(clip.gaze), -1),
        "expression": clip.coefficients[:, _columns(EXPRESSION_COEFFICIENTS)],
    }  # fmt: skip


def _truth(clip: ClipTruth) -> Arrays:
    """What is read, each [T K], in the units of thgen.schema."""
    known = (clip.pose[:, :3], clip.gaze.mean(1), clip.openness.mean(1, keepdims=True),
             clip.coefficients[:, _columns(LIP_COEFFICIENTS)])  # fmt: skip
    return {KNOWN + name: values for name, values in zip(PROBED, known, strict=True)}


def rows(name: str, people: Sequence[Arrays]) -> list[dict[str, Value]]:
    """One row for each latent of a method. people: their results of `measure`."""
    out: list[dict[str, Value]] = []
    for key in (k for k in people[0] if k.startswith(CODE)):
        codes = [person[key] for person in people]
        truths = {name: [person[KNOWN + name] for person in people] for name in PROBED}
        chance = [explained_by_chance(codes, truth) for truth in truths.values()]
        label = f"{name}: {key.removeprefix(CODE)} ({codes[0].shape[1]})"
        out.append({
            "": label, **{f"{name} R²": explained(codes, truth) for name, truth in truths.items()},
            CHANCE: float(np.max(chance)), IDENTITY: 100 * identified(codes), BY_CHANCE: 100 / len(people),
        })  # fmt: skip
    return out
