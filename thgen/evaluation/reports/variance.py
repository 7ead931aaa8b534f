"""Motion of each factor while one factor is driven: PD-FGC's table VI (eq. I), for one method, beside the truth.

`evaluate table` measures the same for all methods, with the other factors as in the photo, and keeps its results. Here
they may be zero, as in the paper.
"""

from __future__ import annotations

import argparse

from thgen.evaluation.groups import one_factor
from thgen.evaluation.groups.one_factor import EVERY, RENDERS
from thgen.evaluation.groups.store import Arrays
from thgen.evaluation.report import Report
from thgen.evaluation.scenes.speakers import performances
from thgen.evaluation.subject import Subject, load, without_idle
from thgen.evaluation.subject import add_arguments as add_subject_arguments
from thgen.schema import FPS
from thgen.settings import Controls, OneOf, default, specs
from thgen.synth.head.facekit import HeadMesh
from thgen.synth.voice import sets as voice_sets
from thgen.synth.voice import speech


def measure(
    subject: Subject, identities: int, frames: int, size: int, undriven: str, mesh: HeadMesh | None = None,
    voices: str = "espeak",
) -> Report:  # fmt: skip
    """Both tables, the method's and the renderer's. Raises AssetError; ControlError where zero means nothing."""
    without_idle(subject.method.declaration, undriven=undriven)
    found: dict[str, list[Arrays]] = {subject.name: [], RENDERS: []}
    for act in performances(range(identities), frames, size, EVERY, mesh, voices):
        for row, asked in ((subject.name, subject), (RENDERS, None)):
            found[row].append(one_factor.measure(row, asked, act, subject.observer, undriven))
    return Report(
        "_".join(("variance", subject.name, *(("zero",) if undriven == "zero" else ()))),
        f"Method {subject.name}: one factor driven, the others {undriven}",
        [row for name, people in found.items() for row in one_factor.rows(name, people)],
        f"{identities} unseen rendered people, {frames / FPS:.1f} s each. {one_factor.PROTOCOL}",
        {"size": size, "frames": identities * len(range(0, frames, EVERY)), "undriven": undriven, "voices": voices},
        weights=subject.weights,
    )  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    spec = specs(Controls)["undriven"]
    assert isinstance(spec, OneOf)
    value = default(Controls, "undriven")
    add_subject_arguments(parser, 12)
    parser.add_argument("--frames", type=int, default=100, help="of each performance (default: 100)")
    parser.add_argument("--undriven", "--others", choices=spec.options, default=value, help=f"{spec.info} (default: "
                        f"{value}); --others is its name of version 0.1")  # fmt: skip
    voice_sets.add_argument(parser, "who speaks")


def run(args: argparse.Namespace) -> Report:
    """Raises AssetError, ControlError, MethodError, WeightsError."""
    speech.require(args.voices)
    (subject,) = load([args.method], args.device)
    return measure(subject, args.identities, args.frames, args.size, args.undriven, voices=args.voices)
