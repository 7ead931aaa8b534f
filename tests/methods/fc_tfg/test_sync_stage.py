"""The stage of the sync expert: its data and its scores."""

import numpy as np
import torch

from tests.methods.fc_tfg.test_stages import config, still
from thgen.methods.fc_tfg.sync import lip_windows
from thgen.training.data.samples import Clip, tensor
from thgen.training.task import build_task


def test_each_window_of_lips_has_its_own_voice(talk):
    task = build_task(config(talk, "sync"))
    batch = task.batch(task.store, np.random.default_rng(0), False)
    assert batch["lips"].shape == (2, 4, 15, 48, 96) and batch["mel"].shape == (2, 4, 1, 80, 16)
    of_clips = []  # windows of lips and of the voice that start with each frame, clip by clip
    for number in range(2):
        clip = Clip(task.store, number)
        views = tensor(clip.moments(list(range(12))).images)
        lips = lip_windows(torch.stack([views[s : s + 5] for s in range(8)]))
        of_clips.append((lips, torch.from_numpy(task.voices.windows(clip, list(range(2, 10)), 0))))
    for row in range(2):
        matches = []
        for lips, voices in of_clips:
            starts = [int((lips - seen).abs().amax((1, 2, 3)).argmin()) for seen in batch["lips"][row]]
            if torch.equal(lips[starts], batch["lips"][row]):
                assert torch.equal(voices[starts], batch["mel"][row]) and starts == sorted(set(starts))
                matches.append(starts)
        assert len(matches) == 1, "the row is of one clip"


def test_likeness_scores_and_losses(talk, monkeypatch):
    task = still(build_task(config(talk, "sync")))
    batch = task.batch(task.store, np.random.default_rng(0), False)
    near = task.likeness(batch)
    assert near.shape == (2, 4, 4) and near.abs().max() <= 1 + 1e-5
    right = torch.eye(4).expand(2, -1, -1)
    monkeypatch.setattr(task, "likeness", lambda batch: right)
    assert task.scores(batch)["accuracy"] == 100 and task.losses("main", batch)["a2v"] < 1e-3
    monkeypatch.setattr(task, "likeness", lambda batch: right.flip(1))
    assert task.scores(batch)["accuracy"] == 0 and task.losses("main", batch)["v2a"] > 5
