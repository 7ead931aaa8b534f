"""Copies exported weights into the bundled folder, if they are verified and not worse than the present ones."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from safetensors import safe_open

from thgen.errors import WeightsError
from thgen.training.export import replace_file
from thgen.weights.hub import METADATA_KEY, NETWORKS, Hub, load_network, verify
from thgen.weights.manifest import HIGHER, LOWER, MANIFEST, Entry, read_manifest, update_manifest


def source_of(name: str, runs: Path) -> Path:
    """The folder of exported weights: `name` itself, or RUNS/NAME/weights. Raises WeightsError."""
    for folder in (Path(name), runs / name / "weights"):
        if (folder / MANIFEST).is_file():
            return folder
    known = ", ".join(sorted(p.parent.parent.name for p in runs.glob(f"*/weights/{MANIFEST}"))) or "none"
    raise WeightsError(
        f"{name!r} is no folder of exported weights and no run in {runs}/; runs that have some: {known}."
    )


def bundle(
    source: Path,
    target: Path,
    names: Sequence[str] = (),
    force: bool = False,
    networks: Mapping[str, str] = NETWORKS,
) -> dict[str, list[str]]:
    """Copy weights with their manifest entries from the folder `source` to the folder `target`.

    names: weights to copy; empty: all of the source. force: copy them even if they are worse. Returns for each name the
    scores of the old weights that the new ones lack, which were not compared. Either all weights are written or none.
    Raises WeightsError for weights that differ from their manifest or do not fit their network. Without force it also
    raises WeightsError if a score is worse or no score can be compared.
    """
    if source.resolve() == target.resolve():
        raise WeightsError(f"{source} is the folder to copy to; name the folder that a training exported to.")
    entries = read_manifest(source)
    if unknown := [n for n in names if n not in entries]:
        raise WeightsError(f"There are no weights {', '.join(unknown)} in {source}; it has: {', '.join(entries)}.")
    chosen = {name: entries[name] for name in names or entries}
    old = read_manifest(target) if (target / MANIFEST).is_file() else {}
    contents, faults = {}, []
    for name, entry in chosen.items():
        load_network(name, weights_dir=source, hub=Hub(None), networks=networks)
        contents[name] = verify(name, source).read_bytes()
        if name in old:
            stages = _stage(source / entry.file), _stage(target / old[name].file)
            faults += [f"{name}: {fault}" for fault in other_stage(*stages) or worse(entry, old[name])]
    if faults and not force:
        raise WeightsError(f"Not bundled, --force would do it nevertheless: {'; '.join(faults)}.")
    for name, entry in chosen.items():
        replace_file(target / entry.file, contents[name])
    update_manifest(target, chosen)
    for name in chosen:
        verify(name, target)
    return {n: sorted(old[n].scores.keys() - e.scores.keys()) for n, e in chosen.items() if n in old}


def _stage(file: Path) -> str:
    """The stage that exported a file, for example "pd_fgc.compact/1"; "" if it is not noted or the file is absent."""
    if not file.is_file():
        return ""
    with safe_open(file, "pt") as tensors:
        about = json.loads((tensors.metadata() or {}).get(METADATA_KEY, "{}"))
    return str(about.get("stage", ""))


def other_stage(new: str, old: str) -> list[str]:
    """A sentence if two different stages exported the weights, else an empty list.

    Scores with the same name then measure different things. Parts of a network that one stage does not train would
    replace parts that a later stage has trained.
    """
    if not new or not old or new == old:
        return []
    return [f"the stage {new} exported it, the bundled weights {old}, so their scores cannot be compared"]


def worse(new: Entry, old: Entry) -> list[str]:
    """A sentence for each score in which `new` is worse than `old`. `new.better` gives the direction (Task.better)."""
    shared = [name for name in new.better if name in new.scores and name in old.scores]
    if not shared:
        return ["it shares no score with the bundled weights, so nobody knows whether it is better"]
    faults = []
    for name in shared:
        now, before = new.scores[name], old.scores[name]
        if (now > before and new.better[name] == LOWER) or (now < before and new.better[name] == HIGHER):
            faults.append(f"{name} is {now:g}, bundled {before:g} ({new.better[name]} is better)")
    return faults
