"""What compact methods share in training, with a toy method that adds an encoder of one layer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from thgen.compact.frozen_generator import CLOSE, DEPTH
from thgen.encoder.inputs import encoder_input
from thgen.errors import TrainingError
from thgen.training.config import StageConfig, checked
from thgen.training.data.samples import Clip, tensor
from thgen.training.loop import RunOptions, train
from thgen.training.task import build_task
from thgen.weights.manifest import NEITHER

LOSSES = {"keypoints": 1.0, "shape": 1.0, "coefficient_l2": 1.0, "image": 1.0, "vgg": 1.0, "adversarial": 0.1,
          "matching": 1.0, "discriminator": 1.0}  # fmt: skip


def config(shards, task: str = "ToyTask", losses: dict[str, float] = LOSSES, **data) -> StageConfig:
    data = {"train": str(shards), "val": str(shards), "head": "ellipsoid", "prior": "analyser", "pictures": 1} | data
    raw = {"task": f"tests.compact.toy_task:{task}", "steps": 2, "batch_size": 2, "lr": 1e-3, "losses": losses,
           "precision": "no", "channels_last": False, "data": data}  # fmt: skip
    return checked("toy", "first", raw)


def build(shards, *args, **data):
    torch.manual_seed(0)
    return build_task(config(shards, *args, **data))


def test_a_method_needs_only_its_encoder(shards, tmp_path):
    """The toy adds no batch, loss or score. Both optimizers work, and the manifest gets scores with their direction."""
    networks = {"toy": "tests.compact.toy_task:ToyEncoder"}
    outcome = train(config(shards), RunOptions(tmp_path / "runs", tmp_path / "weights", cpu=True, networks=networks))
    assert outcome.exported == ("toy",)
    assert outcome.scores.keys() >= {"keypoints", "shape", "coefficient_l2", "copy", "mouth", "iris_L"}
    task = build(shards)
    assert task.optimizers == {"generator": ["encoder", "head"], "discriminator": ["discriminator"]}
    assert task.better["copy"] == NEITHER and "perceptual loss on analyser" in task.data_summary
    after = load_file(outcome.checkpoint / "modules.safetensors")
    for name in ("encoder/linear.weight", "head/out.weight"):
        module, _, key = name.partition("/")
        assert not torch.equal(after[name], task.modules[module].state_dict()[key]), name


def test_its_losses_are_those_that_the_config_names(shards):
    few = {"keypoints": 1.0, "image": 1.0}
    task = build(shards, "ToyTask", few)
    assert task.optimizers == {"generator": ["encoder", "head"]} and "discriminator" not in task.modules
    batch = task.batch(task.store, np.random.default_rng(0), True, 1)
    assert task.losses("generator", batch).keys() == few.keys()
    own = build(shards, "ToyWithLoss", few | {"latent_size": 1.0})
    assert own.losses("generator", batch).keys() == {*few, "latent_size"}


def test_it_learns_keypoints_through_its_latents(shards):
    task = build(shards, "ToyTask", {"keypoints": 1.0})
    batch = task.batch(task.store, np.random.default_rng(1), False)
    optimizer = torch.optim.Adam([p for m in task.modules.values() for p in m.parameters()], 3e-3)
    errors = []
    for _ in range(25):
        loss = task.losses("generator", batch)["keypoints"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        errors.append(float(loss))
    assert errors[-1] < 0.6 * errors[0]


def test_without_a_picture_its_losses_are_zero_and_the_discriminator_has_no_gradient(shards):
    task = build(shards, pictures_from=10)
    assert [task.pictures_of(number) for number in (9, 10)] == [0, 1]
    seldom = build(shards, pictures_from=10, pictures_every=4)
    assert [number for number in range(20) if seldom.pictures_of(number)] == [12, 16]
    batch = task.batch(task.store, np.random.default_rng(0), True, task.pictures_of(9))
    terms = task.losses("generator", batch)
    assert all(terms[name] == 0 for name in ("image", "vgg", "adversarial", "matching")) and terms["keypoints"] > 0
    loss = task.losses("discriminator", batch)["discriminator"]
    loss.backward()
    assert loss == 0 and all(p.grad.abs().sum() == 0 for p in task.modules["discriminator"].parameters())


def test_each_optimizer_has_gradients_for_its_own_modules(shards):
    task = build(shards)
    batch = task.batch(task.store, np.random.default_rng(0), True, 1)
    assert batch["full_s"].shape == batch["full_t"].shape == (1, 3, 256, 256)
    task.losses("discriminator", batch)["discriminator"].backward()
    touched = {n for n, m in task.modules.items() for p in m.parameters() if p.grad is not None}
    assert touched == {"discriminator"}
    sum(task.losses("generator", batch).values()).backward()
    assert all(p.grad is not None for n in ("encoder", "head") for p in task.modules[n].parameters())


def test_an_error_in_depth_weighs_less_and_one_of_an_eyelid_more(shards):
    """By hand: a keypoint that is wrong by 0.1 half-widths."""
    frozen = build(shards).frozen
    true = torch.zeros(1, len(frozen.weight), 3)
    cheek, lid = 0, 37
    for point, axis, expected in ((cheek, 0, 1.0), (cheek, 2, DEPTH), (lid, 1, CLOSE)):
        made = true.clone()
        made[0, point, axis] = 0.1
        assert frozen.keypoint_distance(made, true).item() == pytest.approx(10 * expected / float(frozen.weight.sum()))


def test_the_score_of_the_copy_is_the_distance_of_the_photo(shards):
    task = build(shards)
    batch = task.validation_batch(0)
    expected = task.frozen.keypoint_distance(batch["keypoints_s"], batch["keypoints_t"])
    with torch.no_grad():
        assert task.scores(batch)["copy"] == pytest.approx(float(expected))


@pytest.mark.parametrize("train", [False, True])
def test_batches_have_the_same_names_with_and_without_cached_features(shards, train):
    batches = {}
    for views in (0, 2):
        task = build(shards, "ToySecondStage", cached_views=views)
        batches[views] = task.batch(task.store, np.random.default_rng(0), train, 1)
        with torch.no_grad():
            assert all(torch.isfinite(v) for v in task.losses("generator", batches[views]).values())
    live, cached = batches.values()
    assert live.keys() == cached.keys()
    assert live["frame_t"].shape == cached["frame_t"].shape == (2, task.frame_size)
    assert live["photo"].shape == cached["photo"].shape == (2, task.frame_size)
    if not train:  # both have the same frames, and no augmentation
        assert torch.equal(live["keypoints_t"], cached["keypoints_t"])
        torch.testing.assert_close(live["frame_t"], cached["frame_t"], atol=2e-3, rtol=2e-3)
        torch.testing.assert_close(live["photo"], cached["photo"], atol=2e-3, rtol=2e-3)


def test_views_are_augmented_in_training_only(shards):
    task = build(shards)
    found = Clip(task.store, 0).moments([0, 1])
    one, again = (task.frame_views(np.random.default_rng(n), found, False) for n in (0, 1))
    assert torch.equal(one, again)
    first, same, other = (task.frame_views(np.random.default_rng(n), found, True) for n in (0, 0, 1))
    assert torch.equal(first, same) and not torch.equal(first, other) and not torch.equal(first, one)


def test_features_are_those_of_inference(shards):
    """A stage's frames are what a method gets of the same crops, and generated pictures are read in the same way."""
    task = build(shards)
    found = Clip(task.store, 0).moments([0, 1])
    images, keypoints = tensor(found.images), torch.from_numpy(found.keypoints).float()
    frames = task.frame_views(np.random.default_rng(0), found, False)
    torch.testing.assert_close(frames, encoder_input(task.encoder(images, keypoints)), atol=1e-5, rtol=1e-4)
    pictures = images.clone().requires_grad_()
    seen = task.picture_features(pictures, keypoints)
    torch.testing.assert_close(seen, frames, atol=1e-5, rtol=1e-4)
    seen.sum().backward()
    assert pictures.grad.abs().sum() > 0 and all(p.grad is None for p in task.encoder.parameters())


def test_every_stage_has_the_same_encoder_and_the_manifest_names_it(shards):
    first, second = build(shards), build(shards, "ToySecondStage")
    assert first.helpers["face_encoder"] is first.encoder and not first.encoder.training
    for one, two in zip(first.encoder.parameters(), second.encoder.parameters(), strict=True):
        assert torch.equal(one, two) and not one.requires_grad
    assert "untrained face encoder" in first.data_summary


def test_clips_of_another_head_are_refused(shards, monkeypatch):
    task = build(shards)
    monkeypatch.setattr(task.frozen, "weight", task.frozen.weight[1:])
    with pytest.raises(TrainingError, match=r"render them with --head facekit, or name their head in data\.head"):
        task.batch(task.store, np.random.default_rng(0), True)


def test_a_clip_decodes_each_frame_once(shards, monkeypatch):
    store = build(shards).store
    loaded, load = [], store.load
    monkeypatch.setattr(
        store, "load", lambda number, frames, names: loaded.extend(frames) or load(number, frames, names)
    )
    clip = Clip(store, 0)
    first, again = clip.moments([2, 0]), clip.moments([0, 1, 2])
    assert loaded == [2, 0, 1] and len(clip) == 5
    images, truth = load(0, [0, 1, 2])
    assert np.array_equal(again.images, images) and np.array_equal(first.images, images[[2, 0]])
    assert np.array_equal(again.gaze, truth["gaze"][[0, 1, 2]])
