"""`python -m thgen evaluate WHAT`: measure, print the table, keep it as JSON and markdown."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

from thgen.evaluation.reports import lips

# what -> (module with add_arguments(parser) and run(args) -> Report, one line of help)
EVALUATIONS: dict[str, tuple[str, str]] = {
    "rig": ("thgen.evaluation.reports.reenact", "a method on unseen rendered people, beside a floor and a ceiling"),
    "variance": ("thgen.evaluation.reports.variance", "how far every factor moves when one of them is driven"),
    "talk": ("thgen.evaluation.reports.talk", "people who speak, driven by themselves: methods side by side"),
    "ablation": ("thgen.evaluation.reports.ablation", "Rig's generator with one part switched off at a time"),
    "analyser": ("thgen.evaluation.reports.analyser", "landmarks, pose, gaze, lids and action units on unseen renders"),
    "hard": ("thgen.evaluation.scenes.hard", "which clips of a training set the analyser reads worst, for data.hard"),
    "landmarks": ("thgen.evaluation.sheets.landmarks", "faces found in portraits, with their landmarks drawn"),
    "segments": ("thgen.evaluation.reports.segments", "hair, face, neck, body and the rest told apart"),
    "sheet": ("thgen.evaluation.sheets.contact", "portraits × sliders as one picture to look at"),
    "sliders": ("thgen.evaluation.reports.sliders", "how far a face moves that a slider tells to"),
    "drives": ("thgen.evaluation.sheets.drive", "portraits × factors driven alone by a clip, as one picture"),
    "curve": ("thgen.evaluation.sheets.curve", "validation scores of a training against its time, and a forecast"),
    "benchmark": ("thgen.evaluation.cost", "seconds per second of video, and peak memory"),
}


def add_parser(subparsers: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Add `evaluate` with one sub-command per evaluation."""
    parser = subparsers.add_parser("evaluate", help="measure a method")
    kinds = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    for name, (module, about) in EVALUATIONS.items():
        kind = kinds.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
        kind.add_argument("--out", default="out", metavar="DIR", help="where JSON and markdown go (default: out)")
        import_module(module).add_arguments(kind)
    lips.add_parser(kinds)
    return parser


def run(args: argparse.Namespace) -> int:
    """Measure and report; returns the exit status. Raises any ThgenError."""
    if args.what == "lips":  # voices, not pictures: it has its own form of report, with plots
        return lips.run(args)
    report = import_module(EVALUATIONS[args.what][0]).run(args)
    paths = report.write(Path(args.out))
    print(report.markdown())
    print("Written to " + " and ".join(str(p) for p in paths))
    return 0
