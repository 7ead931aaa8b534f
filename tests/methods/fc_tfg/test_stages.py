"""Every stage of FC-TFG on a few small clips: the modules that it updates, its exports, its losses and its data."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from thgen.audio import wav2lip_mel
from thgen.errors import TrainingError
from thgen.methods.fc_tfg import equations as eq
from thgen.methods.fc_tfg import frozen_judges, stages
from thgen.methods.fc_tfg.sync import SYNC
from thgen.nn.ir_se import ArcFace
from thgen.nn.stylegan2 import StyleGAN2
from thgen.training import checkpoint as ckpt
from thgen.training.config import load_stage, read_stages
from thgen.training.data.samples import Clip
from thgen.training.data.store import ClipStore
from thgen.training.export import History, export_weights
from thgen.training.loop import RunOptions, train
from thgen.training.task import build_task, optimizers_of, task_class

MODEL = {
    "generator": {"latent": 8, "channels": [8, 8, 8, 8, 4], "layers": 2},  # 4 -> 64: ten style indices
    "encoder": {"base": 4, "units": [1, 1, 1, 1]}, "voice": {"base": 4}, "fusion": {"hidden": 8}, "sync": {"base": 4},
    "discriminator": {},
}  # fmt: skip
UPDATED = {
    "sync": {"sync", "guide"},
    "1": {"generator", "discriminator", "paths"},
    "2": {"encoder"},
    "3": {"generator", "encoder", "voice", "fusion", "discriminator"},
}
EXPORTED = {"sync": set(), "1": {"generator"}, "2": {"encoder"}, "3": {"generator", "encoder", "voice", "fusion"}}


@pytest.fixture(scope="module")
def priors(talk, tmp_path_factory):
    """A folder of weights with a sync expert and an identity network, both untrained."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(3)
    identity = ArcFace(4, (1, 1, 1, 1), 8)
    exports = build_task(config(talk, "sync")).networks() | {"identity": (identity.state_dict(), dict(identity.config))}
    export_weights(exports, (), History("s", "d", 1, 0.0, "h", {}), folder)
    return folder


def config(talk, stage: str, weights="", **changes):
    """A stage of the real config at a size for tests. Changes of the model: model.fusion.temporal and the like."""
    own = {"data.train": str(talk), "data.val": str(talk), "data.head": "ellipsoid"}
    found = load_stage("fc_tfg.paper", stage, overrides=own, smoke=True)
    model = {name: dict(part) for name, part in MODEL.items()}
    data = dict(found.data)
    for key, value in changes.items():
        place, _, name = key.partition(".")
        if place == "data":
            data[name] = value
        else:
            part, _, argument = name.partition(".")
            model[part][argument] = value
    # channels_last off: exact comparisons
    return replace(found, model=model, data=data, weights=str(weights), validate_every=2, save_every=2,
                   precision="no", init="", channels_last=False)  # fmt: skip


def changed_modules(chosen, outcome) -> set[str]:
    from accelerate.utils import set_seed

    after = ckpt.read_tensors(outcome.checkpoint / "modules.safetensors", torch.device("cpu"))
    set_seed(chosen.seed)
    before = ckpt.module_tensors(build_task(chosen).modules)
    return {key.partition("/")[0] for key, value in after.items() if not torch.equal(value, before[key])}


@pytest.mark.parametrize("stage", UPDATED)
def test_two_steps_change_exactly_the_modules_of_the_stage(talk, tmp_path, priors, stage):
    chosen = config(talk, stage)
    outcome = train(chosen, RunOptions(runs=tmp_path / "runs", weights=priors, export=False, cpu=True))
    assert changed_modules(chosen, outcome) == UPDATED[stage]
    assert all(np.isfinite(value) for value in outcome.scores.values())


@pytest.mark.parametrize("stage", UPDATED)
def test_a_stage_exports_only_networks_that_it_trains(talk, stage):
    task = build_task(config(talk, stage))
    expected = {SYNC} if stage == "sync" else {f"fc_tfg_paper_{name}" for name in EXPORTED[stage]}
    assert set(task.exports) == expected <= set(task.networks())


def test_numbers_of_the_paper():
    stages_of = read_stages("fc_tfg.paper")
    assert list(stages_of) == ["sync", "1", "2", "3"]
    three = load_stage("fc_tfg.paper", "3")
    assert {name: three.losses[name].weight for name in eq.LAMBDAS} == eq.LAMBDAS
    assert three.rate("generator") == three.rate("discriminator") == 1e-4 and three.weight_decay == 0
    assert three.model["fusion"]["manipulated"] == [1, 2, 3, 4, 7, 8, 9, 10] and three.model["fusion"]["voiced"] == [
        7,
        8,
    ]
    assert three.init == "1:discriminator + 2" and load_stage("fc_tfg.paper", "2").init == "1"


@pytest.mark.parametrize("smoke", [True, False])
@pytest.mark.parametrize("stage", UPDATED)
def test_all_settings_of_the_config_are_known(stage, smoke):
    chosen = load_stage("fc_tfg.paper", stage, smoke=smoke)
    assert task_class(chosen).__module__.startswith("thgen.methods.fc_tfg.")
    with torch.device("meta"):
        generator = StyleGAN2(**chosen.model["generator"])
    assert (generator.size, generator.indices) == ((64, 10) if smoke else (256, 14))


class Poisoned(ClipStore):
    """Clips whose truth is NaN, all of it. Pictures and voices stay."""

    @staticmethod
    def _poison(truth):
        return {n: np.full_like(v, np.nan) if v.dtype.kind == "f" else np.zeros_like(v) for n, v in truth.items()}

    def load(self, number, frames=None, names=None):
        images, truth = super().load(number, frames, names)
        return images, self._poison(truth)

    def truth(self, number, names):
        return self._poison(super().truth(number, names))


def terms_of(task, store) -> dict[str, torch.Tensor]:
    """All losses of a stage on one batch of these clips, as at the start of its training."""
    for name in ("paths", "generator"):
        for buffer in task.modules[name].buffers(recurse=False) if name in task.modules else ():
            buffer.zero_()
    batch = task.batch(store, np.random.default_rng(0), True) | {"number": 0}
    torch.manual_seed(0)
    return {f"{p}.{n}": v for p in optimizers_of(task) for n, v in task.losses(p, batch).items()}


def still(task):
    """The task in evaluation mode, so that equal inputs give equal losses."""
    for module in (*task.modules.values(), *task.helpers.values()):
        module.eval()
    return task


@pytest.mark.parametrize("stage", UPDATED)
def test_no_loss_reads_a_true_factor(talk, priors, stage):
    """With the whole truth destroyed, all losses have the values that they have with it.

    The guide of the sync expert is left out: it places the tiles of the face encoder by the keypoints.
    """
    torch.manual_seed(0)
    found = config(talk, stage, priors)
    found = replace(found, losses={name: weight for name, weight in found.losses.items() if name != "guide"})
    task = still(build_task(found))
    clean, poisoned = terms_of(task, ClipStore(talk)), terms_of(task, Poisoned(talk))
    assert {name.partition(".")[2] for name in clean} == set(task.config.losses)
    for name, value in clean.items():
        assert torch.isfinite(value) and torch.equal(value, poisoned[name]), name


def test_the_poison_is_felt(talk, monkeypatch):
    found = Clip(Poisoned(talk), 0).moments([3, 5])
    assert all(np.isnan(getattr(found, name)).all() for name in ("keypoints", "coefficients", "gaze"))
    task = still(build_task(config(talk, "2")))
    honest = task.photo_views

    def cheating(images):
        return honest(images) + float(Clip(Poisoned(talk), 0).moments([0]).gaze.mean())

    monkeypatch.setattr(task, "photo_views", cheating)
    assert any(torch.isnan(v) for v in terms_of(task, ClipStore(talk)).values())


def test_priors_are_used_where_they_are_and_losses_are_off_without(talk, priors, monkeypatch):
    torch.manual_seed(0)
    task = still(build_task(config(talk, "3", priors)))
    assert "identity loss on identity" in task.data_summary and "sync loss on the expert" in task.data_summary
    with_all = terms_of(task, ClipStore(talk))
    for name in ("choose_identity_prior", "choose_sync_expert"):  # they may be bundled
        monkeypatch.setattr(frozen_judges, name, lambda *_: None)
    without = still(build_task(config(talk, "3")))
    assert "identity loss off" in without.data_summary and "sync loss off" in without.data_summary
    off = terms_of(without, ClipStore(talk))
    for name in ("identity", "sync"):
        assert with_all[f"generator.{name}"] > 0 and off[f"generator.{name}"] == 0


def test_sync_and_identity_teach_the_generator(talk, priors):
    torch.manual_seed(0)
    task = still(build_task(config(talk, "3", priors)))
    batch = task.batch(task.store, np.random.default_rng(0), True)
    for name in ("identity", "sync", "perceptual", "adversarial", "image"):
        task.generator.zero_grad()
        task.losses("generator", batch)[name].backward()
        assert task.generator.convs[-1].conv.weight.grad.abs().sum() > 0, name


def test_orthogonality_reaches_both_spaces_and_kind_is_a_setting(talk):
    values = {}
    for kind in ("product", "cosine"):
        torch.manual_seed(0)
        task = still(build_task(config(talk, "3", **{"data.ortho": kind})))
        with torch.no_grad():
            for net in task.fusion.motion:
                net[-1].weight.add_(0.2 * torch.randn_like(net[-1].weight))
        loss = task.losses("generator", task.batch(task.store, np.random.default_rng(0), True))["ortho"]
        loss.backward()
        assert task.fusion.canonical[0][0].weight.grad.abs().sum() > 0
        assert task.fusion.motion[0][0].weight.grad.abs().sum() > 0
        values[kind] = loss.item()
    assert 0 < values["cosine"] < 1 and values["product"] != values["cosine"]
    with pytest.raises(TrainingError, match="product, cosine"):
        build_task(config(talk, "3", **{"data.ortho": "none"}))


def test_a_window_has_its_own_voice_and_some_rows_have_none(talk):
    task = build_task(config(talk, "3", **{"data.silent_share": 1.0}))
    batch = task.batch(task.store, np.random.default_rng(0), True)
    assert batch["photo"].shape == (2, 3, 64, 64) and batch["window"].shape == (2, 5, 3, 64, 64)
    assert batch["mel"].shape == (2, 5, 1, 80, 16) and (batch["heard"] == 0).all()
    assert (task.batch(task.store, np.random.default_rng(0), False)["heard"] == 1).all()
    voices = [wav2lip_mel.mel_spectrogram(task.store.voice(number)) for number in range(2)]
    windows = [torch.from_numpy(wav2lip_mel.mel_windows(mel, 12)) for mel in voices]
    for row in batch["mel"]:  # half precision in memory
        starts = [s for found in windows for s in range(8) if torch.allclose(row, found[s : s + 5], atol=5e-3)]
        assert starts, "five consecutive windows of one of the two clips"


def test_the_voice_moves_only_rows_that_hear_it(talk):
    torch.manual_seed(0)
    task = still(build_task(config(talk, "3")))
    with torch.no_grad():
        for net in task.fusion.motion:
            net[-1].weight.add_(torch.randn_like(net[-1].weight))
        batch = task.batch(task.store, np.random.default_rng(0), False)
        batch["heard"] = torch.tensor([1.0, 0.0])[:, None, None]
        before = task.driven(batch).motion
        after = task.driven(batch | {"mel": torch.randn_like(batch["mel"])}).motion
    changed = (before - after).abs().amax((1, 3)) > 1e-7
    assert changed.tolist() == [[False] * 4 + [True, True, False, False], [False] * 8]


@pytest.mark.parametrize("change", [{"model.discriminator.frames": 5}, {"model.fusion.temporal": "lstm"},
                                    {"model.encoder.pyramid": False}])  # fmt: skip
def test_variants_of_table_3_and_the_light_encoder_train(talk, tmp_path, change):
    chosen = config(talk, "3", **change)
    outcome = train(chosen, RunOptions(runs=tmp_path / "runs", weights=tmp_path / "w", export=False, cpu=True))
    assert changed_modules(chosen, outcome) == UPDATED["3"]


def test_discriminators_of_other_windows_are_refused(talk):
    with pytest.raises(TrainingError, match="must be 1 or 5"):
        build_task(config(talk, "3", **{"model.discriminator.frames": 3}))
    with pytest.raises(TrainingError, match="must be 1,"):
        build_task(config(talk, "1", **{"model.discriminator.frames": 5}))


def test_style_indices_that_the_generator_lacks_are_named(talk):
    with pytest.raises(TrainingError, match=r"model.fusion: style indices \[1, 14\]"):
        build_task(config(talk, "3", **{"model.fusion.manipulated": [1, 14], "model.fusion.voiced": [1]}))


def test_costly_penalties_are_computed_on_a_few_steps(talk):
    task = build_task(config(talk, "1"))
    for number in range(1, 17):
        batch = task.batch(task.store, np.random.default_rng(0), True) | {"number": number}
        assert (task.losses("generator", batch)["path"].item() > 0) == (number % 4 == 0)
        assert (task.losses("discriminator", batch)["r1"].item() > 0) == (number == 16)
    numbers = [next(batches)["number"] for batches in [task.batches("train", 0, 0, 1)] for _ in range(3)]
    assert numbers == [0, 1, 2]


def test_the_generator_keeps_the_mean_of_its_latents(talk):
    task = build_task(config(talk, "1"))
    assert isinstance(task, stages.Generator) and task.generator.average.abs().max() == 0
    task.losses("generator", task.batch(task.store, np.random.default_rng(0), True) | {"number": 1})
    assert task.generator.average.abs().max() > 0
    inversion = still(build_task(config(talk, "2")))
    picture = inversion.batch(inversion.store, np.random.default_rng(0), True)["picture"]
    before = inversion.inverted(picture)
    inversion.generator.average += 1
    torch.testing.assert_close(inversion.inverted(picture), before + 1)


def test_path_lengths_are_kept_at_their_mean():
    paths = stages.PathMean()
    lengths = torch.tensor([2.0, 4.0], requires_grad=True)
    for _ in range(2000):
        penalty = paths.penalty(lengths)
    assert paths.mean.item() == pytest.approx(3, abs=1e-3) and penalty.item() == pytest.approx(1, abs=1e-3)
    penalty.backward()
    assert lengths.grad.tolist() == pytest.approx([-1, 1], abs=1e-2)
