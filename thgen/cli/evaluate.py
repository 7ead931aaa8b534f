"""`python -m thgen evaluate WHAT`: measure, print the table, and save it as JSON and markdown."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

# What -> (module with add_arguments(parser) and run(args) -> Report, one line of help).
EVALUATIONS: dict[str, tuple[str, str]] = {
    "reenact": ("thgen.evaluation.reports.reenact", "a method on unseen rendered people, between two bounds"),
    "table": ("thgen.evaluation.reports.table", "every method in the same way; resumable; writes README's table"),
    "talk": ("thgen.evaluation.reports.talk", "people who speak, driven by themselves: methods side by side"),
    "variance": ("thgen.evaluation.reports.variance", "how far each factor moves when one of them is driven"),
    "sliders": ("thgen.evaluation.reports.sliders", "how far a face moves when a slider asks for it"),
    "lids": ("thgen.evaluation.reports.lids", "eyes closed by parts, beside renders with truly closed eyes"),
    "ablation": ("thgen.evaluation.reports.ablation", "Rig's generator with one part switched off at a time"),
    "lips": ("thgen.evaluation.reports.lips", "lips against held-out voices, and on recordings"),
    "analyser": ("thgen.evaluation.reports.analyser", "landmarks, pose, gaze, lids and action units on unseen renders"),
    "segments": ("thgen.evaluation.reports.segments", "hair, face, neck, body and the rest: which pixels are right"),
    "hard": ("thgen.evaluation.reports.hard", "which clips of a training set the analyser reads worst, for data.hard"),
    "landmarks": ("thgen.evaluation.sheets.landmarks", "faces found in portraits, with their landmarks drawn"),
    "sheet": ("thgen.evaluation.sheets.contact", "portraits × sliders as one picture to look at"),
    "drives": ("thgen.evaluation.sheets.drive", "portraits × factors driven alone by a clip, as one picture"),
    "inputs": ("thgen.evaluation.sheets.inputs", "what the encoders of GC-AVT see of rendered frames, as one picture"),
    "curve": ("thgen.evaluation.sheets.curve", "validation scores of a training against its time, and a forecast"),
    "benchmark": ("thgen.evaluation.cost", "seconds per second of video, and peak memory"),
}
# Names of version 0.1 -> names of today. Both are understood.
OLD_NAMES = {"rig": "reenact"}
WHERE = ("out", "docs", "into", "sheet")  # arguments with output paths; the command on a report's page omits them


def add_parser(subparsers: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Add `evaluate` with one sub-command per evaluation."""
    parser = subparsers.add_parser("evaluate", help="measure a method")
    kinds = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    for name, (module, about) in EVALUATIONS.items():
        kind = kinds.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
        _add_arguments(kind, module)
    for old, name in OLD_NAMES.items():  # no help text, so `--help` does not list them
        _add_arguments(kinds.add_parser(old, description=f"Old name of {name}."), EVALUATIONS[name][0])
    return parser


def _add_arguments(kind: argparse.ArgumentParser, module: str) -> None:
    kind.add_argument("--out", default="out", metavar="DIR", help="where JSON and markdown go (default: out)")
    kind.add_argument("--docs", metavar="DIR", help="also write a page of the documentation there (docs/measured): "
                      "the table with its command, date, weights and machine")  # fmt: skip
    kind.add_argument("--into", metavar="FILE", help="also replace the table between the report's markers in this file "
                      "(README.md)")  # fmt: skip
    import_module(module).add_arguments(kind)
    kind.set_defaults(arguments=[action for action in kind._actions if action.dest not in ("help", *WHERE)])


def run(args: argparse.Namespace) -> int:
    """Measure and report; returns the exit status. Raises any ThgenError."""
    what = OLD_NAMES.get(args.what, args.what)
    if what != args.what:
        print(f"thgen: `evaluate {args.what}` is now called `evaluate {what}`.", file=sys.stderr)
    report = import_module(EVALUATIONS[what][0]).run(args)
    paths = list(report.write(Path(args.out)))
    if args.docs:
        paths += report.write_page(Path(args.docs), command_line(what, args.arguments, args))
    if args.into:
        paths.append(report.write_into(Path(args.into)))
    print(report.markdown())
    print("Written to " + " and ".join(str(p) for p in paths))
    return 0


def command_line(what: str, arguments: Sequence[argparse.Action], args: argparse.Namespace) -> str:
    """The command that repeats the measurement: arguments that differ from their defaults, without output paths."""
    words: list[str] = []
    positional: list[str] = []
    for action in arguments:
        value = getattr(args, action.dest)
        values = [str(v) for v in value] if isinstance(value, list) else [str(value)]
        if not action.option_strings:
            positional += values
        elif value != action.default:
            words += [action.option_strings[0], *(values if action.nargs != 0 else [])]
    return shlex.join(["python", "-m", "thgen", "evaluate", what, *positional, *words])
