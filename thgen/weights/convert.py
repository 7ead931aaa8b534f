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

from thgen.errors import WeightsError
from thgen.training.export import History, export_weights
from thgen.weights.hub import fill
from thgen.weights.manifest import Entry


@dataclass(frozen=True)
class Part:
    """One released file.

    build: constructor of its network; unused: regular expression of tensor names that the released loader skips or
    that no code uses; others: True ignores all unknown names, as the released loader does.
    """

    file: str
    build: Callable[[], nn.Module]
    unused: str = r"(?!)"
    others: bool = False


LICENCE = "as released by the authors of the method; not thgen's to pass on"


def convert(method: str, parts: Mapping[str, Part], source: Path, weights: Path) -> dict[str, Entry]:
    """Convert the released files of a method. Returns the manifest entries.

    parts: weights name -> file, in folder `source` or in its `checkpoints`; weights: folder for the float32 results.
    Nothing is written unless all files fit. Raises WeightsError.
    """
    folder = source / "checkpoints" if (source / "checkpoints").is_dir() else source
    networks: dict[str, tuple[dict[str, Tensor], dict[str, Any]]] = {}
    for name, part in parts.items():
        network = part.build()
        fill(folder / part.file, network, _wanted(folder / part.file, part, network))
        networks[name] = (network.state_dict(), dict(network.config))  # type: ignore[arg-type]
    about = f"released by the authors of {method}, converted from {', '.join(p.file for p in parts.values())}"
    return export_weights(networks, ("*",), History("convert", about, 0, 0.0, "", {}), weights, licence=LICENCE)


def _wanted(path: Path, part: Part, network: nn.Module) -> dict[str, Tensor]:
    """The file's tensors without those to be ignored. Raises WeightsError."""
    if not path.is_file():
        raise WeightsError(f"{path} is missing; give the folder that holds the released files.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise WeightsError(
            f"{path} is not a file of bare tensors, and nothing else is read from it ({reason})."
        ) from None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise WeightsError(f"{path} is not a mapping from names to tensors, as the released files are.")
    own = network.state_dict()
    unused = re.compile(part.unused)
    return {k: v for k, v in state.items() if k in own or not (part.others or unused.search(k))}
