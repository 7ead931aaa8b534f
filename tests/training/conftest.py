"""A config with one tiny stage, options that keep its run in a temporary folder, and shards of the built-in head."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import torch
import yaml

from thgen.synth import cli
from thgen.training.loop import RunOptions
from thgen.training.stage import load_stage

NETWORKS = {"tiny": "tiny_task:TinyNet"}
STAGE = {
    "task": "tiny_task:TinyStage", "steps": 4, "batch_size": 2, "lr": 1e-2, "warmup": 1, "ema": 0.9,
    "precision": "no", "losses": {"l1": 1.0, "size": 0}, "log_every": 2, "image_every": 2, "validate_every": 2,
    "save_every": 2, "data": {"noise": True}, "about": "noise",
}  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Exact comparisons, and `tiny_task` importable by the name that a config gives."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
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


@pytest.fixture(scope="session")
def shards(tmp_path_factory):
    """Clips of the built-in head, small but real."""
    out = tmp_path_factory.mktemp("train")
    parser = argparse.ArgumentParser()
    cli.add_parser(parser.add_subparsers())
    options = ["--head", "ellipsoid", "--identities", "2", "--clips-per-identity", "2", "--frames", "5"]
    cli.run(parser.parse_args(["render", *options, "--motion", "random", "--out", str(out)]))
    return out
