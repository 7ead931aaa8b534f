"""Optimizers of a stage. Each updates its own modules; the two of an adversarial stage take turns."""

from __future__ import annotations

import warnings

import torch
from accelerate import Accelerator
from diffusers.optimization import get_scheduler
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from thgen.errors import TrainingError
from thgen.training.config import StageConfig
from thgen.training.task import Task, optimizers_of

MAX_BAD_STEPS = 20  # steps in a row whose gradients are not finite, after which the weights are taken for lost


class ScheduledOptimizer:
    """AdamW with a schedule of its learning rate. trainable: the parameters that it updates, by "module.parameter"."""

    def __init__(self, name: str, modules: dict[str, nn.Module], config: StageConfig) -> None:
        """Updates those parameters of `modules` that require gradients now. Raises TrainingError if there are none."""
        self.name = name
        self.config = config
        self.trainable: dict[str, nn.Parameter] = {
            f"{m}.{n}": p for m, module in modules.items() for n, p in module.named_parameters() if p.requires_grad
        }
        if not self.trainable:
            raise TrainingError(f"{config.where}: the optimizer {name!r} has nothing to train.")
        # one group per learning rate, in the order of the modules
        groups: dict[float, list[nn.Parameter]] = {}
        for key, parameter in self.trainable.items():
            groups.setdefault(config.rate(f"{name}.{key.partition('.')[0]}"), []).append(parameter)
        self.rates = list(groups)
        self.adamw = AdamW(
            [{"params": group} for group in groups.values()], self.rates[0], betas=config.betas,
            weight_decay=config.weight_decay, fused=True,
        )  # fmt: skip
        self.bad_steps = 0
        self.plan(0, config.steps)

    def plan(self, step: int, steps: int) -> None:
        """Lay the learning-rate schedule over `steps` steps, of which `step` are done.

        Every schedule here is a closed form of the step, so checkpoints need not contain it.
        """
        for group, rate in zip(self.adamw.param_groups, self.rates, strict=True):
            group["initial_lr"] = group["lr"] = rate
        if isinstance(self.config.schedule, dict):
            every, factor = int(self.config.schedule["every"]), self.config.schedule["factor"]
            self.scheduler = LambdaLR(self.adamw, lambda s: factor ** (s // every), last_epoch=step - 1)
            return
        self.scheduler = get_scheduler(
            self.config.schedule,
            self.adamw,
            num_warmup_steps=self.config.warmup,
            num_training_steps=max(steps, self.config.warmup + 1),
            last_epoch=step - 1,
        )

    def advance(self) -> None:
        """Next learning rate, after a step with or without an update."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step", UserWarning)
            self.scheduler.step()

    def step(self, loss: Tensor, accelerator: Accelerator) -> Tensor:
        """Backward, clip, update. Returns the gradient norm []. Raises TrainingError when the training has diverged."""
        self.adamw.zero_grad(set_to_none=True)
        accelerator.backward(loss)
        parameters = list(self.trainable.values())
        average_gradients(parameters, accelerator)
        norm = clip_grad_norm_(parameters, self.config.clip or float("inf"))
        if torch.isfinite(norm):
            self.adamw.step()
            self.bad_steps = 0
        else:  # one bad batch is skipped
            self.bad_steps += 1
            if self.bad_steps >= MAX_BAD_STEPS:
                raise TrainingError(
                    f"{self.config.where}: the gradients of {self.name!r} were not finite for {MAX_BAD_STEPS} steps "
                    "in a row; resume from the last checkpoint with a lower lr or precision: 'no'."
                )
        self.adamw.zero_grad(set_to_none=True)
        return norm


def build_optimizers(task: Task, config: StageConfig) -> dict[str, ScheduledOptimizer]:
    """The stage's optimizers in the order of their turns. Freezes all other modules and the helpers."""
    chosen = optimizers_of(task)
    built = {o: ScheduledOptimizer(o, {n: task.modules[n] for n in names}, config) for o, names in chosen.items()}
    updated = {n for names in chosen.values() for n in names}
    for name, module in task.modules.items():
        module.train(name in updated)
        module.requires_grad_(False)
    for module in task.helpers.values():
        module.eval().requires_grad_(False)
    return built


def give_turn(optimizer: ScheduledOptimizer, on: bool) -> None:
    """Gradients of an optimizer's parameters on or off. During a turn only its own are on, so that the others cost
    nothing and cannot change."""
    for parameter in optimizer.trainable.values():
        parameter.requires_grad_(on)


def average_gradients(parameters: list[nn.Parameter], accelerator: Accelerator) -> None:
    """Replace gradients by their mean over processes, in one transfer.

    DistributedDataParallel does not fit: a task would have to call its wrappers in the place of the modules, and it
    allows one forward per backward, while two optimizers need several.
    """
    if accelerator.num_processes == 1:
        return
    for p in parameters:
        if p.grad is None:
            p.grad = torch.zeros_like(p)
    grads = [p.grad for p in parameters if p.grad is not None]
    mean = accelerator.reduce(torch.cat([g.flatten() for g in grads]), reduction="mean")
    for g, part in zip(grads, mean.split([g.numel() for g in grads]), strict=True):
        g.copy_(part.view_as(g))
