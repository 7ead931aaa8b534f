"""What stands under `data:` and `model:` of a stage is checked against what its task declares."""

from __future__ import annotations

from typing import Annotated

import pytest
from torch import nn

from thgen.__main__ import main
from thgen.errors import TrainingError
from thgen.training.config import config_files, load_stage, read_stages
from thgen.training.settings import Count, Real, Settings, Share, Whole, arguments_of, networks_of, one_of, read
from thgen.training.task import task_class


class Data(Settings):
    train: str
    window: Count = 13
    temperature: Real = 0.1
    seen: Share = 0.5
    freeze: bool = False
    voices: Annotated[str, one_of("espeak", "all")] = "espeak"


class Net(nn.Module):
    def __init__(self, inputs: int, channels: tuple[int, ...] = (8, 16), dropout: float = 0.0):
        super().__init__()


MODEL = networks_of(motion=arguments_of(Net, given=("inputs",)))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"windwo": 7}, "Stage 's' has the unknown key 'data.windwo'; did you mean 'data.window'?"),
        ({"zzz": 7}, "has the unknown key 'data.zzz'; known keys: train, window, temperature"),
        ({"window": "wide"}, "data.window must be a valid integer, not 'wide'"),
        ({"window": 7.5}, "data.window must be a valid integer, not 7.5"),
        ({"window": True}, "data.window must be a valid integer, not True"),
        ({"window": -1}, "data.window must be greater than or equal to 0, not -1"),
        ({"temperature": "hot"}, "data.temperature must be a valid number"),
        ({"temperature": float("nan")}, "data.temperature must be a finite number"),
        ({"seen": 1.5}, "data.seen must be less than or equal to 1"),
        ({"freeze": "yes"}, "data.freeze must be a valid boolean"),
        ({"train": 3}, "data.train must be a valid string, not 3"),
        ({"voices": "mine"}, "data.voices must be one of espeak, all, not 'mine'"),
    ],
)
def test_mistakes_are_named(change, told):
    with pytest.raises(TrainingError) as caught:
        read(Data, "Stage 's'", "data", {"train": "a"} | change)
    assert told in str(caught.value)


def test_what_is_missing_is_named_but_a_wrong_key_first():
    with pytest.raises(TrainingError, match=r"lacks: data\.train"):
        read(Data, "Stage 's'", "data", {})
    with pytest.raises(TrainingError, match=r"'data\.trian'; did you mean 'data\.train'"):
        read(Data, "Stage 's'", "data", {"trian": "a"})


def test_numbers_as_yaml_writes_them():
    found = read(Data, "Stage 's'", "data", {"train": "a", "window": 5.0, "temperature": "1e-2", "seen": 1})
    assert (found.window, found.temperature, found.seen) == (5, 0.01, 1.0)
    assert isinstance(found.window, int)


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ({"moton": {}}, "'model.moton'; did you mean 'model.motion'"),
        ({"motion": {"chanels": [8]}}, "'model.motion.chanels'; did you mean 'model.motion.channels'"),
        ({"motion": {"inputs": 3}}, "unknown key 'model.motion.inputs'"),
        ({"motion": {"channels": [8, "x"]}}, "model.motion.channels.1 must be a valid integer, not 'x'"),
        ({"motion": {"dropout": "none"}}, "model.motion.dropout must be a valid number"),
        ({"motion": 3}, "model.motion"),
    ],
)
def test_arguments_of_networks_are_those_of_their_constructor(model, told):
    with pytest.raises(TrainingError) as caught:
        read(MODEL, "Stage 's'", "model", model)
    assert told in str(caught.value)
    read(MODEL, "Stage 's'", "model", {"motion": {"channels": [8, 16, 32], "dropout": 0}})


def test_whole_numbers_stay_whole():
    class One(Settings):
        n: Whole

    assert read(One, "Stage 's'", "data", {"n": "3"}).n == 3


@pytest.mark.parametrize("smoke", [False, True])
@pytest.mark.parametrize("method", config_files())
def test_every_shipped_stage_says_only_what_its_task_reads(method, smoke):
    for name in read_stages(method):
        config = load_stage(method, name, smoke=smoke)
        task_class(config)
        for key in ("data", "model"):
            wrong = load_stage(method, name, overrides={f"{key}.windwo": 7}, smoke=smoke)
            with pytest.raises(TrainingError, match=f"unknown key '{key}.windwo'"):
                task_class(wrong)


@pytest.mark.parametrize("words", [[], ["--dry-run"]])
def test_a_wrong_key_ends_the_command_before_anything_is_loaded(words, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("THGEN_FACEKIT", str(tmp_path))  # no head either: the key is told first
    runs = tmp_path / "runs"
    call = ["train", "pd_fgc", "--stage", "3", "--set", "data.windwo=7", "--runs", str(runs), *words]
    assert main(call) == 2
    told = "thgen: Stage '3' of 'pd_fgc.compact' has the unknown key 'data.windwo'; did you mean 'data.window'?\n"
    assert capsys.readouterr().err == told and not runs.exists()


def test_of_several_stages_those_are_set_that_have_the_setting(capsys):
    assert main(["train", "rig", "--set", "data.train=elsewhere", "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("train: elsewhere") == 5, "the audio stage has no such folder"
    assert main(["train", "rig", "--set", "data.trian=elsewhere", "--dry-run"]) == 2
    assert main(["train", "rig", "--stage", "audio", "--set", "data.train=elsewhere", "--dry-run"]) == 2
