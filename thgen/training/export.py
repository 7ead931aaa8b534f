"""Averaged weights -> <folder>/<name>/model.safetensors in fp16 with config and history, and a manifest entry.

The folder belongs to the run. `thgen.weights.bundle` copies from it to the bundled weights.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from thgen.errors import TrainingError
from thgen.weights.hub import METADATA_KEY, NETWORKS, describe, load_network
from thgen.weights.manifest import BUNDLED, LICENCE, MANIFEST, Entry, read_manifest, update_manifest

FP16_MAX = 65504.0
FROM_BUNDLED = "bundled"  # `init` of a stage that starts from exported or bundled weights, see `continue_bundled`


@dataclass(frozen=True)
class History:
    """How the weights were made, for the file and the manifest. better: score -> HIGHER or LOWER."""

    stage: str
    data: str
    steps: int
    minutes: float
    hardware: str
    scores: Mapping[str, float]
    better: Mapping[str, str] = field(default_factory=dict)


def folder_of(name: str, exported: Path | str) -> Path:
    """The folder from which the weights `name` are loaded: `exported`, of a run, if it has them, else BUNDLED."""
    folder = Path(exported)
    here = str(exported) and (folder / MANIFEST).is_file() and name in read_manifest(folder)
    return folder if here else BUNDLED


def continue_bundled(
    own: Mapping[str, tuple[Mapping[str, Tensor], Mapping[str, Any]]],
    exported: Path,
    networks: Mapping[str, str] = NETWORKS,
) -> str:
    """Fill the networks of `Task.networks()` in place, from the folders of `folder_of`. Returns words for the manifest.

    Raises TrainingError if a bundled network has other shapes, WeightsError if it cannot be loaded.
    """
    words = []
    for name, (state, _) in own.items():
        folder = folder_of(name, exported)
        bundled = load_network(name, weights_dir=folder, networks=networks).state_dict()
        differing = sorted(
            k for k in {*state, *bundled} if k not in state or k not in bundled or state[k].shape != bundled[k].shape
        )
        if differing:
            raise TrainingError(
                f"The bundled weights of {name!r} are of another network ({differing[0]} differs): start from an "
                'earlier stage, or with init: "" from random weights.'
            )
        for key, value in state.items():
            value.copy_(bundled[key])
        words.append(f"{name} {describe(name, weights_dir=folder)['sha256'][:12]}")
    return "; continued from " + ", ".join(words)


def export_weights(
    exported: Mapping[str, tuple[Mapping[str, Tensor], Mapping[str, Any]]],
    float32: tuple[str, ...],
    history: History,
    folder: Path,
    networks: Mapping[str, str] = NETWORKS,
    licence: str = LICENCE,
) -> dict[str, Entry]:
    """Write networks of `Task.export()` into the weights folder. Returns the manifest entries.

    float32: patterns (fnmatch) of names of tensors that stay float32. Raises TrainingError for values outside of fp16's
    range and for a class key that `thgen.weights.hub` does not know.
    """
    entries = {}
    for name, (state, raw) in exported.items():
        config = dict(raw)
        network = config.pop("class", name)
        if network not in networks:
            raise TrainingError(
                f"The export {name!r} has the class key {network!r}, which hub.NETWORKS does not list; add it."
            )
        tensors = {key: _shrunk(name, key, value, float32) for key, value in state.items()}
        about = {
            "network": network,
            "config": config,
            "stage": history.stage,
            "data": history.data,
            "steps": history.steps,
            "minutes": round(history.minutes, 1),
            "hardware": history.hardware,
            "scores": {k: float(f"{v:.4g}") for k, v in history.scores.items()},
            "better": {k: v for k, v in history.better.items() if k in history.scores},
        }
        # One key only: the order of several keys differs from run to run.
        content = save(tensors, metadata={METADATA_KEY: json.dumps(about, sort_keys=True)})
        file = f"{name}/model.safetensors"
        replace_file(folder / file, content)
        del about["stage"]
        entries[name] = Entry(
            file=file, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content), licence=licence, **about
        )
    update_manifest(folder, entries)
    return entries


def _shrunk(name: str, key: str, value: Tensor, float32: tuple[str, ...]) -> Tensor:
    value = value.detach().cpu().contiguous()
    if not value.is_floating_point():
        return value.clone()
    if not torch.isfinite(value).all():
        raise TrainingError(f"The tensor {key} of {name!r} is not finite; the training has diverged.")
    if any(fnmatch.fnmatch(key, pattern) for pattern in float32):
        return value.float().clone()
    if value.numel() and value.abs().max() > FP16_MAX:
        raise TrainingError(f"The tensor {key} of {name!r} exceeds fp16; list it in the task's float32 patterns.")
    return value.to(torch.float16)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file by renaming: a reader gets the old content or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(content)
    part.replace(path)
