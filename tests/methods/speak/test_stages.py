"""All stages of SPEAK: what they update and export. Stage 1: its batches, losses and mean codes of emotions."""

import numpy as np
import pytest
import torch
from accelerate.utils import set_seed

from tests.methods.speak.stage_configs import config, still, task_of, taught
from thgen.errors import TrainingError
from thgen.methods.speak import equations as eq
from thgen.methods.speak import stages
from thgen.methods.speak.stages import CLASSES, UNKNOWN, emotion_of, swapped
from thgen.training import checkpoint as ckpt
from thgen.training.config import load_stage, read_stages
from thgen.training.data.samples import Clip
from thgen.training.data.store import ClipStore
from thgen.training.loop import RunOptions, train
from thgen.training.task import build_task, task_class

ENCODERS, HEAD = {"identity", "emotion", "pose"}, {"voice", "editing", "generator"}
UPDATED = {
    "sync": {"sync"}, "1": ENCODERS | {"classifier", "irfd"}, "2a": HEAD | {"discriminator"},
    "2b": ENCODERS | HEAD | {"discriminator"},
}  # fmt: skip
EXPORTED = {"sync": {"sync"}, "1": ENCODERS | {"irfd"}, "2a": HEAD, "2b": ENCODERS | HEAD}


@pytest.mark.parametrize("stage", UPDATED)
def test_two_steps_change_exactly_the_modules_of_the_stage(talk, tmp_path, stage):
    chosen = config(talk, stage)
    outcome = train(chosen, RunOptions(runs=tmp_path / "runs", weights=tmp_path, export=False, cpu=True))
    after = ckpt.read_tensors(outcome.checkpoint / "modules.safetensors", torch.device("cpu"))
    set_seed(chosen.seed)
    before = ckpt.module_tensors(build_task(chosen).modules)
    changed = {key.partition("/")[0] for key, value in after.items() if not torch.equal(value, before[key])}
    assert changed == UPDATED[stage]
    frozen = [key for key, value in after.items() if "feature_extractor" in key and not torch.equal(value, before[key])]
    assert not frozen, "convolutions of wav2vec 2.0"
    assert all(np.isfinite(value) for value in outcome.scores.values())


@pytest.mark.parametrize("stage", EXPORTED)
def test_a_stage_exports_its_networks(talk, stage):
    task = task_of(talk, stage)
    assert set(task.exports) == {f"speak_paper_{name}" for name in EXPORTED[stage]} <= set(task.networks())


def test_numbers_of_the_paper():
    assert list(read_stages("speak.paper")) == ["sync", "1", "2a", "2b"]
    loaded = {name: load_stage("speak.paper", name) for name in read_stages("speak.paper")}
    assert all(stage.lr == 1e-4 for stage in loaded.values())
    weights = {name: {t: w.weight for t, w in stage.losses.items()} for name, stage in loaded.items()}
    assert weights["1"] == eq.IRFD and weights["2a"] == weights["2b"] == eq.HEAD | {"discriminator": 1.0}
    assert loaded["2a"].steps == loaded["2b"].steps, "encoders are frozen for the first half"
    assert (loaded["2a"].init, loaded["2b"].init) == ("1", "2a") and loaded["2a"].data["wav2vec"] == "hub"
    assert loaded["1"].data["as_printed"] is False and loaded["2a"].data["sync"] == "audio"


@pytest.mark.parametrize("smoke", [True, False])
@pytest.mark.parametrize("stage", UPDATED)
def test_all_settings_of_the_config_are_known(stage, smoke):
    assert task_class(load_stage("speak.paper", stage, smoke=smoke))


def test_an_unknown_fusion_is_refused(talk):
    with pytest.raises(TrainingError, match=r"model\.irfd: fusion must be"):
        task_of(talk, "1", model={"irfd": {"fusion": "sum"}})


# ---- labels
def test_only_frames_whose_emotion_is_certain_have_a_class(talk):
    store = ClipStore(talk)
    for number in range(2):
        (name,) = store.emotions(number)
        labels = [emotion_of(Clip(store, number), frame) for frame in range(20)]
        assert labels == [UNKNOWN] * 13 + [CLASSES[name]] * 7


def batch_of(task, seed=0, store=None):
    return task.batch(store or task.store, np.random.default_rng(seed), True)


class Poisoned(ClipStore):
    """Clips whose truth is NaN."""

    def load(self, number, frames=None, names=None):
        images, truth = super().load(number, frames, names)
        return images, {n: np.full(v.shape, np.nan) for n, v in truth.items()}


@pytest.mark.parametrize("stage", ["1", "2a", "2b"])
def test_no_batch_has_a_true_factor(talk, stage):
    assert np.isnan(Clip(Poisoned(talk), 0).moments([1]).coefficients).all()
    task = task_of(talk, stage)
    clean, other = (batch_of(task, store=kind(talk)) for kind in (ClipStore, Poisoned))
    assert clean.keys() == other.keys()
    assert all(torch.equal(value, other[name]) for name, value in clean.items())


def test_a_batch_of_pairs_is_what_it_says(talk):
    task = task_of(talk, "1", same_share=1.0)
    one = batch_of(task)
    assert one["pictures"].shape == (2, 2, 3, 32, 32) and one["pictures"].abs().max() <= 1
    assert one["differ"].tolist() == [0, 0] and one["emotions"].shape == (2, 2)
    apart = task_of(talk, "1", same_share=0.0)
    drawn = [batch_of(apart, seed) for seed in range(8)]
    assert {value for b in drawn for value in b["differ"].tolist()} == {0.0, 1.0}
    assert {value for b in drawn for value in b["swap"].tolist()} == {0, 1, 2}


# ---- losses
def test_one_code_is_exchanged():
    codes = torch.arange(12.0).reshape(2, 2, 3, 1)
    out = swapped(codes, torch.tensor([0, 2]))
    assert out[0, 0, :, 0].tolist() == [6, 1, 2] and out[1, 0, :, 0].tolist() == [0, 7, 8]
    assert out[0, 1, :, 0].tolist() == [3, 4, 11] and out[1, 1, :, 0].tolist() == [9, 10, 5]
    assert torch.equal(swapped(out, torch.tensor([0, 2])), codes)


def labelled(batch):
    """The same pairs with known emotions, of two people."""
    return batch | {"emotions": torch.tensor([[0, 1], [2, 3]]), "differ": torch.ones(2)}


@pytest.mark.parametrize(("term", "reached"), [
    ("identity", {"identity", "emotion", "pose", "irfd"}), ("cls", {"emotion", "classifier"}),
    ("pose", ENCODERS | {"irfd"}), ("emotion", ENCODERS | {"irfd"}), ("self", ENCODERS | {"irfd"})])  # fmt: skip
def test_each_loss_teaches_its_networks(talk, term, reached):
    task = task_of(talk, "1")
    terms = task.losses("generator", labelled(batch_of(task)))
    assert set(terms) == set(task.config.losses) == set(eq.IRFD)
    terms[term].backward()
    assert taught(task) == reached


def test_losses_read_each_factor_from_the_picture_that_has_it(talk):
    """With perfect encoders and generator the exchanged picture reads back as its owner. Codes are pictures here."""
    task = task_of(talk, "1")
    torch.manual_seed(0)
    codes = torch.nn.functional.normalize(torch.randn(2, 2, 3, 8), dim=3)
    calls = iter([codes.flatten(0, 1), swapped(codes, torch.tensor([0, 1])).flatten(0, 1)])
    task.codes = lambda pictures: next(calls)
    task.irfd.forward = lambda given: torch.zeros(len(given), 3, 32, 32)
    batch = labelled(batch_of(task)) | {"swap": torch.tensor([0, 1])}
    terms = task.losses("generator", batch)
    assert terms["pose"] < 1e-5 and terms["emotion"] < 1e-5
    triplet = torch.relu(eq.ALPHA - (codes[0, :, 0] - codes[1, :, 0]).norm(dim=1))
    assert terms["identity"].item() == pytest.approx(2 * triplet.mean().item(), abs=1e-5)


def test_as_printed_the_self_loss_teaches_nothing_and_the_triplet_is_none(talk):
    """Eq. 5 compares a generated picture with itself, eq. 1 has no negative, eq. 3 teaches the owner's side, too."""
    ours, printed = (still(task_of(talk, "1", as_printed=value)) for value in (False, True))
    batch = labelled(batch_of(ours))
    a, b = (task.losses("generator", batch) for task in (ours, printed))
    assert a["self"] > 0.1 and b["self"] < 1e-5
    for name in ("identity", "pose", "emotion"):
        assert not torch.isclose(a[name], b[name], rtol=1e-3), name
    assert torch.equal(a["cls"], b["cls"])


@torch.no_grad()
def test_scores_say_how_many_emotions_are_named(talk):
    task = still(task_of(talk, "1"))
    batch = labelled(batch_of(task))
    task.classifier.weight.zero_()
    task.classifier.bias.copy_(torch.eye(8)[3] * 9)
    scores = task.scores(batch)
    assert scores["accuracy"] == 25 and set(scores) == {*eq.IRFD, "copy", "accuracy"}


# ---- export
@pytest.mark.parametrize("stage", ["1", "2b"])
def test_exported_emotions_have_the_mean_codes_of_labelled_frames(talk, stage, monkeypatch):
    monkeypatch.setattr(stages, "CENTRE_FRAMES", 20)
    task = still(task_of(talk, stage))
    state, _ = task.export()["speak_paper_emotion"]
    store = task.store
    names = [store.emotions(number)[0] for number in range(2)]
    assert {n for n, seen in zip(CLASSES, state["seen"].tolist(), strict=True) if seen} == set(names)
    for name in set(names):
        frames = [task.views(Clip(store, n), list(range(13, 20))) for n in range(2) if names[n] == name]
        with torch.no_grad():
            wanted = task.emotion(torch.cat(frames)).mean(0)
        torch.testing.assert_close(state["centres"][CLASSES[name]], wanted, atol=1e-5, rtol=1e-4)
    assert (task.emotion.centres == 0).all(), "the training goes on without them"
