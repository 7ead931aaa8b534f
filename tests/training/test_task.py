"""A task that a config names: imported, built, and its optimizers checked before anything trains."""

from __future__ import annotations

import pytest

from thgen.errors import TrainingError
from thgen.training.task import build_task, optimizers_of


def test_a_task_is_built_from_its_name(stage):
    task = build_task(stage())
    assert type(task).__name__ == "TinyStage" and optimizers_of(task) == {"main": ["net"]}


def test_by_default_one_optimizer_updates_everything(stage):
    task = build_task(stage())
    task.optimizers = None
    assert optimizers_of(task) == {"main": ["net", "frozen"]}


@pytest.mark.parametrize("name", ["nowhere.at_all:Task", "tests.training.tiny_task:Absent"])
def test_what_cannot_be_imported_is_named(stage, name):
    with pytest.raises(TrainingError, match=name):
        build_task(stage(task=name))


def test_optimizers_of_modules_that_do_not_exist_are_refused(stage, monkeypatch):
    from tests.training import tiny_task

    for optimizers, words in (({"main": ["ghost"]}, "ghost"), ({"main": []}, "nothing")):
        monkeypatch.setattr(tiny_task.TinyStage, "optimizers", optimizers)
        with pytest.raises(TrainingError, match=words):
            build_task(stage())


def test_an_optimizer_without_a_learning_rate_is_refused(stage):
    with pytest.raises(TrainingError, match="discriminator"):
        build_task(stage(task="tests.training.tiny_task:TinyDuel", lr={"generator": 1e-3}))
