"""Optimisers of a stage. Each player moves its own modules; adversarial stages have two that take turns."""

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
from thgen.training.task import Task, players_of

MAX_BAD_STEPS = 20


class Player:
    """One optimiser with its schedule. `trainable` are the parameters that it moves, fixed at the start."""

    def __init__(self, name: str, modules: dict[str, nn.Module], config: StageConfig) -> None:
        self.name = name
        self.config = config
        self.trainable: dict[str, nn.Parameter] = {
            f"{m}.{n}": p for m, module in modules.items() for n, p in module.named_parameters() if p.requires_grad
        }
        if not self.trainable:
            raise TrainingError(f"{config.where}: the player {name!r} has nothing to train.")
        # One group per rate, in the order of the modules.
        groups: dict[float, list[nn.Parameter]] = {}
        for key, parameter in self.trainable.items():
            groups.setdefault(config.rate(f"{name}.{key.partition('.')[0]}"), []).append(parameter)
        self.rates = list(groups)
        self.optimiser = AdamW(
            [{"params": group} for group in groups.values()], self.rates[0], betas=config.betas,
            weight_decay=config.weight_decay, fused=True,
        )  # fmt: skip
        self.bad_steps = 0
        self.plan(0, config.steps)

    def plan(self, step: int, steps: int) -> None:
        """Lay the learning-rate schedule over `steps` steps of which `step` are done.

        Every schedule here is a closed form of the step, so nothing of it needs to be stored.
        """
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["initial_lr"] = group["lr"] = rate
        if isinstance(self.config.schedule, dict):
            every, factor = int(self.config.schedule["every"]), self.config.schedule["factor"]
            self.scheduler = LambdaLR(self.optimiser, lambda s: factor ** (s // every), last_epoch=step - 1)
            return
        self.scheduler = get_scheduler(
            self.config.schedule,
            self.optimiser,
            num_warmup_steps=self.config.warmup,
            num_training_steps=max(steps, self.config.warmup + 1),
            last_epoch=step - 1,
        )

    def advance(self) -> None:
        """Next learning rate; also for a player that rests."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step", UserWarning)
            self.scheduler.step()

    def step(self, loss: Tensor, accelerator: Accelerator) -> Tensor:
        """Backward, clip, update. Returns the gradient norm []. Raises TrainingError when the training has diverged."""
        self.optimiser.zero_grad(set_to_none=True)
        accelerator.backward(loss)
        parameters = list(self.trainable.values())
        average_gradients(parameters, accelerator)
        norm = clip_grad_norm_(parameters, self.config.clip or float("inf"))
        if torch.isfinite(norm):
            self.optimiser.step()
            self.bad_steps = 0
        else:  # one bad batch is left out; a row of them means that the weights are lost
            self.bad_steps += 1
            if self.bad_steps >= MAX_BAD_STEPS:
                raise TrainingError(
                    f"{self.config.where}: the gradients of {self.name!r} were not finite for {MAX_BAD_STEPS} steps "
                    "in a row; resume from the last checkpoint with a lower lr or precision: 'no'."
                )
        self.optimiser.zero_grad(set_to_none=True)
        return norm


def build_players(task: Task, config: StageConfig) -> dict[str, Player]:
    """The stage's players in turn order. Freezes every parameter that no player moves."""
    chosen = players_of(task)
    players = {p: Player(p, {n: task.modules[n] for n in names}, config) for p, names in chosen.items()}
    moved = {n for names in chosen.values() for n in names}
    for name, module in task.modules.items():
        module.train(name in moved)
        module.requires_grad_(False)
    for module in getattr(task, "helpers", {}).values():
        module.eval().requires_grad_(False)
    return players


def give_turn(player: Player, on: bool) -> None:
    """Only the player whose turn it is has gradients, so that the others cost none and cannot change."""
    for parameter in player.trainable.values():
        parameter.requires_grad_(on)


def average_gradients(parameters: list[nn.Parameter], accelerator: Accelerator) -> None:
    """Mean over processes, in one transfer.

    By hand instead of DistributedDataParallel: that wraps modules (the task would have to call the wrappers) and
    allows one forward per backward, which two players do not keep to.
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
