"""The real entry point trains tiny stages: what changes, what is exported, and that a resume is exact."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from thgen.errors import TrainingError
from thgen.training.checkpoint import latest
from thgen.training.loop import RunOptions, Trainer, train
from thgen.weights.hub import load_network
from thgen.weights.manifest import BUNDLED, read_manifest

HERE = Path(__file__).parent
DUEL = "tests.training.tiny_task:TinyDuel"
NETWORKS = {"tiny": "tests.training.tiny_task:TinyNet"}


def _all_tensors(folder: Path) -> dict[str, torch.Tensor]:
    files = sorted(latest(folder).glob("*.safetensors"))
    assert [f.name for f in files] == [
        "averaged.safetensors", "modules.safetensors", "optimiser.safetensors", "rng-0.safetensors"
    ]  # fmt: skip
    return {f"{f.name}:{k}": v for f in files for k, v in load_file(f).items()}


@pytest.mark.parametrize("changes", [{}, {"data": {"plain": True}}, {"precision": "bf16"}, {"workers": 1}])
def test_two_and_two_steps_are_four_steps(stage, options, changes):
    train(stage(**changes), options("whole"))
    trainer = Trainer(stage(**changes), options("halves", export=False))
    for _ in range(2):
        _one_step(trainer)
    trainer._save()
    train(stage(**changes), options("halves", resume=True))
    whole = _all_tensors(options("whole").runs / "tiny/first")
    halves = _all_tensors(options("halves").runs / "tiny/first")
    assert whole.keys() == halves.keys()
    different = [k for k in whole if not torch.equal(whole[k], halves[k])]
    assert different == []


def _one_step(trainer: Trainer) -> None:
    from thgen.training.data.batches import to_device

    trainer._train_step(to_device(next(trainer.batches), trainer.device, channels_last=True))
    trainer.step += 1


def test_exactly_the_listed_modules_change(stage, options):
    config = stage(steps=2)
    before = Trainer(config, options("b")).task.modules
    start = {n: {k: v.clone() for k, v in m.state_dict().items()} for n, m in before.items()}
    train(config, options("a"))
    end = load_file(latest(options("a").runs / "tiny/first") / "modules.safetensors")
    for key in ("body.weight", "body.bias", "norm.weight", "norm.running_mean", "head.weight"):
        assert not torch.equal(end[f"net/{key}"], start["net"][key]), key
    assert torch.equal(end["net/grid"], start["net"]["grid"])
    for key, value in start["frozen"].items():
        assert torch.equal(end[f"frozen/{key}"], value), key


def test_averaged_weights_are_exported_in_fp16_and_load_again(stage, options):
    outcome = train(stage(), options())
    folder = options().weights
    entry = read_manifest(folder)["tiny"]
    assert outcome.exported == ("tiny",) and outcome.step == entry.steps == 4
    assert (
        entry.config == {"width": 4} and entry.hardware and entry.data == "noise" and entry.scores.keys() == {"error"}
    )
    tensors = load_file(folder / entry.file)
    checkpoint = latest(options().runs / "tiny/first")
    averaged, plain = load_file(checkpoint / "averaged.safetensors"), load_file(checkpoint / "modules.safetensors")
    assert torch.equal(tensors["body.weight"], averaged["net/body.weight"].half())
    assert not torch.equal(tensors["body.weight"], plain["net/body.weight"].half())
    assert tensors["grid"].dtype == torch.float32 and tensors["norm.running_var"].dtype == torch.float16
    network = load_network("tiny", weights_dir=folder, networks=options().networks)
    assert not network.training and {p.dtype for p in network.parameters()} == {torch.float32}
    assert torch.equal(network.body.weight, tensors["body.weight"].float())


def test_two_optimizers_each_update_their_own(stage, options):
    duel = {
        "task": DUEL,
        "losses": {"l1": 1, "fool": {"weight": 0.1, "start": 1}, "discriminator": 1},
    }
    config = stage(**duel, lr={"generator": 1e-2, "discriminator": 1e-3}, warmup=0)
    trainer = Trainer(config, options())
    discriminator = {k: v.clone() for k, v in trainer.task.modules["discriminator"].state_dict().items()}
    _one_step(trainer)
    assert trainer.optimizers["discriminator"].adamw.param_groups[0]["initial_lr"] == 1e-3
    moved = trainer.task.modules["discriminator"].state_dict()
    assert any(not torch.equal(moved[k], discriminator[k]) for k in discriminator)
    assert set(trainer.averages) == {"net", "discriminator"}
    assert not any(p.requires_grad for m in trainer.task.modules.values() for p in m.parameters())


def test_an_optimizer_whose_terms_do_not_count_yet_changes_nothing(stage, options):
    config = stage(task=DUEL, losses={"l1": 1, "fool": 0, "discriminator": {"weight": 1, "start": 1}})
    trainer = Trainer(config, options())
    discriminator = trainer.task.modules["discriminator"][0].weight.clone()
    _one_step(trainer)
    assert torch.equal(trainer.task.modules["discriminator"][0].weight, discriminator)
    trainer.step = 1
    for _ in range(2):  # the rate of the first step of a warm-up is zero
        _one_step(trainer)
    assert not torch.equal(trainer.task.modules["discriminator"][0].weight, discriminator)


def test_learning_rate_follows_the_schedule_and_survives_resume(stage, options):
    trainer = Trainer(stage(steps=10, warmup=2), options())
    rates = []
    for _ in range(10):
        rates.append(trainer.optimizers["main"].adamw.param_groups[0]["lr"])
        _one_step(trainer)
    assert rates[0] == 0 and rates[2] == pytest.approx(1e-2) and rates == [*rates[:3], *sorted(rates[3:], reverse=True)]
    again = Trainer(stage(steps=10, warmup=2), options("b")).optimizers["main"]
    again.plan(5, 10)
    assert again.adamw.param_groups[0]["lr"] == rates[5]


def test_time_limit_stops_validates_and_exports(stage, options):
    outcome = train(stage(steps=10**6, save_every=0), options(minutes=0.02))
    assert 0 < outcome.step < 10**6 and outcome.exported == ("tiny",) and "error" in outcome.scores
    state = json.loads((outcome.checkpoint / "state.json").read_text())
    assert state["step"] == outcome.step and state["minutes"] == pytest.approx(0.02, abs=0.1)
    # no time at all: validate and export what the checkpoint holds, without a step
    again = train(stage(steps=10**6), options(resume=True, minutes=0))
    assert again.step == outcome.step and again.scores == pytest.approx(outcome.scores)
    assert len(list((options().runs / "tiny/first/tensorboard").iterdir())) == 1


def test_fit_lays_the_schedule_over_the_time(stage, options):
    trainer = Trainer(stage(steps=10**6, warmup=0, log_every=5, image_every=0), options(minutes=0.03, fit=True))
    trainer.run()
    assert trainer.step < 10**5
    assert trainer.optimizers["main"].scheduler.get_last_lr()[0] < 0.5e-2


def test_existing_run_is_neither_lost_nor_invented(stage, options):
    config = stage(steps=2)
    with pytest.raises(TrainingError, match="no checkpoint"):
        train(config, options(resume=True))
    train(config, options())
    with pytest.raises(TrainingError, match="--resume"):
        train(config, options())
    assert train(config, options(restart=True)).step == 2


def test_a_later_stage_starts_from_the_averaged_weights_of_an_earlier_one(stage, options):
    train(stage("first"), options())
    averaged = load_file(latest(options().runs / "tiny/first") / "averaged.safetensors")
    later = Trainer(stage("second", init="first", task=DUEL, losses={"l1": 1}), options())
    assert torch.equal(later.task.modules["net"].body.weight, averaged["net/body.weight"])
    with pytest.raises(TrainingError, match="train it first"):
        Trainer(stage("third", init="absent"), options())


def test_a_stage_can_start_from_several_that_ran_side_by_side(stage, options):
    duel = {"task": DUEL, "losses": {"l1": 1}}
    train(stage("first", **duel), options())
    train(stage("other", seed=5, lr=1e-2, **duel), options())
    first, other = (load_file(latest(options().runs / "tiny" / n) / "averaged.safetensors") for n in ("first", "other"))
    assert not torch.equal(first["net/body.weight"], other["net/body.weight"])
    modules = Trainer(stage("second", init="first + other:discriminator", **duel), options()).task.modules
    for name, source in (("net", first), ("discriminator", other)):
        for key, value in modules[name].named_parameters():
            assert torch.equal(value, source[f"{name}/{key}"]), name
    with pytest.raises(TrainingError, match="shares no such module"):
        Trainer(stage("third", init="first + other:nobody", **duel), options())


def test_a_stage_can_go_on_from_what_it_exported_last_and_says_so(stage, options):
    train(stage("first", lr=1e-2), options())
    exported = load_file(options().weights / "tiny/model.safetensors")
    again = Trainer(stage("second", init="bundled"), options())
    assert torch.equal(again.task.modules["net"].body.weight, exported["body.weight"].float())
    sha = json.loads((options().weights / "manifest.json").read_text())["weights"]["tiny"]["sha256"]
    train(stage("second", init="bundled", steps=2), options())
    train(stage("second", init="bundled", steps=4), options(resume=True))
    entry = json.loads((options().weights / "manifest.json").read_text())["weights"]["tiny"]
    assert entry["data"].endswith(f"continued from tiny {sha[:12]}"), "even after a resume"
    with pytest.raises(TrainingError, match="another network"):
        Trainer(stage("third", init="bundled", model={"width": 5}), options())


def test_only_what_a_stage_declares_is_exported(stage, options):
    """A network that another stage trains must not be replaced by what this one was built with."""
    train(stage("first"), options())
    before = (options().weights / "tiny/model.safetensors").read_bytes()
    outcome = train(stage("second", task="tests.training.tiny_task:TinyPart", losses={"l1": 1}), options())
    assert outcome.exported == ("spare",)
    assert (options().weights / "tiny/model.safetensors").read_bytes() == before
    assert read_manifest(options().weights)["tiny"].steps == 4


def test_what_a_stage_exports_must_be_declared_and_exist(stage, options, monkeypatch):
    from tests.training import tiny_task

    monkeypatch.setattr(tiny_task.TinyStage, "exports", ("tiny", "ghost"))
    with pytest.raises(TrainingError, match="exports ghost, but its networks are: tiny"):
        Trainer(stage(), options())
    monkeypatch.delattr(tiny_task.TinyStage, "exports")
    with pytest.raises(TrainingError, match="does not declare what it exports"):
        Trainer(stage(), options())


def test_exports_belong_to_the_run_and_never_go_to_the_bundled_folder(stage, tmp_path):
    options = RunOptions(runs=tmp_path / "runs", networks=NETWORKS, cpu=True)
    train(stage("first"), options)
    assert read_manifest(tmp_path / "runs/tiny/weights").keys() == {"tiny"}
    with pytest.raises(TrainingError, match="weights bundle"):
        Trainer(stage("second"), replace(options, weights=BUNDLED))


def test_a_stage_goes_on_from_the_bundled_weights_until_its_run_has_some(stage, options, tmp_path, monkeypatch):
    bundled = options("bundled").weights
    train(stage("first", seed=7), options("bundled"))
    monkeypatch.setattr("thgen.training.export.BUNDLED", bundled)

    def start(name: str) -> torch.Tensor:
        return Trainer(stage(name, init="bundled"), options("new")).task.modules["net"].body.weight

    def exported(folder: Path) -> torch.Tensor:
        return load_file(folder / "tiny/model.safetensors")["body.weight"].float()

    assert torch.equal(start("second"), exported(bundled))
    train(stage("second", init="bundled", seed=8), options("new"))
    assert not torch.equal(exported(options("new").weights), exported(bundled))
    assert torch.equal(start("third"), exported(options("new").weights))


def test_the_manifest_says_which_way_scores_are_better(stage, options):
    train(stage(), options())
    entry = read_manifest(options().weights)["tiny"]
    assert entry.scores.keys() == {"error"} and entry.better == {"error": "lower"}


def test_a_weight_for_a_term_that_does_not_exist_is_an_error(stage, options):
    with pytest.raises(TrainingError, match="edges"):
        train(stage(losses={"l1": 1, "edges": 1}), options())
    with pytest.raises(TrainingError, match="no term of losses has a weight"):
        train(stage(losses={"l1": 0}), options())


def test_divergence_ends_with_a_remedy(stage, options):
    with pytest.raises(TrainingError, match="not finite"):
        train(stage(data={"nan": True}, steps=100, image_every=0, validate_every=0), options())
    assert not options().weights.exists()


def test_interruption_saves_and_exports_nothing(stage, options):
    with pytest.raises(TrainingError, match="Interrupted at step 3"):
        train(stage(steps=10**6, save_every=0, data={"interrupt": 3}), options())
    assert latest(options().runs / "tiny/first").name == "step-00000003" and not options().weights.exists()


@pytest.mark.slow
def test_two_processes_train_as_one(stage, options, tmp_path):
    config = stage(steps=3)
    script = tmp_path / "run.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(HERE.parents[1])!r})\n"
        "from pathlib import Path\nimport torch\n"
        "from thgen.training.loop import RunOptions, Trainer, leave_group\n"
        "from thgen.training.config import load_stage\n"
        f"config = load_stage('tiny', 'first', Path({str(tmp_path / 'tiny.yaml')!r}))\n"
        f"trainer = Trainer(config, RunOptions(runs=Path({str(tmp_path / 'runs')!r}), export=False, cpu=True))\n"
        "trainer.run()\n"
        "weight = trainer.task.modules['net'].body.weight.detach().clone()\n"
        "mean = trainer.accelerator.reduce(weight, reduction='mean')\n"
        "assert torch.equal(mean, weight), 'processes hold different weights'\n"
        "leave_group()\n"
    )
    assert config.steps == 3
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parents[1])}
    done = subprocess.run(
        [*launcher, str(script)], capture_output=True, text=True, timeout=300, env=environment, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert sorted(p.name for p in latest(tmp_path / "runs/tiny/first").glob("rng-*")) == [
        "rng-0.safetensors", "rng-1.safetensors"
    ]  # fmt: skip
