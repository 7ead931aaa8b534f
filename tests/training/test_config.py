"""Configs: what the shipped ones say, and that a mistake is named where it was made."""

from __future__ import annotations

import pytest
import yaml

from thgen.errors import TrainingError
from thgen.training.config import RENAMED, checked, config_files, load_stage, read_stages
from thgen.training.task import task_class

GOOD = {"task": "a.b:C", "steps": 10, "batch_size": 2, "lr": 1e-3, "losses": {"l1": 1}}


@pytest.mark.parametrize("method", config_files())
def test_every_shipped_stage_is_valid(method):
    for name in read_stages(method):
        assert load_stage(method, name).steps > 0


@pytest.mark.parametrize("method", config_files())
def test_every_shipped_stage_has_a_smoke_run_that_needs_no_data_and_no_voices_of_its_own(method):
    for name in read_stages(method):
        data = load_stage(method, name, smoke=True).data
        folders = {data[split] for split in ("train", "val") if split in data}
        assert len(folders) < 2 and folders <= {"out/smoke/pairs", "out/smoke/talk"}, name
        assert data.get("voices", "espeak") == "espeak", name


@pytest.mark.parametrize("method", ["rig", "pd_fgc.compact"])
def test_the_bundled_weights_losses_look_through_a_prior_that_every_machine_has(method):
    """ "auto" is another one where the Hub can be reached, and the same config would train other weights."""
    stages = [load_stage(method, name) for name in read_stages(method)]
    priors = {s.name: s.data.get("prior") for s in stages if {"vgg", "perceptual"} & s.losses.keys()}
    assert priors and set(priors.values()) == {"analyser"}, priors


def test_defaults_are_shared_and_overridden(tmp_path):
    file = tmp_path / "m.yaml"
    file.write_text(yaml.safe_dump({"defaults": {"ema": 0.5, "seed": 3}, "stages": {"s": {**GOOD, "seed": 4}}}))
    config = load_stage("m", "s", file, {"losses.edges": 2, "data.clips": 5, "lr": 0.1})
    assert (config.ema, config.seed, config.lr, config.data) == (0.5, 4, 0.1, {"clips": 5})
    assert config.losses["edges"].at(0) == 2 and config.losses["l1"].at(0) == 1


def test_smoke_settings_apply_only_when_asked_for(tmp_path):
    file = tmp_path / "m.yaml"
    file.write_text(yaml.safe_dump({"stages": {"s": {**GOOD, "data": {"clips": 9}, "smoke": {"data.clips": 1}}}}))
    assert load_stage("m", "s", file).data == {"clips": 9}
    small = load_stage("m", "s", file, {"batch_size": 3}, smoke=True)
    assert (small.data, small.steps, small.batch_size) == ({"clips": 1}, 2, 3)


def test_old_names_of_settings_still_work_and_are_logged(tmp_path, caplog):
    """In a config file, in its smoke block, and with --set."""
    file = tmp_path / "m.yaml"
    stage = {**GOOD, "losses": {"keypoints": 1, "plain": 30, "image": 2}, "data": {"keep": 2, "clips": 5},
             "smoke": {"data.kept": "out"}}  # fmt: skip
    file.write_text(yaml.safe_dump({"stages": {"s": stage}}))
    config = load_stage("m", "s", file, {"losses.plain": 3, "data.seen": 0.5, "losses.steady": 1}, smoke=True)
    assert config.data == {"cached_views": 2, "clips": 5, "cache_folder": "out", "lip_from_video_share": 0.5}
    assert {n: w.weight for n, w in config.losses.items()} == {
        "keypoints": 1, "coefficient_l2": 3, "image": 2, "swap_consistency": 1
    }  # fmt: skip
    assert "Stage 's' of 'm': 'losses.plain' is now called 'losses.coefficient_l2'." in caplog.text
    caplog.clear()
    load_stage("m", "s", file, {"data.cached_views": 4})
    load_stage("pd_fgc.compact", "2a", overrides={"data.apart": 5})
    assert "'data.keep' is now called 'data.cached_views'" in caplog.text, "new names win, the file is still old"
    assert "'data.apart' is now called 'data.min_gap'" in caplog.text


def test_both_names_of_a_setting_are_refused(tmp_path):
    file = tmp_path / "m.yaml"
    file.write_text(yaml.safe_dump({"stages": {"s": {**GOOD, "data": {"keep": 2, "cached_views": 3}}}}))
    with pytest.raises(TrainingError, match=r"both 'data\.cached_views' and 'data\.keep', its old name"):
        load_stage("m", "s", file)


def test_every_new_name_of_a_setting_is_one_that_a_shipped_stage_reads():
    known = set()
    for method in config_files():
        for name in read_stages(method):
            config = load_stage(method, name)
            known |= {f"data.{key}" for key in task_class(config).data_type.model_fields}
            known |= {f"losses.{key}" for key in config.losses}
    assert set(RENAMED.values()) <= known and not set(RENAMED) & known


def test_plain_numbers_as_yaml_writes_them():
    config = checked(
        "m", "s", {**GOOD, "lr": "1e-4", "precision": False, "steps": 5.0}
    )  # YAML: 1e-4 is text, no is False
    assert (config.lr, config.precision, config.steps) == (1e-4, "no", 5)


def test_a_loss_may_start_later_and_optimizers_may_have_their_own_rate():
    config = checked("m", "s", {**GOOD, "losses": {"gan": {"weight": 0.1, "start": 100}}, "lr": {"g": 1e-3}})
    assert config.losses["gan"].at(99) == 0 and config.losses["gan"].at(100) == 0.1
    assert config.rate("g") == 1e-3
    with pytest.raises(TrainingError, match="optimizer 'd'"):
        config.rate("d")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"stpes": 3}, "did you mean 'steps'"),
        ({"steps": 0}, "steps must be a whole number from 1"),
        ({"steps": 1.5}, "steps must be a whole number"),
        ({"lr": "fast"}, "lr must be a number"),
        ({"lr": float("nan")}, "lr must be a number"),
        ({"lr": True}, "lr must be a number"),
        ({"ema": 1}, "ema must be"),
        ({"precision": "fp16"}, "bf16, no"),
        ({"schedule": "zigzag"}, "schedule must be one of"),
        ({"task": "a.b.C"}, "package.module:Class"),
        ({"losses": {"l1": "big"}}, "losses.l1"),
        ({"losses": {"l1": {"start": 3}}}, "losses.l1"),
        ({"losses": [1]}, "losses must be a mapping"),
        ({"betas": 0.9}, "betas must be two numbers"),
        ({"init": 3}, "init must be"),
    ],
)
def test_mistakes_are_named(change, told):
    with pytest.raises(TrainingError, match=told):
        checked("m", "s", {**GOOD, **change})


def test_missing_things_are_named(tmp_path):
    with pytest.raises(TrainingError, match="lacks: lr"):
        checked("m", "s", {k: v for k, v in GOOD.items() if k != "lr"})
    with pytest.raises(TrainingError, match=r"nomethod; there are: .*rig"):
        read_stages("nomethod")
    broken = tmp_path / "broken.yaml"
    for text, told in (
        ("stages: [", "not valid YAML"),
        ("a: 1", "needs a mapping 'stages'"),
        ("stages: {a: 1}", "map"),
    ):
        broken.write_text(text)
        with pytest.raises(TrainingError, match=told):
            read_stages("broken", broken)
