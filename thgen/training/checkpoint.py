"""Checkpoints. A training that resumes from one takes the same steps as one that was never interrupted.

runs/<method>/<stage>/step-00001000/
    modules.safetensors     <module>/<key>: parameters and buffers
    averaged.safetensors    <module>/<key>: averaged parameters
    optimiser.safetensors   <optimizer>/<parameter number>/<key>: moments and step counts
    rng-<process>.safetensors
    state.json              step, minutes, scores, config: all that is not a tensor

No pickles. A checkpoint is written under another name and then renamed, so an interrupted save damages none.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.training_utils import EMAModel
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from thgen.errors import TrainingError

KEEP = 2  # checkpoints of a run; older ones are deleted


def latest(folder: Path) -> Path | None:
    """The newest complete checkpoint of a run."""
    complete = sorted(p for p in folder.glob("step-*") if (p / "state.json").is_file() and p.suffix != ".part")
    return complete[-1] if complete else None


def begin(folder: Path, step: int) -> Path:
    """An empty folder for the checkpoint of `step`, which does not count before `finish`."""
    part = folder / f"step-{step:08d}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    return part


def finish(part: Path, state: Mapping[str, Any]) -> Path:
    """Write `state`, flush, rename the folder, and delete all but the newest checkpoints. Returns the new folder."""
    with open(part / "state.json", "w", encoding="utf-8") as file:
        json.dump(state, file, indent=1, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    final = part.with_suffix("")
    shutil.rmtree(final, ignore_errors=True)
    part.rename(final)
    for old in sorted(p for p in final.parent.glob("step-*") if p.suffix != ".part")[:-KEEP]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def read_state(checkpoint: Path) -> dict[str, Any]:
    """The content of state.json. Raises TrainingError."""
    try:
        return json.loads((checkpoint / "state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"The checkpoint {checkpoint} cannot be read ({error}); delete it and resume.") from error


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors of any layout. safetensors takes contiguous ones without shared memory, so they are copied."""
    save_file({k: v.detach().cpu().clone(memory_format=torch.contiguous_format) for k, v in tensors.items()}, path)


def read_tensors(path: Path, device: torch.device) -> dict[str, Tensor]:
    """All tensors of a file of a checkpoint. Raises TrainingError."""
    try:
        return load_file(path, device=str(device))
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"The checkpoint file {path} cannot be read ({error}).") from error


def module_tensors(modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """Parameters and buffers of modules, as in modules.safetensors."""
    return {f"{m}/{k}": v for m, module in modules.items() for k, v in module.state_dict().items()}


def load_modules(modules: Mapping[str, nn.Module], tensors: Mapping[str, Tensor], source: Path) -> None:
    """Fill every module from tensors of the checkpoint `source`. Raises TrainingError for another architecture."""
    for name, module in modules.items():
        own = {k.removeprefix(f"{name}/"): v for k, v in tensors.items() if k.startswith(f"{name}/")}
        try:
            module.load_state_dict(own, strict=True)
        except RuntimeError as error:
            detail = " ".join(str(error).split())[:300]
            raise TrainingError(
                f"The checkpoint {source} does not fit the module {name!r} of this config ({detail}); "
                "use the config that it was trained with, or start again with --restart."
            ) from error


def averaged_tensors(averages: Mapping[str, EMAModel], modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """Averaged parameters of modules, as in averaged.safetensors."""
    return {
        f"{m}/{k}": shadow
        for m, average in averages.items()
        for (k, _), shadow in zip(modules[m].named_parameters(), average.shadow_params, strict=True)
    }


def load_averages(
    averages: Mapping[str, EMAModel], modules: Mapping[str, nn.Module], tensors: Mapping[str, Tensor], updates: int
) -> None:
    """Fill the averages, whose memory format stays, and set the number of their updates. Raises TrainingError."""
    for name, average in averages.items():
        average.optimization_step = updates
        for (key, _), shadow in zip(modules[name].named_parameters(), average.shadow_params, strict=True):
            shadow.copy_(_wanted(tensors, f"{name}/{key}", shadow))


def optimizer_tensors(name: str, optimizer: Optimizer) -> dict[str, Tensor]:
    """Moments and step counts of the optimizer of that name, as in optimiser.safetensors."""
    state = optimizer.state_dict()["state"]
    return {f"{name}/{i}/{k}": v for i, entries in state.items() for k, v in entries.items()}


def load_optimizer(name: str, optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Restore moments and step counts; rates and other settings come from the config. Raises TrainingError."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for i, parameter in enumerate(parameters):
        prefix = f"{name}/{i}/"
        for key in [k for k in tensors if k.startswith(prefix)]:
            value = tensors[key]
            if value.ndim:
                # Fused kernels go through memory in order: moments need the memory format of their parameter.
                value = torch.empty_like(parameter).copy_(_wanted(tensors, key, parameter))
            optimizer.state[parameter][key.removeprefix(prefix)] = value


def _wanted(tensors: Mapping[str, Tensor], key: str, like: Tensor) -> Tensor:
    if key not in tensors or tensors[key].shape != like.shape:
        raise TrainingError(f"The checkpoint holds no {key} of shape {tuple(like.shape)}; start again with --restart.")
    return tensors[key]


def rng_tensors() -> dict[str, Tensor]:
    """State of every global random number generator of this process: torch, Python, numpy and CUDA."""
    version, words, gauss = random.getstate()
    _, keys, position, has_gauss, cached = np.random.get_state()
    out = {
        "torch": torch.get_rng_state(),
        "python": torch.tensor([version, *words], dtype=torch.int64),
        "python_gauss": torch.tensor([] if gauss is None else [gauss], dtype=torch.float64),
        "numpy": torch.tensor([*keys.tolist(), position, has_gauss], dtype=torch.int64),  # type: ignore[union-attr, attr-defined]
        "numpy_gauss": torch.tensor([cached], dtype=torch.float64),
    }
    if torch.cuda.is_available():
        out["cuda"] = torch.cuda.get_rng_state()
    return out


def restore_rng(state: Mapping[str, Tensor]) -> None:
    """Set every global random number generator to a state of `rng_tensors`."""
    torch.set_rng_state(state["torch"].cpu().to(torch.uint8))
    version, *words = state["python"].tolist()
    gauss = state["python_gauss"].tolist()
    random.setstate((version, tuple(words), gauss[0] if gauss else None))
    *keys, position, has_gauss = state["numpy"].tolist()
    np.random.set_state(("MT19937", np.array(keys, np.uint32), position, has_gauss, state["numpy_gauss"].item()))
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"].cpu())
