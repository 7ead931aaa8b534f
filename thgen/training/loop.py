"""One loop for every method and stage. A Task says what is trained, a StageConfig how. The loop knows no paper."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import yaml
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, set_seed
from diffusers.training_utils import EMAModel
from torch import Tensor

from thgen.errors import TrainingError
from thgen.training import checkpoint as ckpt
from thgen.training.config import StageConfig
from thgen.training.data.batches import skip, to_channels_last, to_device
from thgen.training.export import FROM_BUNDLED, History, continue_bundled, export_weights
from thgen.training.interrupt import interruptible
from thgen.training.journal import Journal, hardware
from thgen.training.optimizers import ScheduledOptimizer, build_optimizers, give_turn
from thgen.training.task import Batch, Task, build_task, direction
from thgen.weights.hub import NETWORKS
from thgen.weights.manifest import BUNDLED, NEITHER


@dataclass(frozen=True)
class RunOptions:
    """How a stage is run. Nothing here changes what one step computes, except `fit`, which changes learning rates.

    runs:     folder of checkpoints and curves
    weights:  folder to export to, never the bundled one; None = RUNS/METHOD/weights, which all stages of a run share
    resume, restart: go on from the last checkpoint, or delete the run's checkpoints first
    minutes:  time limit of this run, after which it validates and exports as at the end; None = no limit
    fit:      lay the learning-rate schedule over the time limit instead of over config.steps
    export:   write weights at the end
    cpu:      do not use a GPU
    networks: class key -> class, with which exported weights are checked
    """

    runs: Path = Path("runs")
    weights: Path | None = None
    resume: bool = False
    restart: bool = False
    minutes: float | None = None
    fit: bool = False
    export: bool = True
    cpu: bool = False
    networks: Mapping[str, str] = field(default_factory=lambda: NETWORKS)


@dataclass(frozen=True)
class Outcome:
    """Result of a run.

    step, minutes: in total, earlier runs that it resumed included
    scores:        of the last validation
    exported:      names of the weights that were written
    checkpoint:    the last one; None if there is none
    """

    step: int
    minutes: float
    scores: dict[str, float]
    exported: tuple[str, ...]
    checkpoint: Path | None


def train(config: StageConfig, options: RunOptions | None = None) -> Outcome:
    """Train one stage until its steps or the time are used up. Raises TrainingError."""
    return Trainer(config, options or RunOptions()).run()


class Trainer:
    """State of a training: task, optimizers, averaged weights, position in the data. Checkpoints contain all of it."""

    def __init__(self, config: StageConfig, options: RunOptions) -> None:
        self.weights = options.weights or options.runs / config.method / "weights"
        if self.weights.resolve() == BUNDLED:
            raise TrainingError(
                f"Training does not write into the bundled weights {BUNDLED}: leave --weights out, and copy what is "
                "good enough with: python -m thgen weights bundle"
            )
        config = replace(config, weights=str(self.weights))
        self.config, self.options = config, options
        self.folder = options.runs / config.method / config.name
        # Accelerate sets its precision once per process, but stages of one run may differ: see `_autocast`.
        self.accelerator = Accelerator(mixed_precision="no", cpu=options.cpu)
        self.device = self.accelerator.device
        self.main = self.accelerator.is_main_process
        if not any(w.weight for w in config.losses.values()):
            raise TrainingError(f"{config.where}: no term of losses has a weight, so nothing would be trained.")
        resumed = self._choose_checkpoint()
        set_seed(config.seed)
        self.origin = ""  # for the manifest: the weights from which the training started
        self.task: Task = build_task(config)
        if config.init == FROM_BUNDLED and resumed is None:
            self.origin = continue_bundled(self.task.networks(), self.weights, options.networks)
        elif config.init and resumed is None:
            for part in config.init.split("+"):
                stage, _, names = part.partition(":")
                modules = [name.strip() for name in names.split(",") if name.strip()]
                self._initialise(self.options.runs / config.method / stage.strip(), modules)
        self.task.device = self.device
        for module in (*self.task.modules.values(), *self.task.helpers.values()):
            module.to(self.device)
            if config.channels_last:
                to_channels_last(module)
        self.optimizers: dict[str, ScheduledOptimizer] = build_optimizers(self.task, config)
        self.averages = self._build_averages()
        self.step, self.minutes, self.steps = 0, 0.0, config.steps
        self.scores: dict[str, float] = {}
        set_seed(config.seed, device_specific=True)  # processes differ from here on: dropout, noise
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        self.batches: Iterator[Batch] = iter(self.task.batches("train", config.seed, rank, world))
        if resumed is not None:
            self._restore(resumed)
        self.checkpoint = resumed
        # with minutes = 0 no step is made, and another process may be writing to the same run
        curves = None if options.minutes == 0 else self.folder / "tensorboard"
        self.journal = Journal(curves, self.step, self.main)

    def run(self) -> Outcome:
        """The whole run: steps with their reports, then validation, a last checkpoint, and export."""
        c, first, started, last_log = self.config, self.step, time.monotonic(), time.monotonic()
        earlier, logged = self.minutes, self.step
        if self.main and self.options.minutes != 0:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / "config.yaml").write_text(yaml.safe_dump(c.to_dict(), sort_keys=False), encoding="utf-8")
        self.journal.say(
            f"{c.method}/{c.name}: step {self.step} of {self.steps}, {hardware(self.device, self._world)}, "
            f"{sum(p.numel() for m in self.task.modules.values() for p in m.parameters()) / 1e6:.2f} M parameters"
        )
        batch: Batch = {}
        with interruptible() as interrupted:
            while not self._finished(started):
                batch = to_device(next(self.batches), self.device, c.channels_last)
                self.journal.add(self._train_step(batch))
                self.step += 1
                self.minutes = earlier + (time.monotonic() - started) / 60
                if _due(self.step, c.log_every) or self.step == first + 1:
                    pace = (time.monotonic() - last_log) / (self.step - logged)
                    if self.step > first + 1:  # the first step is slow: it compiles and fills caches
                        self._fit_schedule(started, pace)
                    rate = float(next(iter(self.optimizers.values())).scheduler.get_last_lr()[0])
                    self.journal.flush(self.step, self.steps, rate, pace)
                    last_log, logged = time.monotonic(), self.step
                if _due(self.step, c.image_every):
                    self._report_images(batch)
                if self.step < self.steps:  # the end does both anyway
                    if _due(self.step, c.validate_every):
                        self._validate()
                    if _due(self.step, c.save_every):
                        self._save()
                if self._agree(bool(interrupted)):
                    self._save()
                    raise TrainingError(f"Interrupted at step {self.step}; a checkpoint is saved, --resume goes on.")
        if self.step > first and batch:
            self._report_images(batch)
        self._validate()
        if self.step > first:  # after the validation: the last checkpoint contains its scores
            self._save()
        exported = self._export() if self.options.export and self.main else ()
        self.journal.close()
        self.accelerator.wait_for_everyone()
        return Outcome(self.step, self.minutes, self.scores, exported, self.checkpoint)

    # --- one step ---------------------------------------------------------------------------------------------

    def _train_step(self, batch: Batch) -> dict[str, Tensor]:
        """Every optimizer in turn on the same batch. Returns scalars for the journal."""
        report: dict[str, Tensor] = {}
        returned: set[str] = set()
        for name, optimizer in self.optimizers.items():
            give_turn(optimizer, True)
            with self._autocast():
                terms = self.task.losses(name, batch)
            returned |= set(terms)
            weights = {t: w.at(self.step) for t, w in self.config.losses.items() if t in terms}
            # In float32, and without terms at weight 0, so that they cost no backward.
            total = sum((w * terms[t].float() for t, w in weights.items() if w), start=torch.zeros(()))
            prefix = "" if len(self.optimizers) == 1 else f"{name}."
            if isinstance(total, Tensor) and total.requires_grad:
                report[f"{prefix}total"] = total
                report[f"{prefix}norm"] = optimizer.step(total, self.accelerator)
            report |= {prefix + t: v for t, v in terms.items()}
            optimizer.advance()
            give_turn(optimizer, False)
        unused = [t for t in self.config.losses if t not in returned]
        if unused:
            raise TrainingError(
                f"{self.config.where}: losses names {', '.join(unused)}, but the task returned: {', '.join(returned)}."
            )
        self._update_averages()
        return report

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16")

    # --- averaged weights -------------------------------------------------------------------------------------

    def _build_averages(self) -> dict[str, EMAModel]:
        if not self.config.ema:
            return {}
        updated = {key.split(".")[0] for optimizer in self.optimizers.values() for key in optimizer.trainable}
        return {
            n: EMAModel(m.parameters(), decay=self.config.ema, foreach=True)
            for n, m in self.task.modules.items()
            if n in updated
        }

    def _update_averages(self) -> None:
        for optimizer in self.optimizers.values():
            give_turn(optimizer, True)  # EMAModel averages parameters that require gradients and copies all others
        for name, average in self.averages.items():
            average.step(self.task.modules[name].parameters())
        for optimizer in self.optimizers.values():
            give_turn(optimizer, False)

    @contextlib.contextmanager
    def _averaged(self) -> Iterator[None]:
        """Averaged weights, evaluation mode and no gradients. Afterwards all is as before, random numbers included."""
        rng = ckpt.rng_tensors()
        training = {n: m.training for n, m in self.task.modules.items()}
        for name, average in self.averages.items():
            average.store(self.task.modules[name].parameters())
            average.copy_to(self.task.modules[name].parameters())
        for module in self.task.modules.values():
            module.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            for name, average in self.averages.items():
                average.restore(self.task.modules[name].parameters())
            for name, module in self.task.modules.items():
                module.train(training[name])
            ckpt.restore_rng(rng)

    # --- reports ----------------------------------------------------------------------------------------------

    def _report_images(self, batch: Batch) -> None:
        if self.main:
            with self._averaged(), self._autocast():
                self.journal.images(self.task.images(batch), self.step)

    def _validate(self) -> None:
        if self.main:
            with self._averaged(), self._autocast():
                scores = {k: float(v) for k, v in self.task.validate().items()}
            if scores:
                self.scores = {k: v for k, v in scores.items() if math.isfinite(v)}  # JSON has no NaN
                self.journal.scalars("validation", scores, self.step)
                self.journal.say("validation  " + "  ".join(f"{k} {v:.4g}" for k, v in scores.items()))
        self.accelerator.wait_for_everyone()

    def _export(self) -> tuple[str, ...]:
        data = self.task.data_summary or self.config.about
        data = data or json.dumps(self.config.data, sort_keys=True, default=str)
        data += self.origin
        where = hardware(self.device, self._world)
        stage = f"{self.config.method}/{self.config.name}"
        ways = {name: direction(self.task.better, name) for name in self.scores}
        better = {name: way for name, way in ways.items() if way != NEITHER}
        history = History(stage, data, self.step, self.minutes, where, self.scores, better)
        with self._averaged():
            exported = {name: network for name, network in self.task.export().items() if name in self.task.exports}
            entries = export_weights(exported, self.task.float32, history, self.weights, self.options.networks)
        for name, entry in entries.items():
            self.journal.say(f"exported {self.weights / entry.file} ({name}, {entry.bytes / 1e6:.2f} MB)")
        return tuple(entries)

    # --- time and interruption --------------------------------------------------------------------------------

    @property
    def _world(self) -> int:
        return self.accelerator.num_processes

    def _finished(self, started: float) -> bool:
        limit = self.options.minutes
        if self.step >= self.steps and not (self.options.fit and limit is not None):
            return True
        return limit is not None and self._agree(time.monotonic() - started >= 60 * limit)

    def _agree(self, flag: bool) -> bool:
        """The first process decides for all. If they disagreed, one would wait for the others forever."""
        return flag if self._world == 1 else bool(self._from_main(flag))

    def _from_main(self, value: Any) -> Any:
        box = [value]
        broadcast_object_list(box)
        return box[0]

    def _fit_schedule(self, started: float, seconds_per_step: float) -> None:
        """Lay the schedule over the steps that fit into the time that is left."""
        if not self.options.fit or self.options.minutes is None:
            return
        left = max(0.0, 60 * self.options.minutes - (time.monotonic() - started))
        # At least until the next report: beyond its end a cosine rises again.
        steps = self.step + max(int(left / seconds_per_step), self.config.log_every)
        self.steps = steps if self._world == 1 else self._from_main(steps)
        for optimizer in self.optimizers.values():
            optimizer.plan(self.step, self.steps)

    # --- checkpoints ------------------------------------------------------------------------------------------

    def _choose_checkpoint(self) -> Path | None:
        latest = ckpt.latest(self.folder)
        if self.options.restart and not self.options.resume:
            if self.main:
                shutil.rmtree(self.folder, ignore_errors=True)
            self.accelerator.wait_for_everyone()
            return None
        if latest is not None and not self.options.resume:
            raise TrainingError(f"{latest} exists: add --resume to go on from it, or --restart to delete that run.")
        if latest is None and self.options.resume:
            raise TrainingError(f"There is no checkpoint in {self.folder} to resume from; leave --resume out.")
        return latest

    def _save(self) -> None:
        part = self.folder / f"step-{self.step:08d}.part"
        if self.main:
            ckpt.begin(self.folder, self.step)
        self.accelerator.wait_for_everyone()
        ckpt.save_tensors(part / f"rng-{self.accelerator.process_index}.safetensors", ckpt.rng_tensors())
        self.accelerator.wait_for_everyone()
        if self.main:
            modules = self.task.modules
            ckpt.save_tensors(part / "modules.safetensors", ckpt.module_tensors(modules))
            ckpt.save_tensors(part / "averaged.safetensors", ckpt.averaged_tensors(self.averages, modules))
            moments = [ckpt.optimizer_tensors(n, o.adamw) for n, o in self.optimizers.items()]
            ckpt.save_tensors(part / "optimiser.safetensors", {k: v for m in moments for k, v in m.items()})
            state = {
                "step": self.step,
                "minutes": self.minutes,
                "scores": self.scores,
                "origin": self.origin,
                "updates": {n: a.optimization_step for n, a in self.averages.items()},
                "config": self.config.to_dict(),
            }
            ckpt.finish(part, state)
        self.checkpoint = part.with_suffix("")
        self.accelerator.wait_for_everyone()

    def _restore(self, checkpoint: Path) -> None:
        state, modules = ckpt.read_state(checkpoint), self.task.modules
        ckpt.load_modules(modules, ckpt.read_tensors(checkpoint / "modules.safetensors", self.device), checkpoint)
        if self.averages:
            averaged = ckpt.read_tensors(checkpoint / "averaged.safetensors", self.device)
            for name, average in self.averages.items():
                ckpt.load_averages({name: average}, modules, averaged, state["updates"].get(name, 0))
        moments = ckpt.read_tensors(checkpoint / "optimiser.safetensors", self.device)
        self.step, self.minutes, self.scores = state["step"], state["minutes"], state["scores"]
        self.origin = state.get("origin", "")
        for name, optimizer in self.optimizers.items():
            ckpt.load_optimizer(name, optimizer.adamw, moments)
            optimizer.plan(self.step, self.steps)
        skip(self.batches, self.step)
        rng = checkpoint / f"rng-{self.accelerator.process_index}.safetensors"
        if rng.is_file():  # absent if there are more processes than before: the new ones start from the seed
            ckpt.restore_rng(ckpt.read_tensors(rng, torch.device("cpu")))

    def _initialise(self, folder: Path, names: list[str]) -> None:
        """Fill the modules `names`, or all that both stages have, with the averaged weights of an earlier stage."""
        source = ckpt.latest(folder)
        if source is None:
            raise TrainingError(f"{self.config.where} starts from {folder}, which has no checkpoint; train it first.")
        tensors = ckpt.read_tensors(source / "modules.safetensors", torch.device("cpu"))
        tensors |= ckpt.read_tensors(source / "averaged.safetensors", torch.device("cpu"))
        shared = {n: m for n, m in self.task.modules.items() if any(k.startswith(f"{n}/") for k in tensors)}
        wanted = names or list(shared)
        if not wanted or not shared.keys() >= set(wanted):
            raise TrainingError(f"{self.config.where} shares no such module with {source}; check its init.")
        ckpt.load_modules({name: shared[name] for name in wanted}, tensors, source)


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0


def leave_group() -> None:
    """Leave the group of processes, if there is one: gloo may abort a process that ends without this."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
