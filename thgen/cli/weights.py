"""`python -m thgen weights list|fetch|verify|push|convert|bundle`."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

from thgen.errors import WeightsError, shown
from thgen.methods import METHODS
from thgen.weights import hub
from thgen.weights.manifest import BUNDLED, read_manifest


def released() -> dict[str, str]:
    """Name of a method, with or without its preset -> the module that lists the files of its authors."""
    known = [method for method in METHODS.values() if method.released]
    return {name: m.released for m in known for name in (m.name, m.name.partition(".")[0])}


def add_parser(subparsers: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Add the command `weights`."""
    p = subparsers.add_parser("weights", help="list, fetch, verify, publish, convert or bundle weights")
    p.add_argument("action", choices=("list", "fetch", "verify", "push", "convert", "bundle"))
    p.add_argument(
        "names", nargs="*", help="names in weights/manifest.json (default: all); convert: a method and the folder of "
        "the files that its authors released, or arcface, lia or wav2lip and one file; you must trust these files; "
        "bundle: a folder that a training exported to, or the name of its run (rig, pd_fgc.compact), and which of its "
        "weights (default: all)",
    )  # fmt: skip
    p.add_argument("--runs", type=Path, default=Path("runs"), help="bundle: folder of the runs (default: runs)")
    p.add_argument("--force", action="store_true", help="bundle: also weights whose scores are worse")
    p.add_argument("--weights", type=Path, default=BUNDLED, help="weights folder (default: the bundled one)")
    p.set_defaults(run=run)
    return p


def run(args: argparse.Namespace) -> int:
    """Exit status. Raises WeightsError."""
    if args.action == "convert":
        _convert(args.names, args.weights)
        return 0
    if args.action == "bundle":
        _bundle(args.names, args.weights, args.runs, args.force)
        return 0
    entries = read_manifest(args.weights)
    unknown = [n for n in args.names if n not in entries]
    if unknown:
        known = ", ".join(entries) or "none"
        raise WeightsError(f"There are no weights {', '.join(unknown)}; the manifest lists: {known}.")
    names = args.names or list(entries)
    {"list": _list, "fetch": _fetch, "verify": _verify, "push": _push}[args.action](names, args.weights)
    return 0


def _list(names: list[str], folder: Path) -> None:
    entries = read_manifest(folder)
    for name in names:
        about = hub.describe(name, folder)
        present = "" if about["source"] == "hub" or (folder / entries[name].file).is_file() else " (missing)"
        print(f"{about['text']}{present}")
        scores = ", ".join(f"{k} {v:g}" for k, v in about["scores"].items())
        print(f"    {entries[name].bytes / 1e6:.2f} MB, {entries[name].licence}{'; ' if scores else ''}{scores}")


def _fetch(names: list[str], folder: Path) -> None:
    for name in names:
        print(f"{name}: {hub.resolve(name, folder)}")


def _verify(names: list[str], folder: Path) -> None:
    faults = []
    for name in names:
        try:
            print(f"{name}: {hub.verify(name, folder)} is what the manifest says")
        except WeightsError as error:
            faults.append(str(error))
    if faults:
        raise WeightsError(" ".join(faults))


def _convert(names: list[str], folder: Path) -> None:
    from thgen.weights import convert_lia
    from thgen.weights.convert import convert, convert_file
    from thgen.weights.released import SINGLE_FILES

    if len(names) != 2:
        raise WeightsError(
            "Say what to convert: python -m thgen weights convert pd_fgc FOLDER, arcface FILE or lia FILE"
        )
    modules, source = released(), Path(names[1])
    if names[0] == convert_lia.NAME:
        entries = convert_lia.convert_lia(source, folder)
    elif names[0] in SINGLE_FILES:
        entries = convert_file(*SINGLE_FILES[names[0]], source, folder)
    elif names[0] in modules:
        entries = convert(names[0], import_module(modules[names[0]]).FILES, source, folder)
    else:
        known = ", ".join([*modules, *SINGLE_FILES, convert_lia.NAME])
        raise WeightsError(f"There is no converter for {shown(names[0])}; choose one of: {known}.")
    for name, entry in entries.items():
        print(f"{name}: {folder / entry.file}, {entry.bytes / 1e6:.1f} MB, SHA-256 {entry.sha256[:12]}")


def _bundle(names: list[str], folder: Path, runs: Path, force: bool) -> None:
    from thgen.weights.bundle import bundle, source_of

    if not names:
        raise WeightsError("Say what to bundle: python -m thgen weights bundle FOLDER_OR_NAME [WEIGHTS ...]")
    source = source_of(names[0], runs)
    uncompared = bundle(source, folder, names[1:], force)
    entries = read_manifest(folder)
    for name in names[1:] or read_manifest(source):
        left = uncompared.get(name)
        note = f"; not compared, as the new weights lack them: {', '.join(left)}" if left else ""
        print(f"{name}: {folder / entries[name].file}, SHA-256 {entries[name].sha256[:12]}{note}")


def _push(names: list[str], folder: Path) -> None:
    if not names:
        raise WeightsError("There are no weights to publish.")
    commit = hub.push(names, folder)
    print(f"pushed {', '.join(names)} at {commit}; commit weights/manifest.json, which pins it now")
