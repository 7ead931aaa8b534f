"""`python -m thgen train METHOD`: parse, load the stages, run them one after another."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from thgen.errors import TrainingError, shown
from thgen.training.ablations import load_ablations
from thgen.training.config import StageConfig, load_stage, preset_of, read_stages, with_new_keys


def add_parser(subparsers: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Add the command `train`."""
    p = subparsers.add_parser("train", help="train the networks of a method, stage by stage")
    p.add_argument("method", help="name of a folder of thgen/methods that has a config, e.g. rig")
    p.add_argument("--preset", default="", help="sizes of a published method: compact (default) or paper")
    p.add_argument("--stage", action="append", metavar="S", help="only this stage (repeatable; default: all, in order)")
    p.add_argument("--ablations", action="store_true", help="the ablations of the config (--stage: only these of them)")
    p.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    p.add_argument("--restart", action="store_true", help="delete the run's earlier checkpoints")
    p.add_argument("--dry-run", action="store_true", help="print the resolved config and stop")
    p.add_argument("--minutes", type=float, metavar="M", help="time limit per stage; then validate and export")
    p.add_argument("--fit", action="store_true", help="with --minutes: lay the learning-rate schedule over the time")
    p.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="e.g. --set losses.edges=0 (repeatable)"
    )
    p.add_argument("--smoke", action="store_true", help="two steps on next to no data, to see that it runs")
    p.add_argument("--threads", type=int, metavar="N", help="CPU threads of torch")
    p.add_argument("--cpu", action="store_true", help="leave a GPU alone")
    p.add_argument("--no-export", action="store_true", help="write checkpoints and curves only")
    p.add_argument("--config", type=Path, metavar="YAML", help="another config")
    p.add_argument("--runs", type=Path, default=Path("runs"), help="folder of checkpoints and curves (default: runs)")
    p.add_argument("--weights", type=Path, help="folder to export to (default: RUNS/METHOD/weights)")
    p.set_defaults(run=run)
    return p


def run(args: argparse.Namespace) -> int:
    """Exit status. Raises ThgenError."""
    configs = _ablations(args) if args.ablations else _configs(args)
    if args.dry_run:
        print(yaml.safe_dump({"stages": {c.name: _printable(c) for c in configs}}, sort_keys=False), end="")
        return 0
    if args.minutes is not None and not args.minutes >= 0:
        raise TrainingError(f"--minutes must be 0 or more, not {args.minutes}.")
    if args.fit and args.minutes is None:
        raise TrainingError("--fit lays the schedule over a time limit: give --minutes as well.")
    import torch

    from thgen.training.loop import RunOptions, leave_group, train
    from thgen.training.task import checked_class

    if args.threads is not None:
        if args.threads < 1:
            raise TrainingError(f"--threads must be 1 or more, not {args.threads}.")
        torch.set_num_threads(args.threads)
    for config in configs:  # errors about any stage come before the first one trains
        checked_class(config)
    options = RunOptions(
        runs=args.runs,
        weights=args.weights,
        resume=args.resume,
        restart=args.restart,
        minutes=args.minutes,
        fit=args.fit,
        export=not args.no_export,
        cpu=args.cpu,
    )
    try:
        for config in configs:
            # an ablation exports the same names as its stage
            own = options.runs / config.method / "ablations" / config.name
            train(config, replace(options, weights=own) if args.ablations and not args.weights else options)
    finally:
        leave_group()
    return 0


def _configs(args: argparse.Namespace) -> list[StageConfig]:
    """The chosen stages, with all their settings checked before anything is loaded. Raises TrainingError.

    Of several stages, `--set data.KEY=...` and `--set model.KEY=...` change those that have such a setting.
    """
    from thgen.training.task import imported, task_class

    overrides = with_new_keys("--set", _overrides(args.set))
    method = args.method if args.config else preset_of(args.method, args.preset)
    names = args.stage or list(read_stages(method, args.config))
    known = {}
    for name in names:
        task = imported(load_stage(method, name, args.config))
        known[name] = {f"data.{key}" for key in task.data_type.model_fields}
        known[name] |= {f"model.{key}" for key in task.model_type.model_fields}
    configs = []
    for name in names:
        others = set().union(*known.values()) - known[name]  # settings of other stages only
        own = {key: value for key, value in overrides.items() if ".".join(key.split(".")[:2]) not in others}
        configs.append(load_stage(method, name, args.config, own, args.smoke))
        task_class(configs[-1])
    return configs


def _ablations(args: argparse.Namespace) -> list[StageConfig]:
    """The chosen ablations, or all, with their settings checked. Raises TrainingError."""
    from thgen.training.task import task_class

    method = args.method if args.config else preset_of(args.method, args.preset)
    found = load_ablations(method, args.config, with_new_keys("--set", _overrides(args.set)), args.smoke)
    names = args.stage or list(found)
    if unknown := [name for name in names if name not in found]:
        raise TrainingError(
            f"There is no ablation {shown(unknown[0])} of {method!r}; choose one of: {', '.join(found)}."
        )
    for name in names:
        task_class(found[name])
    return [found[name] for name in names]


def _overrides(pairs: list[str]) -> dict[str, Any]:
    out = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise TrainingError(f"--set takes KEY=VALUE, not {pair!r}.")
        try:
            out[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise TrainingError(f"--set {pair}: the value is not valid YAML.") from error
    return out


def _printable(config: StageConfig) -> dict[str, Any]:
    return {k: v for k, v in config.to_dict().items() if k not in ("method", "name", "weights")}
