import numpy as np
import pytest
import torch

from tests.methods.speak.stage_configs import still, task_of
from thgen.methods.speak import equations as eq


def test_pairs_are_a_voice_with_its_own_lips_and_with_others(talk):
    task = task_of(talk, "sync", moments=3)
    apart = torch.tensor([[[0.1, 0.9, 0.5], [0.3, 0.2, 0.8], [0.7, 0.6, 0.4]]])
    wanted = [0.1**2, 0.2**2, 0.4**2, (1 - 0.9) ** 2, (1 - 0.8) ** 2, (1 - 0.7) ** 2]
    assert task.contrast(apart).item() == pytest.approx(sum(wanted) / 12)


def test_the_expert_learns_and_counts(talk):
    task = still(task_of(talk, "sync"))
    batch = task.batch(task.store, np.random.default_rng(0), False)
    scores = task.scores(batch)
    assert scores["sync"] == pytest.approx(float(task.losses("generator", batch)["sync"])) and scores["accuracy"] <= 100
    apart = task.apart(batch)
    assert apart.shape == (2, 4, 4) and apart.min() >= 0 and apart.max() <= 2
    task.apart = lambda _: 1 - torch.eye(3)[None]
    assert task.scores(batch)["accuracy"] == 100
    assert task.scores(batch)["sync"] == 0 < eq.synchronisation(torch.zeros(1), torch.zeros(1))
