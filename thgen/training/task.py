"""The contract between a stage and the training loop, which knows neither architectures nor losses."""

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

Batch = dict[str, Any]  # name -> torch or numpy array; the loop leaves other values as they are


class Task(ABC):
    """Modules, batches and losses of one stage. A subclass is built from the stage's config alone.

    modules:    name -> network, which checkpoints contain. Modules that no optimizer names stay frozen
    optimizers: name of an optimizer -> names of the modules that it updates. Within a step the optimizers take turns
                in this order; an adversarial stage has two. None = one optimizer "main" for all modules
    helpers:    frozen networks that losses need and that no checkpoint contains (perceptual features)
    float32:    patterns (fnmatch) of names of tensors that the export keeps in float32
    exports:    names of the weights that this stage trains, a part of `networks()`. Only these are written. Weights
                that work only together are exported together
    data_type, model_type: settings under `data:` and `model:` of the config
    better:     patterns (fnmatch) of names of scores -> HIGHER or LOWER, which of two scores is better, or NEITHER for
                a score that says nothing about the weights. `weights bundle` compares by it
    data_summary: one line for the manifest about the training data, read at export; "" = `about` of the config
    device:     set by the loop before it calls any method
    """

    exports: tuple[str, ...]
    data_type: ClassVar[type[Settings]] = Settings
    model_type: ClassVar[type[Settings]] = Settings
    better: ClassVar[Mapping[str, str]] = MappingProxyType({})
    modules: dict[str, nn.Module]
    optimizers: dict[str, list[str]] | None = None
    helpers: Mapping[str, nn.Module] = MappingProxyType({})
    float32: tuple[str, ...] = ()
    data_summary: str = ""
    device: torch.device = torch.device("cpu")

    @classmethod  # noqa: B027 - most stages need nothing besides their data
    def check(cls, config: StageConfig) -> None:
        """Raise the ThgenError that names what this machine lacks (voices, a head). Must be fast: it is called for all
        stages before the first one trains, and again before this one is built."""

    @classmethod
    def data_of(cls, config: StageConfig) -> Any:
        """`config.data` as `data_type`. Raises TrainingError."""
        return read(cls.data_type, config.where, "data", config.data)

    @abstractmethod
    def __init__(self, config: StageConfig) -> None:
        """Build `modules`. The loop has seeded torch, so weights start the same in every process."""

    @abstractmethod
    def batches(self, split: str, seed: int, rank: int, world: int) -> Iterator[Batch]:
        """Batches of `config.batch_size`, without end for "train". Process `rank` of `world` gets its own share.

        They may depend on the arguments only. To resume, the loop calls the iterator's `skip(n)`, if there is one, and
        else draws n batches and drops them. `thgen.training.data.batches.StepBatches` skips at no cost.
        """

    @abstractmethod
    def losses(self, optimizer: str, batch: Batch) -> dict[str, Tensor]:
        """Loss terms [] of that optimizer by name. Tensors of `batch` are on the device, 4-D ones channels-last."""

    def images(self, batch: Batch) -> dict[str, Tensor]:
        """Pictures for TensorBoard, name -> [3 H W] in [0, 1]. Called with averaged weights, without gradients."""
        return {}

    def validate(self) -> dict[str, float]:
        """Scores on held-out data by name. Called with averaged weights, without gradients. The manifest gets the last
        ones."""
        return {}

    @abstractmethod
    def networks(self) -> dict[str, tuple[dict[str, Tensor], dict[str, Any]]]:
        """Weights name -> (state dict, config), of every published network of this stage, trained or not.

        The tensors are those of `modules`: whoever fills them fills the modules. The config builds the network again;
        config["class"] is its key in `thgen.weights.hub.NETWORKS`, by default the weights name.
        """

    def export(self) -> dict[str, tuple[dict[str, Tensor], dict[str, Any]]]:
        """`networks()` in the form in which they are written. The loop writes those that `exports` names, so the result
        need not have others. Called with averaged weights."""
        return self.networks()


def direction(better: Mapping[str, str], name: str) -> str:
    """HIGHER, LOWER or NEITHER for the score `name` by the patterns of `Task.better`; NEITHER where none fits."""
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
    """As `task_class`, and check that this machine has what the stage needs (`Task.check`). Raises TrainingError, and
    the ThgenError of what is missing."""
    cls = task_class(config)
    cls.check(config)
    return cls


def build_task(config: StageConfig) -> Task:
    """Import, check and build `config.task`. Raises TrainingError, and the ThgenError of what is missing."""
    task = checked_class(config)(config)
    for optimizer, names in optimizers_of(task).items():
        unknown = [n for n in names if n not in task.modules]
        if unknown or not names:
            raise TrainingError(
                f"{config.where}: the optimizer {optimizer!r} updates {', '.join(unknown) or 'nothing'}, but the "
                f"modules are: {', '.join(task.modules)}."
            )
        config.rate(optimizer)
    if not hasattr(task, "exports"):
        raise TrainingError(f"{config.where}: {config.task!r} does not declare what it exports; add `exports`.")
    networks = task.networks()
    if strange := [name for name in task.exports if name not in networks]:
        raise TrainingError(
            f"{config.where}: the task exports {', '.join(strange)}, but its networks are: {', '.join(networks)}."
        )
    return task


def optimizers_of(task: Task) -> dict[str, list[str]]:
    """Name of an optimizer -> names of its modules; by default one for all of them."""
    return task.optimizers or {"main": list(task.modules)}
