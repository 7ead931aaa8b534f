"""Exports: half precision where it holds, deterministic bytes, several networks and exporters at once."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from safetensors.torch import load_file

from thgen.errors import TrainingError
from thgen.training.export import History, export_weights
from thgen.weights.hub import verify
from thgen.weights.manifest import read_manifest

NETWORKS = {"net": "tests:Net"}
HISTORY = History("m/s", "noise", 10, 1.234, "a desk", {"error": 1 / 3})


def test_two_exports_of_the_same_weights_are_the_same_bytes(tmp_path):
    state = {f"layer{i}.weight": torch.randn(3, 4, 2, 2).to(memory_format=torch.channels_last) for i in range(20)}
    for folder in ("a", "b"):
        export_weights({"net": (state, {"z": 1, "a": [2]})}, (), HISTORY, tmp_path / folder, NETWORKS)
    for file in ("net/model.safetensors", "manifest.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    text = (tmp_path / "a/manifest.json").read_text()
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"
    entry = read_manifest(tmp_path / "a")["net"]
    assert (entry.minutes, entry.scores, entry.revision) == (1.2, {"error": 0.3333}, None)
    assert verify("net", tmp_path / "a").stat().st_size == entry.bytes
    assert sorted(p.name for p in (tmp_path / "a/net").iterdir()) == ["model.safetensors"]


def test_marked_tensors_keep_float32_and_integers_their_type(tmp_path):
    state = {"grid": torch.tensor([1e6]), "w": torch.ones(2), "n": torch.tensor(3)}
    export_weights({"mine": (state, {"class": "net"})}, ("gri*",), HISTORY, tmp_path, NETWORKS)
    tensors = load_file(tmp_path / "mine/model.safetensors")
    assert {k: v.dtype for k, v in tensors.items()} == {
        "grid": torch.float32, "w": torch.float16, "n": torch.int64
    }  # fmt: skip
    entry = read_manifest(tmp_path)["mine"]
    assert entry.network == "net" and entry.config == {}


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [("net", 1e6, "exceeds fp16"), ("net", float("nan"), "not finite"), ("other", 1, "NETWORKS")],
)
def test_what_could_not_be_loaded_is_not_written(tmp_path, name, value, told):
    with pytest.raises(TrainingError, match=told):
        export_weights({name: ({"w": torch.tensor([float(value)])}, {})}, (), HISTORY, tmp_path, NETWORKS)
    assert not list(tmp_path.iterdir())


def test_exports_at_the_same_time_lose_no_entry(tmp_path):
    def export(i):
        export_weights({f"net{i}": ({"w": torch.ones(1)}, {"class": "net"})}, (), HISTORY, tmp_path, NETWORKS)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(export, range(16)))
    assert read_manifest(tmp_path).keys() == {f"net{i}" for i in range(16)}
