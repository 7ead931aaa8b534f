"""Batches on their way to the device."""

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
    """Endless batches that depend on their number alone, so that resuming a long training costs nothing.

    make:    number of the batch (0, 1, ...) -> batch. Draw with `np.random.default_rng((seed, rank, number))`.
    workers: processes that make batches ahead of time; 0 = in this process.
    """

    def __init__(self, make: Callable[[int], Batch], workers: int = 0) -> None:
        self._make, self._workers, self._next = make, workers, 0
        self._loader: Iterator[Batch] | None = None

    def skip(self, count: int) -> None:
        """Leave out the next `count` batches."""
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
                        generator=torch.Generator(),  # or it would draw from the generator that training resumes
                    )
                )
            batch = next(self._loader)
        self._next += 1
        return batch


def skip(batches: Iterator[Batch], count: int) -> None:
    """Advance by `count` batches, by the iterator's own `skip` if it has one."""
    own = getattr(batches, "skip", None)
    if own is not None:
        own(count)
    else:
        next(islice(batches, count, count), None)


def to_channels_last(module: nn.Module) -> None:
    """Bring a network's 4-D tensors into that order, in place. Module.to would fail at a tensor of rank 5, which the
    modulated convolutions of StyleGAN2 have."""
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.ndim == 4:
            tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)


def to_device(batch: Batch, device: torch.device, channels_last: bool = False) -> Batch:
    """Arrays and tensors of `batch` as tensors on `device`; 4-D ones channels-last if asked. dtypes stay."""
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
