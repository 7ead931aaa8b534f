"""Batches by number: skipping, worker processes, and the way to the device."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from thgen.training.data.batches import StepBatches, skip, to_channels_last, to_device


def _make(number: int) -> dict:
    return {"x": np.random.default_rng((7, number)).normal(size=3)}


@pytest.mark.parametrize("workers", [0, 2])
def test_skipping_equals_drawing(workers):
    whole, jumped = StepBatches(_make, workers), StepBatches(_make, workers)
    drawn = [next(whole)["x"] for _ in range(5)]
    np.testing.assert_array_equal(next(jumped)["x"], drawn[0])
    skip(jumped, 3)
    np.testing.assert_array_equal(next(jumped)["x"], drawn[4])
    plain = iter(range(10))
    skip(plain, 4)
    assert next(plain) == 4


def test_worker_processes_do_not_touch_the_random_numbers_of_training():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    next(StepBatches(_make, 1))
    assert torch.equal(torch.get_rng_state(), before)


def test_arrays_become_tensors_and_other_things_pass():
    batch = {"image": np.zeros((2, 4, 3, 5), np.uint8)[:, ::2], "flag": "as it is", "row": torch.ones(3)}
    out = to_device(batch, torch.device("cpu"), channels_last=True)
    assert out["image"].dtype == torch.uint8 and out["image"].shape == (2, 2, 3, 5)
    assert out["image"].is_contiguous(memory_format=torch.channels_last) and out["flag"] == "as it is"


def test_networks_with_tensors_of_any_rank_go_channels_last():
    """Module.to(memory_format=channels_last) fails at rank 5, and so did the paper preset of PD-FGC."""
    module = torch.nn.Conv2d(3, 4, 3)
    module.modulated = torch.nn.Parameter(torch.randn(1, 2, 3, 3, 3))
    module.register_buffer("map", torch.randn(1, 2, 5, 5))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    to_channels_last(module)
    for tensor in (module.weight, module.map):
        assert tensor.is_contiguous(memory_format=torch.channels_last)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
