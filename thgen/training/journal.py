"""Reports of a training: lines on the console, curves and pictures in TensorBoard."""

from __future__ import annotations

import contextlib
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from thgen.errors import TrainingError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class Journal:
    """`add` collects values without waiting for the device, `flush` reports their means."""

    def __init__(self, folder: Path | None, step: int, active: bool) -> None:
        """folder: of TensorBoard's files; None = console only. step: from which this run goes on. active: False in all
        processes but the first, which then report nothing. Raises TrainingError if TensorBoard is missing."""
        self.active = active
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._writer: SummaryWriter | None = None
        if not active or folder is None:
            return
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise TrainingError("Training needs TensorBoard: pip install 'thgen[train]'.") from error
        self._writer = SummaryWriter(str(folder), purge_step=step + 1 if step else None)

    def add(self, values: Mapping[str, Tensor]) -> None:
        for name, value in values.items():
            value = value.detach().float()
            self._sums[name] = self._sums[name] + value if name in self._sums else value
            self._counts[name] = self._counts.get(name, 0) + 1

    def flush(self, step: int, steps: int, rate: float, seconds_per_step: float) -> dict[str, float]:
        """Report and return the means since the last flush, by name."""
        means = {n: (total / self._counts[n]).item() for n, total in self._sums.items()}
        self._sums, self._counts = {}, {}
        left = max(0, steps - step) * seconds_per_step / 60
        terms = "  ".join(f"{n} {v:.4g}" for n, v in means.items())
        self.say(f"{step:>7}/{steps}  {terms}  lr {rate:.2e}  {1 / seconds_per_step:.2f} steps/s  {left:.1f} min left")
        self.scalars("train", {**means, "lr": rate, "steps_per_second": 1 / seconds_per_step}, step)
        return means

    def scalars(self, group: str, values: Mapping[str, float], step: int) -> None:
        if self._writer:
            for name, value in values.items():
                self._writer.add_scalar(f"{group}/{name}", value, step)

    def images(self, images: Mapping[str, Tensor], step: int) -> None:
        """images: name -> [3 H W] in [0, 1]"""
        if self._writer:
            for name, image in images.items():
                self._writer.add_image(name, image.detach().float().clamp(0, 1).cpu(), step)
            self._writer.flush()

    def say(self, line: str) -> None:
        if self.active:
            print(line, file=sys.stdout, flush=True)

    def close(self) -> None:
        if self._writer:
            self._writer.close()


def hardware(device: torch.device, processes: int) -> str:
    """Number and name of the processors that train, for the manifest."""
    if device.type == "cuda":
        return f"{processes} x {torch.cuda.get_device_name(device)}"
    return f"{processes} x {torch.get_num_threads()} CPU threads ({cpu_name()})"


def cpu_name(file: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name in Linux's /proc/cpuinfo; the architecture if the file has no name (ARM) or is absent."""
    lines: list[str] = []
    with contextlib.suppress(OSError):
        lines = file.read_text(encoding="utf-8").splitlines()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine() or "unknown")
