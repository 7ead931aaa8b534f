"""Batches by number, worker processes that make them, and their transfer to the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from thgen.training.task import Batch


class _Numbered(Dataset):
    def __init__(self, make: Callable[[int], Batch]) -> None:
        self.make = make

    def __getitem__(self, index: int) -> Batch:
        return self.make(index)


class StepBatches(Iterator[Batch]):
    """Endless batches that depend on their number alone, so that a resumed training skips the earlier ones for free.

    make:    number of the batch (0, 1, ...) -> batch. It draws from `np.random.default_rng((seed, rank, number))`
    workers: processes that make batches ahead of time; 0 = this process makes them
    """

    def __init__(self, make: Callable[[int], Batch], workers: int = 0) -> None:
        self._make, self._workers, self._next = make, workers, 0
        self._loader: Iterator[Batch] | None = None

    def skip(self, count: int) -> None:
        """Skip the next `count` batches."""
        self._next += count
        self._loader = None

    def __next__(self) -> Batch:
        if self._workers == 0:
            batch = self._make(self._next)
        else:
            if self._loader is None:
                self._loader = iter(
                    DataLoader(
                        _Numbered(self._make),
                        batch_size=None,
                        sampler=range(self._next, 2**62),
                        num_workers=self._workers,
                        generator=torch.Generator(),  # by default it would draw from the training's generator
                    )
                )
            batch = next(self._loader)
        self._next += 1
        return batch


def skip(batches: Iterator[Batch], count: int) -> None:
    """Advance by `count` batches, with the iterator's own `skip` if it has one."""
    own = getattr(batches, "skip", None)
    if own is not None:
        own(count)
    else:
        next(islice(batches, count, count), None)


def to_channels_last(module: nn.Module) -> None:
    """Change a network's 4-D tensors to channels-last, in place. Module.to does not do: it fails at tensors of rank 5,
    which StyleGAN2's modulated convolutions have."""
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.ndim == 4:
            tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)


def to_device(batch: Batch, device: torch.device, channels_last: bool = False) -> Batch:
    """Arrays and tensors of `batch` as tensors on `device`. dtypes stay. channels_last: of 4-D tensors."""
    out: Batch = {}
    for name, value in batch.items():
        if isinstance(value, np.ndarray):
            value = torch.from_numpy(np.ascontiguousarray(value))
        if isinstance(value, torch.Tensor):
            if device.type == "cuda":
                value = value.pin_memory()
            value = value.to(device, non_blocking=True)
            if channels_last and value.ndim == 4:
                value = value.contiguous(memory_format=torch.channels_last)
        out[name] = value
    return out
