"""Unseen people who speak, driven by their own clips: methods side by side, with factors held on demand.

Rows: the photo, unchanged; each method; the true frames (the errors of the measures). `evaluate table` measures the
same beside all else, and keeps its results.
"""

from __future__ import annotations

import argparse

from thgen.evaluation.groups import self_driving
from thgen.evaluation.groups.self_driving import COPY, TRUE
from thgen.evaluation.groups.store import Arrays
from thgen.evaluation.report import Report
from thgen.evaluation.scenes.speakers import talks
from thgen.evaluation.subject import Subject, load
from thgen.face.observe import Observer
from thgen.pipeline import available_methods
from thgen.schema import FPS
from thgen.synth.head.facekit import HeadMesh
from thgen.synth.voice import sets as voice_sets
from thgen.synth.voice import speech


def measure(
    subjects: list[Subject], observer: Observer, identities: int, frames: int, size: int, held: tuple[str, ...] = (),
    mesh: HeadMesh | None = None, voices: str = "espeak",
) -> Report:  # fmt: skip
    """One row per method, between the photo's and that of the true frames. Raises AssetError, ControlError."""
    for subject in subjects:
        for name in held:
            subject.method.declaration.factor(name)
    who: dict[str, Subject | None] = {COPY: None, **{subject.name: subject for subject in subjects}, TRUE: None}
    found: dict[str, list[Arrays]] = {row: [] for row in who}
    for talk in talks(range(identities), frames, size, mesh, voices):
        for row, asked in who.items():
            found[row].append(self_driving.measure(row, asked, talk, observer, held))
    name = "_".join(("talk", *(("held", *held) if held else ())))
    return Report(
        name, "People who speak, driven by themselves" + _but(held), self_driving.rows(found),
        f"{identities} unseen rendered people, {frames / FPS:.1f} s each. {self_driving.PROTOCOL}",
        {"size": size, "held": ", ".join(held), "frames": identities * len(self_driving.measured(frames)),
         "voices": voices},
        weights=tuple(dict.fromkeys(w for subject in subjects for w in subject.weights)),
    )  # fmt: skip


def _but(held: tuple[str, ...]) -> str:
    return f", {' and '.join(held)} held as in the first frame" if held else ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--methods", default="", help="names, comma separated (default: all)")
    parser.add_argument("--identities", type=int, default=50, help="unseen people to render (default: 50)")
    parser.add_argument("--frames", type=int, default=60, help="of each clip (default: 60)")
    parser.add_argument("--size", type=int, default=256, help="px of the crops (default: 256)")
    parser.add_argument("--held", default="", help="factors that stay as in the first frame, comma separated")
    voice_sets.add_argument(parser, "who speaks")
    parser.add_argument("--device", default="cpu")


def run(args: argparse.Namespace) -> Report:
    """Raises AssetError, ControlError, MethodError, WeightsError."""
    names, held = ([n.strip() for n in text.split(",") if n.strip()] for text in (args.methods, args.held))
    speech.require(args.voices)
    subjects = load(names or available_methods(), args.device)
    return measure(subjects, subjects[0].observer, args.identities, args.frames, args.size, tuple(held),
                   voices=args.voices)  # fmt: skip
