"""Converts checkpoints of other authors to thgen's safetensors. It checks names and shapes and omits unused tensors."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from thgen.errors import WeightsError, shown
from thgen.training.export import History, export_weights
from thgen.weights.hub import fill
from thgen.weights.manifest import Entry


def _kept(name: str) -> str:
    return name


@dataclass(frozen=True)
class Part:
    """One released file.

    file:   its name in the folder; "" = the user names the file itself (`convert_file`)
    build:  constructor of its network
    unused: regular expression of tensor names that the released loader skips or that no code uses
    others: True ignores all unknown names, as the released loader does
    names:  name of a tensor in the file -> our name of it
    inside: key under which a training's checkpoint holds the tensors; "" = the file is the mapping itself
    sign:   regular expression of a tensor name by which `convert_file` knows the file
    """

    file: str
    build: Callable[[], nn.Module]
    unused: str = r"(?!)"
    others: bool = False
    names: Callable[[str], str] = _kept
    inside: str = ""
    sign: str = ""


LICENCE = "as released by the authors of the method; not thgen's to pass on"


def convert(method: str, parts: Mapping[str, Part], source: Path, weights: Path) -> dict[str, Entry]:
    """Convert the released files of a method. Returns the manifest entries.

    parts: weights name -> file, in folder `source` or in its `checkpoints`; weights: folder for the float32 results.
    Nothing is written unless all files fit. Raises WeightsError.
    """
    folder = source / "checkpoints" if (source / "checkpoints").is_dir() else source
    states = {name: _tensors(folder / part.file, part.inside) for name, part in parts.items()}
    files = {name: folder / part.file for name, part in parts.items()}
    return _export(method, parts, states, files, weights)


def convert_file(title: str, parts: Mapping[str, Part], path: Path, weights: Path) -> dict[str, Entry]:
    """Convert one released file, which is known by its tensors (`Part.sign`). Returns the manifest entries.

    parts: weights name -> possible content of the file. Nothing is written unless all of it fits. Raises WeightsError.
    """
    found: dict[str, Part] = {}
    states: dict[str, dict[str, Tensor]] = {}
    for name, part in parts.items():
        state = _tensors(path, part.inside)
        if any(re.search(part.sign, key) for key in state):
            found[name], states[name] = part, state
    if not found:
        raise WeightsError(f"{shown(str(path))} is no file of {title}: no tensor has a name of its networks.")
    return _export(title, found, states, dict.fromkeys(found, path), weights)


def _export(title: str, parts: Mapping[str, Part], states: Mapping[str, dict[str, Tensor]], files: Mapping[str, Path],
            weights: Path) -> dict[str, Entry]:  # fmt: skip
    networks: dict[str, tuple[dict[str, Tensor], dict[str, Any]]] = {}
    for name, part in parts.items():
        network = part.build()
        fill(files[name], network, _wanted(states[name], part, network))
        networks[name] = (network.state_dict(), dict(network.config))  # type: ignore[arg-type]
    origin = ", ".join(dict.fromkeys(path.name for path in files.values()))
    about = f"released by the authors of {title}, converted from {origin}"
    return export_weights(networks, ("*",), History("convert", about, 0, 0.0, "", {}), weights, licence=LICENCE)


def _tensors(path: Path, inside: str = "") -> dict[str, Tensor]:
    """The tensors of a file by name. No code of the file runs. Raises WeightsError."""
    if not path.is_file():
        raise WeightsError(f"{path} is missing; give the released files, or the folder that holds them.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise WeightsError(
            f"{path} is not a file of bare tensors, and nothing else is read from it ({reason})."
        ) from None
    if isinstance(state, dict) and inside in state:
        state = state[inside]
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise WeightsError(f"{path} is not a mapping from names to tensors, as the released files are.")
    return state


def _wanted(state: Mapping[str, Tensor], part: Part, network: nn.Module) -> dict[str, Tensor]:
    """The file's tensors under our names, without those to be ignored.

    A 1x1 convolution becomes the weight of a linear layer where we have one. Files of old PyTorch versions lack the
    counters of batch norm, which nothing reads at inference.
    """
    own, unused = network.state_dict(), re.compile(part.unused)
    given = {part.names(k): v for k, v in state.items() if part.names(k) in own or not unused.search(k)}
    kept = {k: v for k, v in given.items() if k in own or not part.others}
    flat = {k: v[..., 0, 0] for k, v in kept.items() if k in own and v.shape == (*own[k].shape, 1, 1)}
    counters = {k: v for k, v in own.items() if part.sign and k.endswith("num_batches_tracked")}
    return {**counters, **kept, **flat}
