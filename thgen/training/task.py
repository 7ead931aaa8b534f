"""What a stage trains, as the loop sees it. The loop knows neither architecture nor loss."""

from __future__ import annotations

import fnmatch
import importlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from thgen.errors import TrainingError
from thgen.training.config import StageConfig
from thgen.training.settings import Settings, read
from thgen.weights.manifest import NEITHER

Batch = dict[str, Any]  # name -> torch or numpy array; other values pass through untouched


class Task(ABC):
    """Modules, batches and losses of one stage. Subclasses are built from the stage's config alone.

    modules: name -> network; saved in checkpoints, averaged, exported. A module that no player lists stays frozen.
    players: name of an optimiser -> names of the modules that it moves, taking turns within each step, in this order
             (adversarial stages have two). Default: one player "main" with all modules.
    helpers: networks that losses need and nobody saves (perceptual features); the loop only moves them to the device.
    float32: patterns (fnmatch) of tensor names that the export keeps in float32.
    exports: names of the weights that this stage trains, a part of `networks()`. Only these are written. What must be
             used together is exported together.
    data_type, model_type: settings that may stand under `data:` and `model:` of the config.
    better:  patterns (fnmatch) of the names that `validate` gives -> HIGHER, LOWER: which is better, or NEITHER: says
             nothing about the weights. `weights bundle` compares by it.
    data_summary: one line for the manifest about what was trained on, read at export; "" = `about` of the config.
    device:  set by the loop before anything else is called.
    """

    exports: tuple[str, ...]
    data_type: ClassVar[type[Settings]] = Settings
    model_type: ClassVar[type[Settings]] = Settings
    better: ClassVar[Mapping[str, str]] = MappingProxyType({})
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

    @classmethod
    def data_of(cls, config: StageConfig) -> Any:
        """`config.data` as `data_type`. Raises TrainingError."""
        return read(cls.data_type, config.where, "data", config.data)

    @abstractmethod
    def __init__(self, config: StageConfig) -> None:
        """Build `modules`; the loop has seeded torch, so that weights start the same in every process."""

    @abstractmethod
    def batches(self, split: str, seed: int, rank: int, world: int) -> Iterator[Batch]:
        """Batches of `config.batch_size`; endless for "train". Process `rank` of `world` gets its own share.

        The order may depend on the arguments only. If the iterator has `skip(n)`, resuming calls it; otherwise the
        loop draws and drops n batches (`thgen.training.data.batches.StepBatches` skips at no cost).
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
    def networks(self) -> dict[str, tuple[dict[str, Tensor], dict[str, Any]]]:
        """Weights name -> (state dict, config with which the network is built again), of every network of this stage
        that is published, trained here or not. The tensors are those of `modules`: filling them fills the modules.

        The class key (`thgen.weights.hub.NETWORKS`) is config["class"], by default the weights name.
        """

    def export(self) -> dict[str, tuple[dict[str, Tensor], dict[str, Any]]]:
        """`networks()` as they are to be written; called with averaged weights. The loop writes those that `exports`
        names, so that others may be left out."""
        return self.networks()


def direction(better: Mapping[str, str], name: str) -> str:
    """HIGHER, LOWER or NEITHER for the score `name`; better: as Task.better. A name that no pattern fits: NEITHER."""
    return next((way for pattern, way in better.items() if fnmatch.fnmatch(name, pattern)), NEITHER)


def imported(config: StageConfig) -> type[Task]:
    """The class that `config.task` names. Raises TrainingError."""
    module_name, _, class_name = config.task.partition(":")
    try:
        cls: type[Task] = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise TrainingError(f"{config.where}: the task {config.task!r} cannot be imported ({error}).") from error
    if not (isinstance(cls, type) and issubclass(cls, Task)):
        raise TrainingError(f"{config.where}: {config.task!r} is no subclass of thgen.training.task.Task.")
    return cls


def task_class(config: StageConfig) -> type[Task]:
    """Import `config.task` and check the stage's data and model settings. Raises TrainingError."""
    cls = imported(config)
    cls.data_of(config)
    read(cls.model_type, config.where, "model", config.model)
    return cls


def checked_class(config: StageConfig) -> type[Task]:
    """As `task_class`, and let the task check that this machine has what the stage needs. Raises TrainingError, and the
    ThgenError of what is missing."""
    cls = task_class(config)
    cls.check(config)
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
    if not hasattr(task, "exports"):
        raise TrainingError(f"{config.where}: {config.task!r} does not declare what it exports; add `exports`.")
    networks = task.networks()
    if strange := [name for name in task.exports if name not in networks]:
        raise TrainingError(
            f"{config.where}: the task exports {', '.join(strange)}, but its networks are: {', '.join(networks)}."
        )
    return task


def players_of(task: Task) -> dict[str, list[str]]:
    """The task's players; by default one that moves everything."""
    return task.players or {"main": list(task.modules)}
