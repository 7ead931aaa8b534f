"""Checkpoints are whole or absent, hold no pickle, and give back bit for bit what went in."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from diffusers.training_utils import EMAModel
from torch import nn

from thgen.errors import TrainingError
from thgen.training import checkpoint as ckpt


def test_random_number_generators_go_on_where_they_were(tmp_path):
    random.seed(1), np.random.seed(2), torch.manual_seed(3)
    random.gauss(0, 1), np.random.normal()  # both keep a second value back
    ckpt.save_tensors(tmp_path / "rng.safetensors", ckpt.rng_tensors())

    def draw():
        return random.gauss(0, 1), random.random(), *np.random.normal(size=3), *torch.randn(3).tolist()

    first = draw()
    assert draw() != first
    ckpt.restore_rng(ckpt.read_tensors(tmp_path / "rng.safetensors", torch.device("cpu")))
    assert draw() == first


def test_an_interrupted_save_leaves_the_previous_checkpoint(tmp_path):
    ckpt.finish(ckpt.begin(tmp_path, 5), {"step": 5})
    part = ckpt.begin(tmp_path, 10)
    ckpt.save_tensors(part / "modules.safetensors", {"a": torch.zeros(2)})
    assert ckpt.latest(tmp_path).name == "step-00000005"
    ckpt.finish(ckpt.begin(tmp_path, 10), {"step": 10})
    assert ckpt.read_state(ckpt.latest(tmp_path)) == {"step": 10} and not list(ckpt.latest(tmp_path).glob("modules*"))


def test_only_the_newest_are_kept(tmp_path):
    for step in (1, 2, 30, 4):
        ckpt.finish(ckpt.begin(tmp_path, step), {"step": step})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000004", "step-00000030"]
    assert ckpt.latest(tmp_path / "nothing here") is None


def test_channels_last_and_tied_tensors_are_stored(tmp_path):
    conv = nn.Conv2d(4, 5, 3).to(memory_format=torch.channels_last)
    tensors = {"a": conv.weight, "b": conv.weight, "c": torch.arange(6).view(2, 3).t()}
    ckpt.save_tensors(tmp_path / "t.safetensors", tensors)
    back = ckpt.read_tensors(tmp_path / "t.safetensors", torch.device("cpu"))
    assert all(torch.equal(back[k], tensors[k]) for k in tensors)


def test_optimiser_continues_bit_for_bit_with_the_memory_format_of_its_parameters(tmp_path):
    def build():
        torch.manual_seed(0)
        net = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
        return net, torch.optim.AdamW(net.parameters(), 1e-2, fused=True)

    def step(net, optimiser, seed):
        x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
        net(x.contiguous(memory_format=torch.channels_last)).square().mean().backward()
        optimiser.step()
        optimiser.zero_grad()

    net, optimiser = build()
    step(net, optimiser, 1)
    ckpt.save_tensors(tmp_path / "o.safetensors", ckpt.optimizer_tensors("main", optimiser))
    ckpt.save_tensors(tmp_path / "m.safetensors", ckpt.module_tensors({"net": net}))
    step(net, optimiser, 2)
    other, again = build()
    cpu = torch.device("cpu")
    ckpt.load_modules({"net": other}, ckpt.read_tensors(tmp_path / "m.safetensors", cpu), tmp_path)
    ckpt.load_optimizer("main", again, ckpt.read_tensors(tmp_path / "o.safetensors", cpu))
    assert again.state[other.weight]["exp_avg"].stride() == other.weight.stride()
    step(other, again, 2)
    assert torch.equal(net.weight, other.weight) and torch.equal(net.bias, other.bias)


def test_another_architecture_is_refused_with_a_remedy(tmp_path):
    small, large = nn.Linear(2, 2), nn.Linear(2, 3)
    tensors = ckpt.module_tensors({"net": small})
    with pytest.raises(TrainingError, match="--restart"):
        ckpt.load_modules({"net": large}, tensors, tmp_path)
    average = EMAModel(large.parameters())
    with pytest.raises(TrainingError, match="net/weight"):
        ckpt.load_averages({"net": average}, {"net": large}, tensors, 3)


def test_unreadable_files_are_named(tmp_path):
    (tmp_path / "state.json").write_text("{")
    (tmp_path / "modules.safetensors").write_bytes(b"no")
    with pytest.raises(TrainingError, match=r"delete it"):
        ckpt.read_state(tmp_path)
    with pytest.raises(TrainingError, match=r"modules\.safetensors"):
        ckpt.read_tensors(tmp_path / "modules.safetensors", torch.device("cpu"))
