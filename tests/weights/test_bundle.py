"""Bundling copies weights that are verified and not worse than the bundled ones."""

from __future__ import annotations

import pytest
import torch

from thgen.__main__ import main
from thgen.errors import WeightsError
from thgen.training.export import History, export_weights
from thgen.weights import hub
from thgen.weights.bundle import bundle, source_of
from thgen.weights.manifest import HIGHER, LOWER, read_manifest

NETWORKS = {"tiny": "tests.training.tiny_task:TinyNet"}
BETTER = {"error": LOWER, "found": HIGHER}


@pytest.fixture
def exported(tmp_path):
    """(folder, weights name, scores) -> folder with one more export in it."""

    from tests.training.tiny_task import TinyNet  # importable by name within a test (conftest)

    def build(folder: str, name: str = "tiny", stage: str = "m/s", **scores: float):
        torch.manual_seed(len(folder) + len(name))
        history = History(stage, "noise", 10, 1.0, "a desk", scores, BETTER)
        export_weights({name: (TinyNet().state_dict(), {"class": "tiny"})}, (), history, tmp_path / folder, NETWORKS)
        return tmp_path / folder

    return build


def test_better_weights_are_copied_with_their_entry(exported):
    new, old = exported("new", error=0.1, found=90, copy=9), exported("old", error=0.2, found=90, copy=1)
    assert (new / "tiny/model.safetensors").read_bytes() != (old / "tiny/model.safetensors").read_bytes()
    assert bundle(new, old, networks=NETWORKS) == {"tiny": []}, "`copy` says nothing about the weights"
    assert (new / "tiny/model.safetensors").read_bytes() == (old / "tiny/model.safetensors").read_bytes()
    assert read_manifest(old) == read_manifest(new)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({"error": 0.3, "found": 90}, r"tiny: error is 0\.3, bundled 0\.2 \(lower is better\)"),
        ({"error": 0.1, "found": 80}, r"tiny: found is 80, bundled 90 \(higher is better\)"),
        ({"other": 1.0}, "shares no score"),
        ({"copy": 1.0}, "shares no score"),
    ],
)
def test_worse_weights_are_refused_unless_forced(exported, scores, message):
    new, old = exported("new", **scores), exported("old", error=0.2, found=90, copy=1)
    before = (old / "manifest.json").read_bytes(), (old / "tiny/model.safetensors").read_bytes()
    with pytest.raises(WeightsError, match=message) as caught:
        bundle(new, old, networks=NETWORKS)
    assert "--force" in str(caught.value)
    assert before == ((old / "manifest.json").read_bytes(), (old / "tiny/model.safetensors").read_bytes())
    bundle(new, old, force=True, networks=NETWORKS)
    assert read_manifest(old) == read_manifest(new)


def test_weights_of_another_stage_cannot_be_compared(exported):
    """Stage 1 of PD-FGC has a better keypoint score than stage 3, but does not train the parts of later stages."""
    new, old = exported("new", stage="m/1", error=0.1), exported("old", stage="m/3", error=0.2)
    with pytest.raises(WeightsError, match="the stage m/1 exported it, the bundled weights m/3"):
        bundle(new, old, networks=NETWORKS)
    bundle(new, old, force=True, networks=NETWORKS)
    assert read_manifest(old) == read_manifest(new)


def test_one_that_is_worse_keeps_all_others_back(exported):
    new = exported("new", "good", error=0.1)
    exported("new", "bad", error=0.9)
    old = exported("old", "good", error=0.2)
    exported("old", "bad", error=0.2)
    before = read_manifest(old)
    with pytest.raises(WeightsError, match="bad: error"):
        bundle(new, old, networks=NETWORKS)
    assert read_manifest(old) == before
    bundle(new, old, ["good"], networks=NETWORKS)
    assert read_manifest(old) == before | {"good": read_manifest(new)["good"]}
    with pytest.raises(WeightsError, match="it has: bad, good"):
        bundle(new, old, ["absent"], networks=NETWORKS)


def test_scores_that_only_the_bundled_weights_have_are_named(exported):
    new, old = exported("new", error=0.1), exported("old", error=0.2, found=90)
    assert bundle(new, old, networks=NETWORKS) == {"tiny": ["found"]}


def test_altered_weights_and_those_of_another_network_are_not_bundled(exported, tmp_path):
    new, old = exported("new", error=0.1), exported("old", error=0.2)
    before = read_manifest(old)
    for force in (False, True):
        with pytest.raises(WeightsError, match="does not know"):
            bundle(new, old, force=force, networks={})
    content = bytearray((new / "tiny/model.safetensors").read_bytes())
    content[-1] ^= 1
    (new / "tiny/model.safetensors").write_bytes(bytes(content))
    for force in (False, True):
        with pytest.raises(WeightsError, match="altered"):
            bundle(new, old, force=force, networks=NETWORKS)
    assert read_manifest(old) == before
    with pytest.raises(WeightsError, match="the folder to copy to"):
        bundle(old, old, networks=NETWORKS)


def test_a_run_is_found_by_its_name(exported, tmp_path):
    folder = exported("runs/rig/weights", error=0.1)
    assert source_of(str(folder), tmp_path / "runs") == source_of("rig", tmp_path / "runs") == folder
    with pytest.raises(WeightsError, match="runs that have some: rig"):
        source_of("gir", tmp_path / "runs")


def test_the_command_bundles_a_run_and_says_what_it_did(exported, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(hub.NETWORKS, "tiny", NETWORKS["tiny"])
    exported("runs/rig/weights", error=0.3)
    old = exported("old", error=0.2, found=90)
    call = ["weights", "bundle", "rig", "--runs", str(tmp_path / "runs"), "--weights", str(old)]
    assert main(call) == 2
    assert "error is 0.3, bundled 0.2" in capsys.readouterr().err
    assert main([*call, "--force"]) == 0
    shown = capsys.readouterr().out
    assert f"SHA-256 {read_manifest(old)['tiny'].sha256[:12]}" in shown and "not compared" in shown and "found" in shown
    assert main(["weights", "bundle", "--weights", str(old)]) == 2
