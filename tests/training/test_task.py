"""A task that a config names: imported, built, and its players checked before anything trains."""

from __future__ import annotations

import pytest

from thgen.errors import TrainingError
from thgen.training.task import build_task, players_of


def test_a_task_is_built_from_its_name(stage):
    task = build_task(stage())
    assert type(task).__name__ == "TinyStage" and players_of(task) == {"main": ["net"]}


def test_by_default_one_player_moves_everything(stage):
    task = build_task(stage())
    task.players = None
    assert players_of(task) == {"main": ["net", "frozen"]}


@pytest.mark.parametrize("name", ["nowhere.at_all:Task", "tests.training.tiny_task:Absent"])
def test_what_cannot_be_imported_is_named(stage, name):
    with pytest.raises(TrainingError, match=name):
        build_task(stage(task=name))


def test_players_of_modules_that_do_not_exist_are_refused(stage, monkeypatch):
    from tests.training import tiny_task

    for players, told in (({"main": ["ghost"]}, "ghost"), ({"main": []}, "nothing")):
        monkeypatch.setattr(tiny_task.TinyStage, "players", players)
        with pytest.raises(TrainingError, match=told):
            build_task(stage())


def test_a_player_without_a_learning_rate_is_refused(stage):
    with pytest.raises(TrainingError, match="judge"):
        build_task(stage(task="tests.training.tiny_task:TinyDuel", lr={"generator": 1e-3}))
