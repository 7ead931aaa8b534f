"""Every stage of GC-AVT on a few small clips: the modules that it updates, its exports, its losses and its data."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate.utils import set_seed

from thgen.audio.mel import mel_spectrogram
from thgen.errors import TrainingError
from thgen.methods.gc_avt import equations as eq
from thgen.methods.gc_avt import stages
from thgen.methods.gc_avt.latents import EXPRESSION, LIP, POSE
from thgen.methods.gc_avt.stages import Row
from thgen.nn.ir_se import ArcFace
from thgen.nn.vgg import VGG19
from thgen.training import checkpoint as ckpt
from thgen.training.config import load_stage, read_stages
from thgen.training.data.samples import Clip
from thgen.training.data.store import ClipStore
from thgen.training.export import History, export_weights
from thgen.training.loop import RunOptions, train
from thgen.training.task import build_task, optimizers_of, task_class

MODEL = {
    "identity": {"features": 8, "depths": [1, 1], "groups": 2, "base": 4}, "pose": {"outputs": 3, "width": 0.1},
    "expression": {"outputs": 5, "width": 0.1}, "content": {"features": 6, "channels": [16], "depths": [1]},
    "voice": {"features": 6, "channels": [8, 16], "depths": [1, 1], "attention": 4},
    "generator": {"channels": [8, 8, 8, 8], "residual": 1}, "discriminator": {"scales": 2, "channels": [4, 8]},
}  # fmt: skip
NETWORKS = {"identity", "pose", "expression", "content", "voice", "generator"}
UPDATED = {"sync": {"voice"}, "joint": NETWORKS | {"discriminator"}}
EXPORTED = {"sync": {"content", "voice"}, "joint": NETWORKS}


@pytest.fixture(scope="module")
def priors(tmp_path_factory):
    """A folder of weights with an identity network and a VGG-face, both untrained."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(3)
    nets = {"identity": ArcFace(4, (1, 1, 1, 1), 8), "vggface": VGG19(((4, 1), (4, 1)))}
    exports = {name: (net.state_dict(), dict(net.config)) for name, net in nets.items()}
    export_weights(exports, (), History("s", "d", 1, 0.0, "h", {}), folder)
    return folder


def config(talk, stage: str, weights="", **changes):
    """A stage of the real config at a size for tests. Changes: data.photos and the like."""
    own = {"data.train": str(talk), "data.val": str(talk), "data.head": "ellipsoid"}
    found = load_stage("gc_avt.paper", stage, overrides=own, smoke=True)
    data = dict(found.data) | {key.partition(".")[2]: value for key, value in changes.items()}
    # channels_last off: exact comparisons
    return replace(found, model={name: dict(part) for name, part in MODEL.items()}, data=data, weights=str(weights),
                   validate_every=2, save_every=2, precision="no", init="", channels_last=False)  # fmt: skip


def task_of(talk, stage: str, weights="", **changes):
    torch.manual_seed(0)
    return build_task(config(talk, stage, weights, **changes))


def batch_of(task, train=True, seed=0, store=None):
    return task.batch(store or task.store, np.random.default_rng(seed), train)


def still(task):
    """The task in evaluation mode, so that equal inputs give equal losses."""
    for module in (*task.modules.values(), *task.helpers.values()):
        module.eval()
    return task


@pytest.mark.parametrize("stage", UPDATED)
def test_two_steps_change_exactly_the_modules_of_the_stage(talk, tmp_path, priors, stage):
    chosen = config(talk, stage)
    outcome = train(chosen, RunOptions(runs=tmp_path / "runs", weights=priors, export=False, cpu=True))
    after = ckpt.read_tensors(outcome.checkpoint / "modules.safetensors", torch.device("cpu"))
    set_seed(chosen.seed)
    before = ckpt.module_tensors(build_task(chosen).modules)
    changed = {key.partition("/")[0] for key, value in after.items() if not torch.equal(value, before[key])}
    assert changed == UPDATED[stage]
    assert all(np.isfinite(value) for value in outcome.scores.values())


@pytest.mark.parametrize("stage", EXPORTED)
def test_a_stage_exports_its_networks(talk, stage):
    task = task_of(talk, stage)
    assert set(task.exports) == {f"gc_avt_paper_{name}" for name in EXPORTED[stage]} == set(task.networks())
    assert set(task.export()) == set(task.exports)


def test_numbers_of_the_paper():
    assert list(read_stages("gc_avt.paper")) == ["sync", "joint"]
    joint = load_stage("gc_avt.paper", "joint")
    assert joint.init == "sync" and joint.batch_size == 16 and joint.data["photos"] == 8
    assert {name: joint.losses[name].weight for name in eq.LAMBDAS} == eq.LAMBDAS
    assert joint.losses["identity"].weight == eq.IDENTITY_WEIGHT
    assert (joint.data["nearest"], joint.data["farthest"]) == (4, 12)


def test_networks_of_the_config_have_the_papers_sizes():
    chosen = load_stage("gc_avt.paper", "joint")
    with torch.device("meta"):
        nets = {name: make(**chosen.model[name]) for name, make in (
            ("pose", stages.MobileNetV2), ("expression", stages.MobileNetV2), ("content", stages.Content),
            ("voice", stages.Voice), ("identity", stages.Identity))}  # fmt: skip
    sizes = [net.config.get("outputs", net.config.get("features")) for net in nets.values()]
    assert sizes == [12, 256, 256, 256, 512]


@pytest.mark.parametrize("smoke", [True, False])
@pytest.mark.parametrize("stage", UPDATED)
def test_all_settings_of_the_config_are_known(stage, smoke):
    assert task_class(load_stage("gc_avt.paper", stage, smoke=smoke)).__module__ == stages.__name__


def test_the_sync_loss_reaches_the_voice_alone(talk):
    """Also in the joint stage, where other losses teach the mouths."""
    for stage in UPDATED:
        task = task_of(talk, stage)
        task.losses("generator", batch_of(task))["contrast"].backward()
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in task.voice.parameters())
        others = [m for name, m in task.modules.items() if name != "voice"]
        assert all(p.grad is None for module in others for p in module.parameters()), stage


def test_both_branches_can_be_trained_first(talk, tmp_path):
    task = task_of(talk, "sync", **{"data.audio_alone": False})
    assert optimizers_of(task) == {"generator": ["content", "voice"]}
    task.losses("generator", batch_of(task))["contrast"].backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in task.content.parameters())


def test_reconstruction_teaches_all_networks_from_mouth_and_from_voice(talk, priors):
    task = task_of(talk, "joint", priors)
    batch = batch_of(task)
    for lips, name in (("video", "content"), ("audio", "voice")):
        for module in task.modules.values():
            module.zero_grad()
        made = getattr(task.made(batch), lips)
        eq.reconstruction(made, batch["picture"]).backward()
        taught = {n for n, m in task.modules.items() if any(
            p.grad is not None and p.grad.abs().sum() > 0 for p in m.parameters())}  # fmt: skip
        assert taught == {"identity", "pose", "expression", "generator", name}


def test_losses_are_those_of_both_reconstructions(talk):
    task = still(task_of(talk, "joint"))
    batch = batch_of(task)
    made = task.made(batch)
    terms = task.losses("generator", batch)
    halves = [eq.reconstruction(picture, batch["picture"]) for picture in (made.video, made.audio)]
    torch.testing.assert_close(terms["image"], sum(halves) / 2)
    assert {*terms, *task.losses("discriminator", batch)} == set(task.config.losses)


def test_priors_are_used_where_they_are_and_losses_are_off_without(talk, priors):
    with_all = still(task_of(talk, "joint", priors))
    without = still(task_of(talk, "joint", **{"data.identity": "arcface"}))  # the stand-in is bundled
    assert "VGG-face loss on vggface" in with_all.data_summary and "identity loss on identity" in with_all.data_summary
    assert "VGG-face loss off" in without.data_summary and "identity loss off" in without.data_summary
    batch = batch_of(with_all)
    on, off = (task.losses("generator", batch) for task in (with_all, without))
    for name in ("vggface", "identity"):
        assert on[name] > 0 and off[name] == 0
        with_all.generator.zero_grad()
        on[name].backward(retain_graph=True)
        assert with_all.generator.constant.constant.grad.abs().sum() > 0


class Poisoned(ClipStore):
    """Clips whose truth is NaN, but for what places crops and masks: keypoints and segmentation."""

    def _poison(self, truth):
        return {n: v if n in ("keypoints", "segmentation") else np.full(v.shape, np.nan) for n, v in truth.items()}

    def load(self, number, frames=None, names=None):
        images, truth = super().load(number, frames, names)
        return images, self._poison(truth)

    def truth(self, number, names):
        return self._poison(super().truth(number, names))


@pytest.mark.parametrize("stage", UPDATED)
def test_no_loss_reads_a_true_factor(talk, stage):
    poisoned = Clip(Poisoned(talk), 0).moments([1])
    assert np.isnan(poisoned.gaze).all() and np.isnan(poisoned.coefficients).all()
    task = still(task_of(talk, stage))
    clean, other = (batch_of(task, store=kind(talk)) for kind in (ClipStore, Poisoned))
    assert clean.keys() == other.keys()
    for name, value in clean.items():
        assert torch.equal(value, other[name]), name


def test_a_batch_has_the_shapes_and_ranges_that_it_says(talk):
    task = task_of(talk, "joint", **{"data.photos": 8})
    batch = batch_of(task)
    shapes = {name: tuple(value.shape[1:]) for name, value in batch.items()}
    side = (3, 32, 32)
    assert shapes == {
        "photos": (8, *side), "picture": side, "pose": side, "expression": side, "mouth": (3, 112, 112),
        "heard": (1, 80, 20), "lips": (3, 2, 3, 112, 112), "mel": (3, 2, 1, 80, 20),
    }  # fmt: skip
    for name in ("photos", "picture", "pose", "expression", "mouth", "lips"):
        assert batch[name].min() >= -1 and batch[name].max() <= 1 and batch[name].std() > 0.1, name
    assert (batch["picture"] == -1).float().mean() > 0.1, "the background is black"


def test_photos_are_other_frames_than_the_target(talk):
    task = task_of(talk, "joint", **{"data.photos": 15})
    batch = batch_of(task, train=False)
    for row in range(2):
        views = torch.cat([batch["picture"][row, None], batch["photos"][row]])
        assert len({view.numpy().tobytes() for view in views}) == 16
    short = batch_of(task_of(talk, "joint", **{"data.photos": 20}))
    assert short["photos"].shape[1] == 20, "a clip of 16 frames repeats some"


def test_validation_has_no_augmentation_and_training_has(talk):
    task = task_of(talk, "joint")
    plain = [batch_of(task, train=False, seed=3) for _ in range(2)]
    assert all(torch.equal(plain[0][n], plain[1][n]) for n in plain[0])
    row = Row(Clip(task.store, 0), np.random.default_rng(0), 64, 20.0, None)
    assert row.degrees() == 0 and row.look(row.seen([0])[0]).damage is None
    mouths = row.mouths([2, 3])
    loose = Row(Clip(task.store, 0), np.random.default_rng(0), 64, 20.0, stages.Colours(np.zeros(3), np.ones(3)))
    assert not (loose.mouths([2, 3])[0] == mouths[0]).all()


def test_the_voice_window_is_that_of_the_frame(talk):
    """Its middle is within 5 ms of the frame's: mel frame m covers samples 160 m - 1120 to 160 m + 159."""
    task = task_of(talk, "joint")
    clip = Clip(task.store, 0)
    mel = mel_spectrogram(task.store.voice(0))
    window = task.voices.windows(clip, [6], 0)[0, 0]
    np.testing.assert_allclose(window, mel[:, 20:40], atol=1e-3)
    middle = (160 * 20 - 1120 + 160 * 39 + 160) / 2
    assert abs(middle - (6 * 640 + 320)) <= 80


def test_the_mouth_of_the_expression_input_is_a_setting(talk):
    shifted, own = (
        batch_of(task_of(talk, "joint", **{"data.mouth": kind}), train=False) for kind in ("shifted", "own")
    )
    assert not torch.equal(shifted["expression"], own["expression"])
    assert torch.equal(shifted["pose"], own["pose"]) and torch.equal(shifted["mouth"], own["mouth"])
    with pytest.raises(TrainingError, match="shifted, own"):
        task_of(talk, "joint", **{"data.mouth": "none"})


def test_exported_latents_are_zero_at_rest_and_make_the_same_pictures(talk):
    task = still(task_of(talk, "joint"))
    with torch.no_grad():
        for module in (task.pose.classifier[1], task.expression.classifier[1], task.content.fc, task.voice.fc):
            module.bias += torch.randn_like(module.bias)
        rests = task.rests()
        batch = batch_of(task, train=False)
        before, exported = task.made(batch), task.export()
        pose = task.pose(batch["pose"])
        for name in NETWORKS:
            task.modules[name].load_state_dict(exported[f"gc_avt_paper_{name}"][0])
        after = task.made(batch)
        torch.testing.assert_close(after.video, before.video, atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(after.audio, before.audio, atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(task.pose(batch["pose"]), pose - rests[POSE])
        for name, rest in task.rests().items():
            assert rest.abs().max() < 1e-4 and rests[name].abs().max() > 0.1, name
    assert set(rests) == {POSE, EXPRESSION, LIP}
