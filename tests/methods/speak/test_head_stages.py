"""Stages 2a and 2b: batches, who hears and sees what, losses with and without their frozen networks."""

import numpy as np
import pytest
import torch

from tests.methods.speak.stage_configs import config, still, task_of, taught
from thgen.errors import WeightsError
from thgen.methods.speak import equations as eq
from thgen.methods.speak import head_stages
from thgen.methods.speak.stages import ENCODERS
from thgen.nn.wav2lip import SyncExpert
from thgen.nn.wav2vec import normalised
from thgen.training.data.samples import Clip
from thgen.training.export import History, export_weights
from thgen.training.task import build_task

HEAD = {"voice", "editing", "generator"}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A folder of weights with an untrained expert of sync."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(3)
    net = SyncExpert(4)
    export_weights(
        {"speak_paper_sync": (net.state_dict(), dict(net.config))}, (), History("s", "d", 1, 0.0, "h", {}), folder
    )
    return folder


def batch_of(task, seed=0):
    return task.batch(task.store, np.random.default_rng(seed), True)


def test_a_batch_has_the_shapes_that_it_says(talk):
    batch = batch_of(task_of(talk, "2a", heard=12))
    shapes = {name: tuple(value.shape[1:]) for name, value in batch.items()}
    side = (3, 32, 32)
    assert shapes == {"photo": side, "window": (5, *side), "sound": (12 * 640,), "first": (), "mel": (1, 80, 16)}


@pytest.mark.parametrize("heard", [1, 12, 20, 40])
def test_the_window_lies_within_the_sound(talk, heard):
    task = task_of(talk, "2a", heard=heard)
    for seed in range(6):
        first = batch_of(task, seed)["first"]
        assert (first >= 0).all() and (first + 5 <= task.heard).all()


def test_the_sound_is_that_of_the_clip_and_silent_after_it(talk):
    task = task_of(talk, "2a", heard=30)
    clip = Clip(task.store, 0)
    voice = task.store.voice(0)
    sound = task.sound(clip, 0)
    np.testing.assert_allclose(sound[: len(voice)], normalised(voice), atol=1e-6)
    assert len(sound) == 30 * 640 and (sound[len(voice) :] == 0).all()
    short = task_of(talk, "2a", heard=8)
    np.testing.assert_allclose(short.sound(clip, 4), normalised(voice[4 * 640 : 12 * 640]), atol=1e-6)


def test_frames_get_the_voice_of_their_moment(talk):
    task = still(task_of(talk, "2a"))
    batch = batch_of(task)
    tracks = torch.arange(12.0)[None, :, None].expand(2, 12, 6)
    task.voice.at = lambda sounds, frames, fps: tracks[:, :frames]
    seen = []
    edit = task.editing.forward
    task.editing.forward = lambda voice, *rest: seen.append(voice) or edit(voice, *rest)
    task.made(batch | {"first": torch.tensor([0, 7])}, fresh=False)
    assert seen[0][:, 0].tolist() == [0, 1, 2, 3, 4, 7, 8, 9, 10, 11]


def test_all_inputs_change_the_pictures(talk):
    task = still(task_of(talk, "2a"))
    batch = batch_of(task)
    with torch.no_grad():
        made = task.made(batch, fresh=False)
        assert made.shape == (2, 5, 3, 32, 32)
        for name in ("photo", "window", "sound"):
            other = task.made(batch | {name: batch[name].flip(-1)}, fresh=False)
            assert not torch.allclose(made, other, atol=1e-6), name


@pytest.mark.parametrize("stage", ["2a", "2b"])
def test_pictures_teach_all_networks_that_the_stage_trains(talk, stage):
    task = task_of(talk, stage)
    for name in ENCODERS:
        task.modules[name].requires_grad_(stage == "2b")
    terms = task.losses("generator", batch_of(task))
    assert set(terms) == set(eq.HEAD)
    terms["vgg"].backward()
    assert taught(task) == (HEAD if stage == "2a" else HEAD | set(ENCODERS))


def test_the_discriminator_sees_the_photo_beside_the_picture(talk):
    task = still(task_of(talk, "2a"))
    batch = batch_of(task)
    with torch.no_grad():
        one, other = (task.judged(batch | {"photo": photo}, batch["window"]) for photo in
                      (batch["photo"], -batch["photo"]))  # fmt: skip
    assert len(one) == 2 and one[0].shape[:2] == (10, 1) and not torch.allclose(one[0], other[0], atol=1e-5)
    task.losses("discriminator", batch)["discriminator"].backward()
    assert taught(task) == {"discriminator"}


@pytest.mark.parametrize("kind", ["audio", "video"])
def test_the_sync_loss_compares_with_the_voice_and_as_printed_with_the_video(talk, weights, kind):
    """Eq. 12 prints two videos: the true pictures have no distance to themselves, whatever is said."""
    task = still(task_of(talk, "2a", weights, sync=kind))
    assert "sync loss on" in task.data_summary
    batch = batch_of(task)
    true = task.sync(batch["window"], batch)
    other_voice = task.sync(batch["window"], batch | {"mel": batch["mel"].flip(3)})
    if kind == "video":
        assert true < 1e-9 and other_voice < 1e-9
    else:
        assert true > 1e-4 and not torch.isclose(true, other_voice)
    terms = task.losses("generator", batch)
    assert terms["sync"] > 0
    terms["sync"].backward()
    assert "generator" in taught(task)


@torch.no_grad()
def test_a_loss_without_its_network_is_off_and_says_so(talk, weights):
    task = task_of(talk, "2a")
    assert "sync loss off" in task.data_summary and "perceptual loss on analyser" in task.data_summary
    assert task.losses("generator", batch_of(task))["sync"] == 0
    assert "sync" not in task.scores(batch_of(task)) and "sync" in task_of(talk, "2a", weights).scores(batch_of(task))


def test_wav2vec_starts_from_the_hub_or_the_stage_does_not_start(talk, monkeypatch):
    filled = []
    monkeypatch.setattr(head_stages, "fill_pretrained", lambda net: filled.append(net) or "someone/weights@0123456")
    task = task_of(talk, "2a", wav2vec="hub")
    assert filled == [task.voice.wav2vec] and "wav2vec 2.0 from someone/weights" in task.data_summary
    task_of(talk, "2a", wav2vec="random")
    assert len(filled) == 1

    def missing(net):
        raise WeightsError("not on this machine")

    monkeypatch.setattr(head_stages, "fill_pretrained", missing)
    with pytest.raises(WeightsError, match="not on this machine"):
        build_task(config(talk, "2a", wav2vec="hub"))
