"""Stages of the real config at a size for tests."""

from dataclasses import replace

import torch

from thgen.training.config import load_stage
from thgen.training.task import build_task

# torch 2.13 aborts in backward on the CPU with channels-last convolutions of 4 or 8 channels, so they have 16.
MODEL = {
    "encoder": {"features": 8, "depths": [1, 1], "base": 16},
    "irfd": {"latent": 8, "channels": [16, 16, 16, 16]},
    "voice": {"features": 6, "dilations": [1], "channels": [16] * 7, "hidden": 16, "layers": 1, "heads": 2, "inner": 16,
              "positions": 8, "groups": 2},
    "generator": {"latent": 8, "channels": [16, 16, 16, 16], "hidden": 8},
    "discriminator": {"scales": 2, "channels": [16, 16]}, "sync": {"base": 4},
}  # fmt: skip


def config(talk, stage: str, weights="", model=None, **data):
    """A stage. data: settings below `data:`; model: networks with other settings."""
    own = {"data.train": str(talk), "data.val": str(talk), "data.head": "ellipsoid"}
    found = load_stage("speak.paper", stage, overrides=own, smoke=True)
    networks = {name: dict(part) | dict((model or {}).get(name, {})) for name, part in MODEL.items()}
    # channels_last off: exact comparisons
    return replace(found, model=networks, data=dict(found.data) | data, weights=str(weights), validate_every=2,
                   save_every=2, precision="no", init="", channels_last=False)  # fmt: skip


def task_of(talk, stage: str, weights="", model=None, **data):
    torch.manual_seed(0)
    return build_task(config(talk, stage, weights, model, **data))


def still(task):
    """The task in evaluation mode, so that equal inputs give equal losses."""
    for module in (*task.modules.values(), *task.helpers.values()):
        module.eval()
    return task


def taught(task) -> set[str]:
    """Names of the modules that the last backward pass reached."""
    return {name for name, module in task.modules.items() if any(
        p.grad is not None and p.grad.abs().sum() > 0 for p in module.parameters())}  # fmt: skip
