"""Ablations: which runs a config names, what each changes, and what is refused."""

import pytest
import yaml

from thgen.__main__ import main
from thgen.errors import TrainingError
from thgen.training.ablations import load_ablations
from thgen.training.config import config_files, read_config

BROKEN = [
    ({"stage": "first", "seeds": [0]}, "must be a mapping with stage, seeds, variants"),
    ({"stage": "first", "seeds": 0, "variants": {}}, "list of whole numbers"),
    ({"stage": "first", "seeds": [0], "variants": {"a": 3}}, "must map a name to settings"),
    ({"stage": "none", "seeds": [0], "variants": {"a": {}}}, "no stage 'none'"),
]


def with_ablations(path, ablations):
    raw = yaml.safe_load(path.read_text()) | {"ablations": ablations}
    path.write_text(yaml.safe_dump(raw))
    return path


@pytest.fixture
def file(stage, tmp_path):
    stage(steps=2)
    return tmp_path / "tiny.yaml"


def test_each_variant_has_each_seed_and_its_own_settings(file):
    with_ablations(file, {"stage": "first", "seeds": [0, 4], "variants": {"slow": {"lr": 1e-5}, "plain": {}}})
    found = load_ablations("tiny", file, {"lr": 0.5, "warmup": 3})
    assert {name: (c.name, c.seed, c.lr, c.warmup) for name, c in found.items()} == {
        "slow-0": ("slow-0", 0, 1e-5, 3), "slow-4": ("slow-4", 4, 1e-5, 3),
        "plain-0": ("plain-0", 0, 0.5, 3), "plain-4": ("plain-4", 4, 0.5, 3),
    }  # fmt: skip


@pytest.mark.parametrize(("ablations", "told"), BROKEN)
def test_what_is_wrong_is_told(file, ablations, told):
    with pytest.raises(TrainingError, match=told):
        load_ablations("tiny", with_ablations(file, ablations))


def test_a_config_without_ablations_says_so(file, capsys):
    assert main(["train", "tiny", "--config", str(file), "--ablations"]) == 2
    assert "has no ablations" in capsys.readouterr().err


def test_runs_lie_beside_the_stages_and_exports_apart(file, tmp_path, capsys):
    with_ablations(file, {"stage": "first", "seeds": [0, 1], "variants": {"slow": {"lr": 1e-5}, "plain": {}}})
    words = ["train", "tiny", "--config", str(file), "--runs", str(tmp_path / "runs"), "--cpu", "--ablations"]
    assert main([*words, "--stage", "slow-1", "--no-export"]) == 0
    assert [p.name for p in (tmp_path / "runs/tiny").iterdir()] == ["slow-1"]
    assert main([*words, "--stage", "fast-0"]) == 2
    assert "choose one of: plain-0, plain-1, slow-0, slow-1" in capsys.readouterr().err


@pytest.mark.parametrize("method", [name for name in config_files() if "ablations" in read_config(name)])
def test_the_ablations_of_every_config_load(method):
    found = load_ablations(method)
    assert len(found) > 1 and len({str(c.to_dict() | {"name": ""}) for c in found.values()}) == len(found)
