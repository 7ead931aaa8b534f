"""The stages of FC-TFG's compact preset on a few small clips: what they update, export, hear, compare and read."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.methods.fc_tfg.test_stages import changed_modules
from thgen.audio import wav2lip_mel
from thgen.cli.render import RenderJob, render_shard
from thgen.errors import TrainingError
from thgen.methods.fc_tfg import compact_stages
from thgen.methods.fc_tfg import equations as eq
from thgen.nn.ir_se import ArcFace
from thgen.nn.wav2lip import SyncExpert
from thgen.training import clip_task
from thgen.training.config import load_stage, read_stages
from thgen.training.data.samples import Clip
from thgen.training.data.store import ClipStore
from thgen.training.export import History, export_weights
from thgen.training.loop import RunOptions, train
from thgen.training.task import build_task, optimizers_of

MODEL = {
    "encoder": {"hidden": 16, "layers": 1, "latent": 8}, "voice": {"base": 4}, "fusion": {"hidden": 8},
    "heads": {"hidden": 16, "layers": 1}, "discriminator": {"channels": [4, 4, 4, 4, 4, 4, 4]},
}  # fmt: skip
UPDATED = {"2": {"encoder", "heads"}, "3": {"encoder", "voice", "fusion", "heads", "discriminator"}}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Silent clips of the built-in head in random states."""
    out = tmp_path_factory.mktemp("fc_tfg_pairs")
    render_shard(RenderJob(str(out), 2, 1, frames=6, size=128, flow_size=64, motion="pairs", head="ellipsoid"), 0)
    return out


@pytest.fixture(scope="module")
def priors(tmp_path_factory):
    """A folder of weights with a sync expert and an identity network, both untrained."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(3)
    networks = {"fc_tfg_sync": SyncExpert(4), "identity": ArcFace(4, (1, 1, 1, 1), 8)}
    exports = {name: (net.state_dict(), dict(net.config)) for name, net in networks.items()}
    export_weights(exports, (), History("s", "d", 1, 0.0, "h", {}), folder)
    return folder


@pytest.fixture(autouse=True)
def few_batches(monkeypatch):
    """Scores of one batch: they are looked up, not compared."""
    for module in (clip_task, compact_stages):
        monkeypatch.setattr(module, "VALIDATION_BATCHES", 1)
    monkeypatch.setattr(compact_stages, "PEOPLE", 2)


def config(talk, pairs, stage: str, weights="", **changes):
    """A stage of the real config at a size for tests. Changes: data.ortho, model.fusion.temporal and the like."""
    folder = str(pairs if stage == "2" else talk)
    own = {"data.train": folder, "data.val": folder, "data.head": "ellipsoid"}
    if stage == "3":
        own |= {"data.silent": str(pairs), "data.silent_val": str(pairs)}
    found = load_stage("fc_tfg.compact", stage, overrides=own, smoke=True)
    model, data = {name: dict(part) for name, part in MODEL.items()}, dict(found.data)
    for key, value in changes.items():
        place, _, name = key.partition(".")
        part, _, argument = name.partition(".")
        if place == "data":
            data[name] = value
        else:
            model[part][argument] = value
    losses = {name: replace(weight, start=0) for name, weight in found.losses.items()}
    # channels_last off: exact comparisons
    return replace(found, model=model, data=data, losses=losses, weights=str(weights), validate_every=2, save_every=2,
                   batch_size=4, precision="no", init="", channels_last=False)  # fmt: skip


def still(task):
    """The task in evaluation mode, so that equal inputs give equal losses, as after some training."""
    torch.manual_seed(1)
    with torch.no_grad():
        for name in UPDATED["3"] & task.modules.keys():
            for parameter in task.modules[name].parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
    for module in (*task.modules.values(), *task.helpers.values()):
        module.eval()
    return task


def batch_of(task, pictures=0, train=True):
    return task.batch(task.store, np.random.default_rng(0), train, pictures)


@pytest.mark.parametrize("stage", UPDATED)
def test_two_steps_change_exactly_the_modules_of_the_stage(talk, pairs, tmp_path, priors, stage):
    chosen = config(talk, pairs, stage)
    outcome = train(chosen, RunOptions(runs=tmp_path / "runs", weights=priors, export=False, cpu=True))
    assert changed_modules(chosen, outcome) == UPDATED[stage]
    assert all(np.isfinite(value) for value in outcome.scores.values())
    if stage == "3":
        named = {"voice_mouth", "silent_mouth", "canonical_pose", "photos_pose", "ortho", "copy", "lids_L"}
        assert named <= outcome.scores.keys()


@pytest.mark.parametrize("stage", UPDATED)
def test_a_stage_exports_the_networks_that_it_trains(talk, pairs, stage):
    task = build_task(config(talk, pairs, stage))
    assert set(task.exports) == {f"fc_tfg_{name}" for name in UPDATED[stage] - {"discriminator"}}
    assert set(task.export()) == set(task.exports)


def test_numbers_of_the_paper():
    assert list(read_stages("fc_tfg.compact")) == ["2", "3"]
    three = load_stage("fc_tfg.compact", "3")
    assert {name: three.losses[name].weight for name in eq.LAMBDAS} == eq.LAMBDAS and three.init == "2"
    task_model = three.model["fusion"]
    assert len(task_model["manipulated"]) == 8 and len(task_model["voiced"]) == 2 and task_model["temporal"] == "conv"


def test_keypoints_teach_the_codes(talk, pairs):
    torch.manual_seed(0)
    task = build_task(config(talk, pairs, "3"))
    batch = batch_of(task)
    named = [p for name in ("encoder", "voice", "fusion", "heads") for p in task.modules[name].parameters()]
    optimiser, errors = torch.optim.Adam(named, 3e-3), []
    for _ in range(40):
        loss = task.losses("generator", batch)["keypoints"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        errors.append(float(loss))
    assert errors[-1] < 0.6 * errors[0]


def test_who_speaks_and_what_is_shown(talk, pairs):
    """Half of the rows speak; the others are single frames of silent clips. A validation has speakers alone."""
    task = build_task(config(talk, pairs, "3"))
    batch = batch_of(task, pictures=1)
    features = task.frame_size
    assert batch["frame_s"].shape == (4, features) and batch["window"].shape == batch["other"].shape == (4, 5, features)
    assert batch["mel"].shape == (2, 5, 1, 80, 16)
    assert batch["picture_s"].shape == (1, 3, 256, 256) and batch["picture_t"].shape == (1, 5, 3, 256, 256)
    assert (batch["window"][2:] == batch["window"][2:, :1]).all() and (batch["other"] == batch["window"])[2:].all()
    assert not (batch["window"][:2] == batch["window"][:2, :1]).all()
    assert not torch.equal(batch["other"][:2], batch["window"][:2])
    assert batch_of(task)["window"].shape[1] == task.data.window == 3 and "picture_s" not in batch_of(task)
    assert len(batch_of(task, train=False)["mel"]) == 4


def test_a_window_has_its_own_voice_and_its_own_keypoints(talk, pairs):
    task = build_task(config(talk, pairs, "3", **{"data.silent_share": 0.0}))
    batch = batch_of(task)
    found = []
    for number in range(len(task.store)):
        clip = Clip(task.store, number)
        mel = wav2lip_mel.mel_windows(wav2lip_mel.mel_spectrogram(task.store.voice(number)), len(clip))
        points = clip.moments(list(range(len(clip)))).keypoints
        found += [(torch.from_numpy(mel[t : t + 3]), points[t + 1]) for t in range(len(clip) - 2)]
    for row, mel in enumerate(batch["mel"]):  # half precision in memory
        own = [points for heard, points in found if torch.allclose(mel, heard, atol=5e-3)]
        assert any(np.allclose(batch["keypoints_t"][row], points, atol=1e-3) for points in own)


def test_the_voice_speaks_where_it_is_heard_and_the_frame_where_not(talk, pairs):
    """With a voice, z_d of the window does not reach its indices; without, z_d of another moment does not."""
    task = still(build_task(config(talk, pairs, "3")))
    batch = batch_of(task)
    changed = {}
    with torch.no_grad():
        for heard in (True, False):
            before = task.codes(batch, heard).motion
            for name in ("window", "other", "mel"):
                after = task.codes(batch | {name: batch[name] + 1}, heard).motion
                changed[heard, name] = (before - after).abs().amax((1, 3)) > 1e-7
    lips = [False] * 4 + [True, True] + [False] * 2
    others = [not voiced for voiced in lips]
    assert changed[True, "window"].tolist() == [others] * 4 and changed[True, "other"].tolist() == [lips] * 4
    assert changed[True, "mel"].tolist() == [lips] * 2 + [[False] * 8] * 2, "two rows speak"
    assert changed[False, "window"].all() and not changed[False, "other"].any() and not changed[False, "mel"].any()


def test_a_photos_own_motion_is_no_movement(talk, pairs):
    task = still(build_task(config(talk, pairs, "3")))
    batch = batch_of(task)
    batch["window"] = batch["frame_s"][:, None].expand_as(batch["window"])
    batch["keypoints_t"] = batch["keypoints_s"]
    with torch.no_grad():
        drawn = task.decode(task.codes(batch, heard=False), batch)
    assert drawn.terms["keypoints"] < 1e-3 and drawn.terms["coefficient_l2"] < 1e-8


def test_pictures_are_of_the_windows_frames_in_their_order(talk, pairs):
    task = still(build_task(config(talk, pairs, "3")))
    batch = batch_of(task, pictures=2)
    with torch.no_grad():
        codes = task.codes(batch)
        made = task.paint(codes, batch)
        assert made.shape == (2, 5, 3, 256, 256)
        one = replace(codes, photo=codes.photo[1:], driven=codes.driven[1:])
        labels = {name: value[1:] for name, value in batch.items() if name != "mel"}
        torch.testing.assert_close(task.paint(one, labels)[0], made[1], atol=1e-4, rtol=1e-4)


def terms_of(task, store, number=0) -> dict[str, torch.Tensor]:
    batch = task.batch(store, np.random.default_rng(number), True, 1)
    torch.manual_seed(0)
    return {f"{p}.{n}": v for p in optimizers_of(task) for n, v in task.losses(p, batch).items()}


class Poisoned(ClipStore):
    """Clips whose truth is NaN, apart from keypoints, which place the head, and from coefficients and gaze of the first
    frame that is asked for: the photo's own, with which it is drawn."""

    def load(self, number, frames=None, names=None):
        images, truth = super().load(number, frames, names)
        out = {name: values.copy() for name, values in truth.items()}
        for name in out:
            if name != "keypoints" and out[name].dtype.kind == "f":
                out[name][...] = np.nan
                if name in ("coefficients", "gaze") and frames:
                    out[name][frames[:1]] = truth[name][frames[:1]]
        return images, out


@pytest.mark.parametrize("stage", UPDATED)
def test_no_loss_reads_a_true_factor(talk, pairs, priors, stage, monkeypatch):
    """With the coefficients and the gaze of all frames but the photo destroyed, all losses have the same values."""
    torch.manual_seed(0)
    task = still(build_task(config(talk, pairs, stage, priors)))
    honest = task.pairs

    def photo_first(moments, pictures):
        assert all(np.isfinite(m.coefficients[0]).all() for m in moments)
        return honest(moments, pictures)

    monkeypatch.setattr(task, "pairs", photo_first)
    clean = terms_of(task, ClipStore(task.store.folder))
    monkeypatch.setattr(Clip, "moments", lambda clip, frames: Clip.fresh(clip, frames), raising=False)
    monkeypatch.setattr(Clip, "fresh", staticmethod(fresh), raising=False)
    if stage == "3":
        task.silent = Poisoned(pairs)
    poisoned = terms_of(task, Poisoned(task.store.folder))
    assert {name.partition(".")[2] for name in clean} >= set(task.config.losses)
    for name, value in clean.items():
        assert torch.isfinite(value) and torch.equal(value, poisoned[name]), name


def fresh(clip, frames):
    """`Clip.moments` that asks the store anew each time, so that each photo is the first frame of its call."""
    from thgen.training.data.samples import LABELS, Moments

    images, truth = clip.store.load(clip.number, list(frames), LABELS)
    return Moments(images, *(truth[name][frames] for name in LABELS))


def test_losses_of_pictures_reach_the_codes_and_are_off_without_networks(talk, pairs, priors):
    task = still(build_task(config(talk, pairs, "3", priors)))
    assert "identity loss on identity" in task.data_summary and "sync loss on the expert" in task.data_summary
    batch = batch_of(task, pictures=1)
    for name in ("identity", "sync", "perceptual", "adversarial", "image"):
        task.inversion.zero_grad()
        task.losses("generator", batch)[name].backward()
        assert task.inversion.linear.weight.grad.abs().sum() > 0, name
    plain = task.losses("generator", batch_of(task))
    assert all(plain[name] == 0 for name in task.picture_terms) and plain["keypoints"] > 0 and plain["ortho"] > 0
    assert all(value == 0 for value in task.losses("discriminator", batch_of(task)).values())


def test_orthogonality_is_a_setting(talk, pairs):
    values = set()
    for kind in ("product", "cosine"):
        task = still(build_task(config(talk, pairs, "3", **{"data.ortho": kind})))
        values.add(float(task.losses("generator", batch_of(task))["ortho"].detach()))
    assert len(values) == 2
    with pytest.raises(TrainingError, match="product, cosine"):
        build_task(config(talk, pairs, "3", **{"data.ortho": "none"}))


@pytest.mark.parametrize("change", [{"model.discriminator.frames": 5}, {"model.fusion.temporal": "lstm"}])
def test_variants_of_table_3_train(talk, pairs, tmp_path, change):
    chosen = config(talk, pairs, "3", **change)
    outcome = train(chosen, RunOptions(runs=tmp_path / "runs", weights=tmp_path / "w", export=False, cpu=True))
    assert changed_modules(chosen, outcome) == UPDATED["3"]


@pytest.mark.parametrize(("change", "told"), [
    ({"model.discriminator.frames": 3}, "must be 1 or 5"),
    ({"model.fusion.voiced": [9]}, "model.fusion: style indices"),
    ({"model.fusion.temporal": "rnn"}, "temporal must be one of"),
])  # fmt: skip
def test_what_does_not_fit_is_told(talk, pairs, change, told):
    with pytest.raises(TrainingError, match=told):
        build_task(config(talk, pairs, "3", **change))


def test_clips_that_are_shorter_than_a_window_are_told(talk, pairs):
    task = build_task(config(talk, pairs, "3", **{"data.window": 7}))
    with pytest.raises(TrainingError, match="have 6 frames, a window has 7"):
        batch_of(task)


def test_canonical_faces_that_ignore_their_photo_are_one_face(talk, pairs):
    """If E_can gives one code to all frames and E_m nothing, the canonical faces are the photos; if E_m says all that a
    frame shows, they are alike."""
    task = still(build_task(config(talk, pairs, "3")))
    with torch.no_grad():
        for network in task.fusion.motion:
            network[-1].weight.zero_()
            network[-1].bias.zero_()
    found = task.canonical_spread(ClipStore(pairs))
    for name in ("pose", "mouth", "lids"):
        assert found[f"canonical_{name}"] == pytest.approx(found[f"photos_{name}"], rel=1e-3)
    assert found["photos_pose"] > 1
