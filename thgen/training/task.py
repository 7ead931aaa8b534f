"""What a stage trains, as the loop sees it. The loop knows neither architecture nor loss."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from thgen.errors import TrainingError
from thgen.training.stage import StageConfig

Batch = dict[str, Any]  # name -> torch or numpy array; other values pass through untouched


class Task(ABC):
    """Modules, batches and losses of one stage. Subclasses are built from the stage's config alone.

    modules: name -> network; saved in checkpoints, averaged, exported. A module that no player lists stays frozen.
    players: name of an optimiser -> names of the modules that it moves, taking turns within each step, in this order
             (adversarial stages have two). Default: one player "main" with all modules.
    helpers: networks that losses need and nobody saves (perceptual features); the loop only moves them to the device.
    float32: patterns (fnmatch) of tensor names that the export keeps in float32.
    data_summary: one line for the manifest about what was trained on, read at export; "" = `about` of the config.
    device:  set by the loop before anything else is called.
    """

    modules: dict[str, nn.Module]
    players: dict[str, list[str]] | None = None
    helpers: Mapping[str, nn.Module] = MappingProxyType({})
    float32: tuple[str, ...] = ()
    data_summary: str = ""
    device: torch.device = torch.device("cpu")

    @classmethod  # noqa: B027 - most stages need nothing besides their data
    def check(cls, config: StageConfig) -> None:
        """Raise the ThgenError that names what the stage needs and this machine lacks (voices, a head); load nothing
        that takes long. Called for all stages before the first one trains, and again before this one is built."""

    @abstractmethod
    def __init__(self, config: StageConfig) -> None:
        """Build `modules`; the loop has seeded torch, so that weights start the same in every process."""

    @abstractmethod
    def batches(self, split: str, seed: int, rank: int, world: int) -> Iterator[Batch]:
        """Batches of `config.batch_size`; endless for "train". Process `rank` of `world` gets its own share.

        The order may depend on the arguments only. If the iterator has `skip(n)`, resuming calls it; otherwise the
        loop draws and drops n batches (`thgen.training.batches.StepBatches` skips at no cost).
        """

    @abstractmethod
    def losses(self, player: str, batch: Batch) -> dict[str, Tensor]:
        """Scalar loss terms of that player. Tensors of `batch` are on the device, 4-D ones channels-last."""

    def images(self, batch: Batch) -> dict[str, Tensor]:
        """Pictures for TensorBoard, name -> [3 H W] in [0, 1], with averaged weights and without gradients."""
        return {}

    def validate(self) -> dict[str, float]:
        """Scores on held-out data, with averaged weights and without gradients. The last ones go into the manifest."""
        return {}

    @abstractmethod
    def export(self) -> dict[str, tuple[dict[str, Tensor], dict[str, Any]]]:
        """Weights name -> (state dict, config with which the network is built again); called with averaged weights.

        The class key (`thgen.hub.NETWORKS`) is config["class"], by default the weights name.
        """


def checked_class(config: StageConfig) -> type[Task]:
    """Import `config.task` and let it check that this machine has what the stage needs. Raises TrainingError where it
    cannot be imported, and the ThgenError of what is missing."""
    module_name, _, class_name = config.task.partition(":")
    try:
        cls: type[Task] = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise TrainingError(f"{config.where}: the task {config.task!r} cannot be imported ({error}).") from error
    if check := getattr(cls, "check", None):  # tasks need not inherit from Task
        check(config)
    return cls


def build_task(config: StageConfig) -> Task:
    """Import, check and build `config.task`. Raises TrainingError, and the ThgenError of what is missing."""
    task = checked_class(config)(config)
    for player, names in players_of(task).items():
        unknown = [n for n in names if n not in task.modules]
        if unknown or not names:
            raise TrainingError(
                f"{config.where}: player {player!r} moves {', '.join(unknown) or 'nothing'}, but the modules are: "
                f"{', '.join(task.modules)}."
            )
        config.rate(player)
    return task


def players_of(task: Task) -> dict[str, list[str]]:
    """The task's players; by default one that moves everything. Also fits tasks that do not inherit from Task."""
    return getattr(task, "players", None) or {"main": list(task.modules)}
