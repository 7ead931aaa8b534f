"""`evaluate hard` writes the analyser's error of each clip."""

import json
from argparse import Namespace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from thgen.evaluation.reports import hard
from thgen.face.crop import ANALYSER
from thgen.training.data.store import ClipStore
from thgen.weights import hub


class Centre(torch.nn.Module):
    """Puts all landmarks of every crop into its centre."""

    def forward(self, view):
        return SimpleNamespace(keypoints=torch.zeros(len(view), 90, 3))


def test_the_error_is_a_distance_in_percent_of_the_distance_between_the_eyes(shards):
    store = ClipStore(shards)
    errors = hard.measure(Centre(), store, 2, torch.device("cpu"))
    assert list(errors) == [clip.key for clip in store.clips]
    _, truth = store.load(0, [0, 1], ("keypoints",))
    marks = truth["keypoints"][:2, :68, :2].astype(np.float64)
    low, high = marks.min(1), marks.max(1)
    middle = (low + high) / 2 - np.stack([np.zeros(2), ANALYSER.lift * ANALYSER.scale * (high - low).max(1)], 1)
    away = np.linalg.norm(marks - middle[:, None], axis=2).mean(1)
    ocular = np.linalg.norm(marks[:, 36] - marks[:, 45], axis=1)
    assert errors[store.clips[0].key] == pytest.approx(100 * (away / ocular).mean(), rel=1e-3)


def test_the_command_writes_the_errors_beside_the_shards(shards, tmp_path, monkeypatch):
    for file in shards.glob("*.tar"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(hub.Networks, "get", lambda self, name: Centre())
    report = hard.run(Namespace(data=tmp_path, frames=1, device="cpu"))
    known = json.loads((tmp_path / "hard.json").read_text())
    assert set(known) == {clip.key for clip in ClipStore(tmp_path).clips}
    assert report.rows[1]["error below, % inter-ocular"] == pytest.approx(np.median(list(known.values())))
