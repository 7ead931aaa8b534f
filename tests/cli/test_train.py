"""`python -m thgen train` through the program's own entry: what it prints, trains and refuses."""

from __future__ import annotations

import pytest
import yaml

from thgen.__main__ import main
from thgen.errors import AssetError


def test_dry_run_prints_the_resolved_config_and_does_nothing(stage, tmp_path, capsys):
    stage()
    words = ["--config", str(tmp_path / "tiny.yaml"), "--dry-run", "--runs", str(tmp_path / "runs"), "--set", "lr=3e-4"]
    assert main(["train", "tiny", *words, "--set", "losses.size=2"]) == 0
    printed = yaml.safe_load(capsys.readouterr().out)["stages"]["first"]
    assert printed["lr"] == 3e-4 and printed["losses"]["size"]["weight"] == 2 and printed["schedule"] == "cosine"
    assert not (tmp_path / "runs").exists()


@pytest.fixture
def tiny(stage, tmp_path):
    """(words) -> exit status of training the tiny stage, which exports nothing."""
    stage(steps=2)
    common = ["train", "tiny", "--config", str(tmp_path / "tiny.yaml"), "--runs", str(tmp_path / "runs"), "--cpu"]
    return lambda *words: main([*common, "--no-export", *words])


def test_it_trains_and_writes_curves_and_checkpoints(tiny, tmp_path, capsys):
    assert tiny("--threads", "1") == 0
    assert "2/2" in capsys.readouterr().out
    run = tmp_path / "runs/tiny/first"
    assert (run / "tensorboard").is_dir() and (run / "step-00000002/state.json").is_file()
    assert yaml.safe_load((run / "config.yaml").read_text())["steps"] == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--threads", "0"], "threads"),
        (["--stage", "absent"], "choose one of: first"),
        (["--fit"], "--minutes"),
        (["--minutes", "nan"], "--minutes"),
        (["--set", "lr"], "KEY=VALUE"),
        (["--set", "lr=[1"], "not valid YAML"),
        (["--resume"], "no checkpoint"),
    ],
)
def test_nonsense_ends_with_one_sentence_and_status_2(tiny, capsys, words, told):
    assert tiny(*words) == 2
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1


def test_what_the_last_stage_lacks_is_told_before_the_first_one_trains(stage, tmp_path, capsys, monkeypatch):
    from tests.training import tiny_task

    def check(config):
        if config.name == "second":
            raise AssetError("There is no head.")

    monkeypatch.setattr(tiny_task.TinyStage, "check", check)
    stage(steps=2)
    file = tmp_path / "tiny.yaml"
    first = yaml.safe_load(file.read_text())["stages"]["first"]
    file.write_text(yaml.safe_dump({"stages": {"first": first, "second": first}}, sort_keys=False))
    words = ["train", "tiny", "--config", str(file), "--runs", str(tmp_path / "runs"), "--no-export", "--cpu"]
    assert main(words) == 2
    assert capsys.readouterr().err == "thgen: There is no head.\n"
    assert not (tmp_path / "runs").exists()
    assert main([*words, "--stage", "first"]) == 0, "which lacks nothing"


@pytest.mark.parametrize("name", ["analyser", "generator"])
def test_a_head_that_is_missing_is_told_by_the_stages_that_render_it(name, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("THGEN_FACEKIT", str(tmp_path))
    assert main(["train", "rig", "--stage", name, "--runs", str(tmp_path / "runs")]) == 2
    assert "facekit_convert" in capsys.readouterr().err and not (tmp_path / "runs").exists()


def test_an_unknown_method_lists_the_known_ones(capsys):
    assert main(["train", "nomethod"]) == 2
    assert "rig" in capsys.readouterr().err
