"""`weights convert lia FILE`: a released checkpoint of LIA (vox.pt, taichi.pt, ted.pt) -> thgen's safetensors.

The file is a mapping whose entry "gen" holds the generator. What a training of LIA saves beside it (discriminator,
optimizers, options) is read and dropped. Nothing is written unless every tensor fits.
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from thgen.errors import WeightsError, shown
from thgen.nn.lia import LIA
from thgen.training.export import History, export_weights
from thgen.weights.convert import LICENCE
from thgen.weights.hub import fill
from thgen.weights.manifest import Entry

NAME = "lia"  # of the weights
INSIDE = "gen"  # entry of the checkpoint that the released inference reads
# Classes of plain data, besides tensors, that a checkpoint may hold: the options of the training.
HARMLESS: list[Any] = [Namespace]


def convert_lia(path: Path, weights: Path, network: nn.Module | None = None) -> dict[str, Entry]:
    """Convert one checkpoint to `weights`/lia. Returns the manifest entries. Raises WeightsError.

    network: as `LIA`, of the sizes of the file; None: those of the released files.
    """
    state = _generator(path)
    network = network or LIA()
    fill(path, network, state)
    bad = [key for key, value in state.items() if not torch.isfinite(value).all()]
    if bad:
        raise WeightsError(f"{shown(str(path))} has values that are not finite in {bad[0]}; give the released file.")
    about = f"released by the authors of LIA, converted from {path.name}"
    networks = {NAME: (network.state_dict(), dict(network.config))}  # type: ignore[arg-type]
    return export_weights(networks, ("*",), History("convert", about, 0, 0.0, "", {}), weights, licence=LICENCE)


def _generator(path: Path) -> dict[str, Tensor]:
    """The generator's tensors by name. No code of the file runs. Raises WeightsError."""
    said = shown(str(path))
    if not path.is_file():
        raise WeightsError(f"{said} is missing; give the checkpoint that the authors of LIA released.")
    try:
        with torch.serialization.safe_globals(HARMLESS):
            saved = torch.load(path, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, OSError, EOFError, ValueError, LookupError, TypeError) as error:
        reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise WeightsError(
            f"{said} is not a file of bare tensors, and nothing else is read from it ({reason})."
        ) from None
    state = saved.get(INSIDE) if isinstance(saved, dict) else None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise WeightsError(f"{said} has no tensors under {INSIDE!r}, where LIA's checkpoints hold the generator.")
    return {str(key): value for key, value in state.items()}
