"""Optimizers: rates of single modules, and rates that fall in steps."""

import pytest
import torch

from thgen.errors import TrainingError
from thgen.training.config import checked
from thgen.training.optimizers import ScheduledOptimizer

RAW = {"task": "x:y", "steps": 10, "batch_size": 1, "losses": {"a": 1.0}}


def optimizer(**changes) -> ScheduledOptimizer:
    modules = {"slow": torch.nn.Linear(2, 2), "fast": torch.nn.Linear(2, 2)}
    return ScheduledOptimizer("main", modules, checked("rig", "first", {**RAW, **changes}))


def rates(of: ScheduledOptimizer) -> list[float]:
    return [group["lr"] for group in of.adamw.param_groups]


def test_a_module_of_an_optimizer_may_have_a_rate_of_its_own():
    both = optimizer(lr={"main": 1e-2, "main.slow": 1e-3}, schedule="constant")
    assert rates(both) == [1e-3, 1e-2]
    groups = [{id(p) for p in group["params"]} for group in both.adamw.param_groups]
    named = both.trainable
    assert groups[0] == {id(named["slow.weight"]), id(named["slow.bias"])}
    assert rates(optimizer(lr=1e-2, schedule="constant")) == [1e-2], "one rate, one group"


def test_a_rate_falls_in_steps_and_resumes_where_it_was():
    falling = optimizer(lr={"main": 1.0, "main.slow": 0.1}, schedule={"every": 3, "factor": 0.5})
    measured = []
    for _ in range(7):
        measured.append(rates(falling)[1])
        falling.adamw.step()
        falling.advance()
    assert measured == [1, 1, 1, 0.5, 0.5, 0.5, 0.25]
    assert rates(falling)[0] == pytest.approx(0.025)
    resumed = optimizer(lr={"main": 1.0, "main.slow": 0.1}, schedule={"every": 3, "factor": 0.5})
    resumed.plan(7, 10)
    assert rates(resumed) == pytest.approx(rates(falling))


@pytest.mark.parametrize(
    ("schedule", "words"),
    [({"every": 3}, "every, factor"), ({"every": 0, "factor": 0.5}, "schedule.every"),
     ({"every": 3, "factor": 2}, "factor"), ("up", "schedule must be one of")],
)  # fmt: skip
def test_a_schedule_that_makes_no_sense_is_refused(schedule, words):
    with pytest.raises(TrainingError, match=words):
        checked("rig", "first", {**RAW, "lr": 1.0, "schedule": schedule})
