"""Two small stages that exercise everything the loop offers; imported by name, as real tasks are."""

from __future__ import annotations

import os
import signal
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from thgen.training.batches import StepBatches
from thgen.training.task import Task


class TinyNet(nn.Module):
    """4-D convolution, batch norm (buffers) and dropout (random numbers): what makes a resume inexact if forgotten."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.drop = nn.Dropout(0.2)
        self.head = nn.Conv2d(width, 3, 1)
        self.register_buffer("grid", torch.linspace(-1, 1, 7))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: [B 3 H W] -> [B 3 H W]"""
        return self.head(self.drop(self.norm(self.body(x))))


class TinyStage(Task):
    """One player; `frozen` belongs to nobody. data.plain = an iterator without `skip`."""

    players: ClassVar = {"main": ["net"]}
    float32 = ("grid",)

    def __init__(self, config):
        self.config = config
        self.calls = 0
        self.modules = {"net": TinyNet(config.model.get("width", 4)), "frozen": nn.Linear(3, 3)}

    def _make(self, seed, rank, number):
        rng = np.random.default_rng((seed, rank, number))
        image = rng.normal(size=(self.config.batch_size, 3, 8, 8)).astype(np.float32)
        return {"image": image, "target": torch.from_numpy(image[:, ::-1].copy())}

    def batches(self, split, seed, rank, world):
        if self.config.data.get("plain"):
            return (self._make(seed, rank, n) for n in range(10**9))
        return StepBatches(lambda n: self._make(seed, rank, n), self.config.workers)

    def losses(self, player, batch):
        self.calls += 1
        if self.calls == self.config.data.get("interrupt"):
            os.kill(os.getpid(), signal.SIGINT)  # as Ctrl-C does, in the middle of a step
        assert batch["image"].is_contiguous(memory_format=torch.channels_last)
        out = self.modules["net"](batch["image"])
        out = out + 0 * torch.rand(()) if self.config.data.get("noise") else out
        scale = float("nan") if self.config.data.get("nan") else 1.0
        return {"l1": scale * (out - batch["target"]).abs().mean(), "size": out.square().mean()}

    def images(self, batch):
        assert not self.modules["net"].training
        torch.rand(5)  # must not disturb the training's random numbers
        return {"net": self.modules["net"](batch["image"])[0].clamp(-1, 1) / 2 + 0.5}

    def validate(self):
        batch = torch.from_numpy(self._make(99, 0, 0)["image"]).to(self.device)
        return {"undefined": float("nan"), "error": (self.modules["net"](batch) - batch.flip(1)).abs().mean().item()}

    def export(self):
        return {"tiny": (self.modules["net"].state_dict(), {"width": self.config.model.get("width", 4)})}


class TinyDuel(TinyStage):
    """Two players: `net` against `judge`, a hinge loss each."""

    players: ClassVar = {"generator": ["net"], "judge": ["judge"]}

    def __init__(self, config):
        super().__init__(config)
        self.modules["judge"] = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.Conv2d(4, 1, 3))

    def losses(self, player, batch):
        judge, net = self.modules["judge"], self.modules["net"]
        if player == "generator":
            assert not any(p.requires_grad for p in judge.parameters())
            fake = net(batch["image"])
            return {"l1": (fake - batch["target"]).abs().mean(), "fool": -judge(fake).mean()}
        fake = net(batch["image"])
        assert not fake.requires_grad  # the generator's turn is over
        return {"judge": (1 - judge(batch["target"])).relu().mean() + (1 + judge(fake)).relu().mean()}
