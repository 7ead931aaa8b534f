"""The stages of the generator: supervised, and with a discriminator."""

import numpy as np
import pytest
import torch

from thgen.compact.generator_stage import GeneratorStage, draw_spots, importance, same_part
from thgen.training.config import checked

SMALL = {"channels": [16, 24, 32, 40], "fine": 8, "code": 16}


def make(shards, **losses) -> GeneratorStage:
    data = {"train": str(shards), "val": str(shards), "targets_per_clip": 4, "head": "ellipsoid"}
    rates = {"generator": 1e-3, "discriminator": 1e-3}
    raw = {"task": "x:y", "steps": 2, "batch_size": 4, "lr": rates, "losses": losses, "data": data, "model": SMALL}
    torch.manual_seed(0)
    return GeneratorStage(checked("rig", "generator", raw))


@pytest.fixture(scope="module")
def stage(shards):
    return make(shards)


@pytest.fixture(scope="module")
def batch(stage):
    return next(stage.batches("val", 0, 0, 1))


def test_keypoints_of_the_renderer_explain_its_flow(stage, batch):
    """Before any training the coarse flow is already far better than standing still."""
    with torch.no_grad():
        coarse = stage.run(batch).coarse
    seen = batch["visible"] * batch["head"]
    error = ((coarse.flow - batch["flow"]).norm(dim=1, keepdim=True) * seen).sum() / seen.sum()
    still = (batch["flow"].norm(dim=1, keepdim=True) * seen).sum() / seen.sum()
    assert error < 0.35 * still


def test_training_on_one_batch_beats_the_copy(shards, batch):
    stage = make(shards)
    optimiser = torch.optim.Adam(stage.net.parameters(), 2e-3)
    before = stage.scores(batch)["l1"]
    for _ in range(25):
        terms = stage.losses("generator", batch)
        loss = terms["image"] + 8 * terms["flow"] + 0.3 * (terms["keep"] + terms["head"]) + terms["paint"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        after = stage.scores(batch)
    assert after["l1"] < before
    assert after["l1"] < after["l1_copy"]


def test_scores_and_pictures_are_those_of_float32_under_the_loops_autocast(stage, batch):
    """The loop validates under the autocast of the training; behind the eyes' lids bfloat16 is an error."""
    stage.net.eval()
    with torch.no_grad():
        plain = stage.run(batch).image
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(stage.run(batch).image, plain)
            assert all(np.isfinite(value) for value in stage.scores(batch).values())
            assert all(torch.isfinite(picture).all() for picture in stage.images(batch).values())
    stage.net.train()


def test_polish_has_two_optimizers_with_gradients_for_their_own_modules(shards):
    stage = make(shards, adversarial=0.1, matching=1.0, temporal=1.0, discriminator=1.0)
    assert stage.optimizers == {"generator": ["generator"], "discriminator": ["discriminator"]}
    batch = next(stage.batches("train", 0, 0, 1))
    terms = stage.losses("generator", batch)
    assert {"adversarial", "matching", "temporal", "image"} <= set(terms)
    stage.losses("discriminator", batch)["discriminator"].backward()
    assert all(p.grad is None for p in stage.net.parameters())
    assert any(p.grad is not None for p in stage.modules["discriminator"].parameters())


def test_the_discriminator_looks_where_the_photo_shows_nothing():
    keypoints = torch.tensor([[[-0.5, -0.5, 0], [0.5, 0.5, 0], [0.5, -0.5, 0], [0.9, 0.0, 0]]])
    visible = torch.ones(1, 1, 32, 32)
    visible[..., 16:] = 0  # the right half is hidden; the last keypoint lies too near the edge for a patch
    drawn = [draw_spots(np.random.default_rng(n), keypoints, visible) for n in range(60)]
    assert all(d.shape == (1, 2, 2) and d.abs().max() <= 0.5 for d in drawn)
    assert np.mean([bool((d[..., 0] > 0).all()) for d in drawn]) > 0.6


def test_temporal_targets_are_neighbours(shards):
    stage = make(shards, temporal=1.0)
    frames = stage._targets(np.random.default_rng(0), 9, 4)
    assert len(frames) == 4 and frames[1] - frames[0] == frames[3] - frames[2] == 1 and min(frames) >= 1


def test_importance_peaks_at_its_points():
    weight = importance(torch.tensor([[[0.5, -0.5]]]), 64)
    row, column = divmod(int(weight.flatten().argmax()), 64)
    assert abs(column - 48) <= 1 and abs(row - 16) <= 1
    assert weight.max() <= 1 and weight[0, 0, 60, 2] < 1e-3


def test_a_lid_that_lies_on_the_iris_is_not_seen():
    source = torch.full((1, 8, 8), 1.0)
    source[0, 3, 5] = 7.0  # the iris, in the photo
    target = torch.ones(1, 8, 8)  # closed: skin everywhere
    flow = torch.zeros(1, 2, 8, 8)
    assert same_part(flow, source, target).sum() == 63, "without flow the iris lies under one pixel"
    flow[0, 0, 3, 4] = 2 / 8  # one pixel to the right: from the iris
    flow[0, 0, 3, 5] = -2 / 8  # away from it
    seen = same_part(flow, source, target)[0, 0]
    assert seen[3, 4] == 0 and seen[3, 5] == 1


def test_the_perceptual_loss_is_off_without_its_prior_and_the_manifest_says_so(shards, monkeypatch):
    monkeypatch.setattr("thgen.compact.generator_stage.choose_prior", lambda name, folder: None)
    stage = make(shards, perceptual=1.0)
    assert "perceptual loss off" in stage.data_summary and not stage.helpers
    assert stage.losses("generator", next(stage.batches("val", 0, 0, 1)))["perceptual"] == 0
    monkeypatch.undo()
    with_prior = make(shards, perceptual=1.0)
    assert "perceptual loss on analyser" in with_prior.data_summary
    assert with_prior.losses("generator", next(with_prior.batches("val", 0, 0, 1)))["perceptual"] > 0
