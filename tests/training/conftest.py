"""A config with one tiny stage, and options that keep its run in a temporary folder."""

from __future__ import annotations

import pytest
import torch
import yaml

from thgen.training.config import load_stage
from thgen.training.loop import RunOptions

NETWORKS = {"tiny": "tests.training.tiny_task:TinyNet"}
STAGE = {
    "task": "tests.training.tiny_task:TinyStage", "steps": 4, "batch_size": 2, "lr": 1e-2, "warmup": 1, "ema": 0.9,
    "precision": "no", "losses": {"l1": 1.0, "size": 0}, "log_every": 2, "image_every": 2, "validate_every": 2,
    "save_every": 2, "data": {"noise": True}, "about": "noise",
}  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread():
    """Exact comparisons."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def stage(tmp_path):
    """(name, changes) -> StageConfig of a config file with one stage."""

    def build(name: str = "first", **changes):
        file = tmp_path / "tiny.yaml"
        file.write_text(yaml.safe_dump({"stages": {name: {**STAGE, **changes}}}))
        return load_stage("tiny", name, file)

    return build


@pytest.fixture
def options(tmp_path):
    def build(run: str = "a", **changes) -> RunOptions:
        return RunOptions(
            runs=tmp_path / run, weights=tmp_path / f"weights_{run}", networks=NETWORKS, cpu=True, **changes
        )

    return build
