"""The stage of the sync expert: its data and its scores."""

from dataclasses import replace

import numpy as np
import torch

from tests.methods.fc_tfg.test_stages import config, still
from thgen.encoder.inputs import code_columns
from thgen.methods.fc_tfg.sync import lip_windows
from thgen.methods.fc_tfg.sync_stage import Guide
from thgen.training.data.samples import Clip, tensor
from thgen.training.task import build_task


def test_each_window_of_lips_has_its_own_voice(talk):
    task = build_task(config(talk, "sync"))
    batch = task.batch(task.store, np.random.default_rng(0), False)
    assert batch["lips"].shape == (2, 4, 15, 48, 96) and batch["mel"].shape == (2, 4, 1, 80, 16)
    of_clips = []  # windows of lips and of the voice that start with each frame, clip by clip
    for number in range(2):
        clip = Clip(task.store, number)
        views = tensor(clip.moments(list(range(12))).images)
        lips = lip_windows(torch.stack([views[s : s + 5] for s in range(8)]))
        of_clips.append((lips, torch.from_numpy(task.voices.windows(clip, list(range(2, 10)), 0))))
    for row in range(2):
        matches = []
        for lips, voices in of_clips:
            starts = [int((lips - seen).abs().amax((1, 2, 3)).argmin()) for seen in batch["lips"][row]]
            if torch.equal(lips[starts], batch["lips"][row]):
                assert torch.equal(voices[starts], batch["mel"][row]) and starts == sorted(set(starts))
                matches.append(starts)
        assert len(matches) == 1, "the row is of one clip"


def test_likeness_scores_and_losses(talk, monkeypatch):
    task = still(build_task(config(talk, "sync")))
    batch = task.batch(task.store, np.random.default_rng(0), False)
    near = task.likeness(*task.both(batch))
    assert near.shape == (2, 4, 4) and near.abs().max() <= 1 + 1e-5
    right = torch.eye(4).expand(2, -1, -1)
    monkeypatch.setattr(task, "likeness", lambda video, audio: right)
    assert task.scores(batch)["accuracy"] == 100 and task.losses("main", batch)["a2v"] < 1e-3
    monkeypatch.setattr(task, "likeness", lambda video, audio: right.flip(1))
    assert task.scores(batch)["accuracy"] == 0 and task.losses("main", batch)["v2a"] > 5


def test_the_warm_up_has_windows_of_many_clips_and_trains_by_the_guide_alone(talk):
    task = still(build_task(config(talk, "sync", **{"data.warmup": 1})))
    first, second = (next(task.batches("train", 0, 0, 1)) for _ in range(2))
    batches = task.batches("train", 0, 0, 1)
    first, second = next(batches), next(batches)
    assert first["lips"].shape == (8, 1, 15, 48, 96), "2 clips x 4 moments"
    assert second["lips"].shape == (2, 4, 15, 48, 96)
    losses = task.losses("generator", first)
    assert losses["a2v"] == 0 and losses["v2a"] == 0
    losses["guide"].backward()
    for branch in (task.expert.face_encoder, task.expert.audio_encoder):
        assert branch[0].conv_block[0].weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in task.encoder.parameters())
    assert set(next(task.batches("val", 0, 0, 1))) == {"lips", "mel", "code"}


def test_the_code_is_what_the_face_encoder_says_of_the_mouth_in_the_middle_of_a_window(talk):
    task = still(build_task(config(talk, "sync")))
    batch = task.batch(task.store, np.random.default_rng(0), False)
    columns = code_columns(task.encoder, "mouth")
    known = torch.cat([task.features(Clip(task.store, n), list(range(12)), None, False) for n in range(2)])[:, columns]
    away = torch.cdist(batch["code"].flatten(0, 1), known).amin(1)
    assert away.max() < 1e-3 * known.norm(dim=1).mean()


def test_lips_in_memory_are_those_of_the_pictures_rounded(talk):
    kept, anew = (build_task(config(talk, "sync", **{"data.lips_kept": n})) for n in (4, 0))
    clip = Clip(kept.store, 1)
    for _ in range(2):
        torch.testing.assert_close(kept.lips(clip, [3, 5]), anew.lips(clip, [3, 5]), rtol=0, atol=0.51 / 255)


def test_a_perfect_guide_has_no_loss():
    torch.manual_seed(0)
    guide, code = Guide(6, 6).eval(), torch.randn(5, 6)
    for layer in (guide.video, guide.audio):
        torch.nn.init.eye_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    assert guide(code, code, code).abs() < 1e-4 < guide(code, -code, code)


def test_without_the_guide_no_encoder_is_loaded(talk):
    found = config(talk, "sync")
    plain = build_task(replace(found, losses={n: w for n, w in found.losses.items() if n != "guide"}))
    assert set(plain.modules) == {"sync"} and not plain.helpers
    assert set(plain.batch(plain.store, np.random.default_rng(0), True)) == {"lips", "mel"}
