"""Motion of each factor while one factor is driven: PD-FGC's table VI (eq. I), for any method, beside the truth.

Unseen rendered people are driven by the performances of others, one factor at a time. The same people are also
*rendered* with this one factor taken from the performance. Motion that the analyser measures there in other factors is
its own error.
"""

from __future__ import annotations

import argparse
from collections import defaultdict

import numpy as np

from thgen.evaluation.metrics.motion import mean_deviation
from thgen.evaluation.metrics.readings import read_factors
from thgen.evaluation.report import Report, Value
from thgen.evaluation.scenes.speakers import STATE_FACTORS, performances
from thgen.evaluation.subject import Subject, load, without_idle
from thgen.evaluation.subject import add_arguments as add_subject_arguments
from thgen.methods.base import Factors, Identity
from thgen.pipeline import Targets, targets
from thgen.schema import FPS
from thgen.settings import Controls, OneOf, default, specs
from thgen.synth.head.facekit import HeadMesh
from thgen.synth.voice import sets as voice_sets
from thgen.synth.voice import speech

# Factor -> name and unit of the analyser's measurement.
READ = {"lip": "mouth", "pose": "head pose, °", "blink": "lids, %", "gaze": "gaze, °", "expression": "expression"}
EVERY = 4  # every fourth frame is measured
METHOD, RENDERS = "method", "renders"  # kinds of frames
Readings = dict[tuple[str, str, str], list[np.ndarray]]  # kind, factor that is read, factor driven -> per person [T D]


def driven_alone(subject: Subject, identity: Identity, factor: str, clip: Factors, voice: Factors,
                 undriven: str) -> Targets:  # fmt: skip
    """Targets of all frames when one factor is driven alone, by the voice where a voice can drive it."""
    track = voice.get(factor, clip.get(factor))
    assert track is not None
    controls = without_idle(subject.method.declaration, undriven=undriven)
    return targets(subject.method, identity, controls, frames=len(track), driven={factor: track}, voiced=tuple(voice))


def measure(
    subject: Subject, identities: int, frames: int, size: int, undriven: str, mesh: HeadMesh | None = None,
    voices: str = "espeak",
) -> Report:  # fmt: skip
    """Both tables, the method's and the renderer's. Raises AssetError; ControlError where zero means nothing."""
    without_idle(subject.method.declaration, undriven=undriven)
    driven = tuple(name for name in STATE_FACTORS if subject.method.declaration.has(name))
    readings: Readings = defaultdict(list)
    for act in performances(identities, frames, size, EVERY, mesh, voices):
        identity = subject.photo(act.photo)
        clip, voice = subject.clip(act.driver), subject.method.encode_audio(act.voice, frames)
        for factor in driven:
            target = driven_alone(subject, identity, factor, clip, voice, undriven)
            results = {METHOD: subject.pictures(identity, target, EVERY), RENDERS: act.alone[factor]}
            for kind, pictures in results.items():
                for name, values in read_factors(subject.observer, pictures, act.landmarks).items():
                    readings[kind, name, factor].append(values)
    rows = [row for kind in (METHOD, RENDERS) for row in _rows(readings, kind, subject.name, driven)]
    return Report(
        "_".join(("variance", subject.name, *(("zero",) if undriven == "zero" else ()))),
        f"Method {subject.name}: one factor driven, the others {undriven}", rows,
        f"{identities} unseen rendered people, each driven by {frames / FPS:.1f} s of another's performance (lips by "
        "the voice), one factor at a time. Eq. I of PD-FGC: mean distance of a factor, as the analyser reads it, from "
        "its mean over the clip. Numbers can be compared within a row only. Own : leak is the entry of the driven "
        "factor over the largest other entry of its row. Renders: the same people rendered with this factor alone; "
        "they show what the analyser itself confuses.",
        {"size": size, "frames": identities * len(range(0, frames, EVERY)), "undriven": undriven, "voices": voices},
        weights=subject.weights,
    )  # fmt: skip


def _rows(readings: Readings, kind: str, name: str, driven: tuple[str, ...]) -> list[dict[str, Value]]:
    out: list[dict[str, Value]] = []
    for row in driven:
        values = {factor: mean_deviation(readings[kind, row, factor]) for factor in driven}
        leak = max((v for factor, v in values.items() if factor != row), default=0.0)
        label = f"{name if kind == METHOD else kind}: {READ[row]}"
        columns: dict[str, Value] = {f"drives {factor}": value for factor, value in values.items()}
        out.append({"": label, **columns, "own : leak": values[row] / max(leak, 1e-9)})
    return out


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
