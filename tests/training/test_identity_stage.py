"""The stage of the identity stand-in: faces and their classes, the margin, scores of held-out pairs, one training."""

import math

import numpy as np
import pytest
import torch

from thgen.losses.contrastive import angular_margin
from thgen.nn.ir_se import FACE_SIDE
from thgen.training.config import checked
from thgen.training.identity_stage import IdentityStage
from thgen.training.loop import RunOptions, train


def config(folder, **data):
    data = {"train": str(folder), "val": str(folder), "head": "ellipsoid", **data}
    model = {"base": 16, "units": [1, 1, 1, 1], "features": 8}  # torch 2.13 aborts at 4 or 8 channels, channels-last
    raw = {"task": "thgen.training.identity_stage:IdentityStage", "steps": 2, "batch_size": 6, "lr": 1e-3,
           "losses": {"identity": 1.0}, "data": data, "model": model, "image_every": 0}  # fmt: skip
    return checked("rig", "identity", raw)


@pytest.fixture
def stage(shards):
    torch.manual_seed(0)
    return IdentityStage(config(shards))


def test_a_batch_has_the_middle_of_frames_and_the_class_of_their_person(stage):
    batch = next(stage.batches("train", 3, 0, 1))
    assert batch["face"].shape == (6, 3, FACE_SIDE, FACE_SIDE) and batch["face"].abs().max() <= 1
    assert stage.people == sorted({clip.identity for clip in stage.store.clips})
    assert set(batch["person"].tolist()) <= set(range(len(stage.people)))
    other = next(stage.batches("train", 4, 0, 1))
    assert not torch.equal(batch["face"], other["face"])


def test_the_edge_of_a_frame_is_not_seen(stage, monkeypatch):
    frame = np.zeros((1, 64, 64, 3), np.uint8)
    frame[:, 8:56, 8:56] = 200  # 75 %
    monkeypatch.setattr(stage.store, "load", lambda clip, frames, names: (frame, {}))
    assert (stage.face(stage.store, 0, np.random.default_rng(0), train=False) == 200).all()


def test_the_margin_is_added_to_the_own_angle_alone():
    near = torch.tensor([[0.5, 0.2], [0.1, 0.9]])
    person = torch.tensor([0, 1])
    plain = torch.nn.functional.cross_entropy(10 * near, person)
    torch.testing.assert_close(angular_margin(near, person, 0.0, 10.0), plain)
    moved = near.clone()
    for row, own in enumerate(person.tolist()):
        moved[row, own] = math.cos(math.acos(near[row, own]) + 0.3)
    torch.testing.assert_close(
        angular_margin(near, person, 0.3, 10.0), torch.nn.functional.cross_entropy(10 * moved, person)
    )


def test_scores_are_of_pairs_of_clips(stage, monkeypatch):
    people = torch.tensor([clip.identity for clip in stage.val_store.clips])
    perfect = torch.eye(int(people.max()) + 1)[people]
    monkeypatch.setattr(stage, "net", lambda faces: perfect[: len(faces)])
    scores = stage.validate()
    assert scores["cosine_same"] == 1 and scores["cosine_other"] == 0 and scores["same_or_other_auc_percent"] == 100


def test_it_trains_and_exports_the_network_without_its_classes(shards, tmp_path):
    out = train(config(shards), RunOptions(runs=tmp_path, cpu=True))
    assert out.exported == ("identity",) and (tmp_path / "rig/weights/identity/model.safetensors").is_file()
