"""Two small stages that exercise everything the loop offers; imported by name, as real tasks are."""

from __future__ import annotations

import os
import signal
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from thgen.training.data.batches import StepBatches
from thgen.training.settings import Settings, arguments_of
from thgen.training.task import Task
from thgen.weights.manifest import LOWER


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


class TinyData(Settings):
    noise: bool = False
    plain: bool = False  # an iterator without `skip`
    interrupt: int = 0  # number of the call of `losses` that is interrupted
    nan: bool = False


class TinyStage(Task):
    """One optimizer; it does not update `frozen`."""

    exports = ("tiny",)
    data_type, model_type = TinyData, arguments_of(TinyNet)
    better: ClassVar = {"error": LOWER}
    optimizers: ClassVar = {"main": ["net"]}
    float32 = ("grid",)

    def __init__(self, config):
        self.config, self.data = config, self.data_of(config)
        self.calls = 0
        self.modules = {"net": TinyNet(**config.model), "frozen": nn.Linear(3, 3)}

    def _make(self, seed, rank, number):
        rng = np.random.default_rng((seed, rank, number))
        image = rng.normal(size=(self.config.batch_size, 3, 8, 8)).astype(np.float32)
        return {"image": image, "target": torch.from_numpy(image[:, ::-1].copy())}

    def batches(self, split, seed, rank, world):
        if self.data.plain:
            return (self._make(seed, rank, n) for n in range(10**9))
        return StepBatches(lambda n: self._make(seed, rank, n), self.config.workers)

    def losses(self, optimizer, batch):
        self.calls += 1
        if self.calls == self.data.interrupt:
            os.kill(os.getpid(), signal.SIGINT)  # as Ctrl-C does, in the middle of a step
        assert batch["image"].is_contiguous(memory_format=torch.channels_last)
        out = self.modules["net"](batch["image"])
        out = out + 0 * torch.rand(()) if self.data.noise else out
        scale = float("nan") if self.data.nan else 1.0
        return {"l1": scale * (out - batch["target"]).abs().mean(), "size": out.square().mean()}

    def images(self, batch):
        assert not self.modules["net"].training
        torch.rand(5)  # must not disturb the training's random numbers
        return {"net": self.modules["net"](batch["image"])[0].clamp(-1, 1) / 2 + 0.5}

    def validate(self):
        batch = torch.from_numpy(self._make(99, 0, 0)["image"]).to(self.device)
        return {"undefined": float("nan"), "error": (self.modules["net"](batch) - batch.flip(1)).abs().mean().item()}

    def networks(self):
        return {"tiny": (self.modules["net"].state_dict(), {"width": self.config.model.get("width", 4)})}


class TinyPart(TinyStage):
    """Publishes a second network, which another stage trains and exports; `net` stays as it is."""

    exports = ("spare",)
    optimizers: ClassVar = {"main": ["spare"]}

    def __init__(self, config):
        super().__init__(config)
        self.modules["spare"] = TinyNet(2)

    def losses(self, optimizer, batch):
        return {"l1": (self.modules["spare"](batch["image"]) - batch["target"]).abs().mean()}

    def networks(self):
        return super().networks() | {"spare": (self.modules["spare"].state_dict(), {"class": "tiny", "width": 2})}


class TinyDuel(TinyStage):
    """Two optimizers: `net` against `discriminator`, each with a hinge loss."""

    optimizers: ClassVar = {"generator": ["net"], "discriminator": ["discriminator"]}

    def __init__(self, config):
        super().__init__(config)
        self.modules["discriminator"] = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.Conv2d(4, 1, 3))

    def losses(self, optimizer, batch):
        discriminator, net = self.modules["discriminator"], self.modules["net"]
        if optimizer == "generator":
            assert not any(p.requires_grad for p in discriminator.parameters())
            fake = net(batch["image"])
            return {"l1": (fake - batch["target"]).abs().mean(), "fool": -discriminator(fake).mean()}
        fake = net(batch["image"])
        assert not fake.requires_grad  # the generator's turn is over
        real = discriminator(batch["target"])
        return {"discriminator": (1 - real).relu().mean() + (1 + discriminator(fake)).relu().mean()}
