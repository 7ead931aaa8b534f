"""The analyser's stage: labels follow the crop, losses teach, negatives are none."""

import json

import numpy as np
import pytest
import skimage.data
import torch

from thgen.analyser.negatives import PHOTOS, animal, clutter, photos_without_people
from thgen.analyser.stage import UNKNOWN, AnalyserStage, close_points, crop_matrix, move_labels, wide_crops
from thgen.errors import AssetError, TrainingError
from thgen.nn.geometry import euler_angles, rotation_matrix
from thgen.schema import COEFFICIENTS, SEGMENTS
from thgen.synth.head import facekit as fk
from thgen.training.config import checked
from thgen.training.data.store import ClipStore

SMALL = {"channels": [8, 16, 16, 24, 32], "hidden": 48, "segments": 8}


@pytest.fixture(scope="module")
def stage(shards):
    data = {"train": str(shards), "val": str(shards), "frames_per_clip": 2, "head": "ellipsoid"}
    raw = {"task": "x:y", "steps": 2, "batch_size": 6, "lr": 1e-3, "losses": {}, "data": data, "model": SMALL}
    torch.manual_seed(0)
    return AnalyserStage(checked("rig", "analyser", raw))


def test_a_turned_crop_turns_its_labels_the_other_way():
    keypoints = torch.randn(1, 90, 3) * 0.2
    angle = torch.deg2rad(torch.tensor(20.0))
    turn = torch.tensor([[angle.cos(), -angle.sin()], [angle.sin(), angle.cos()]])
    matrix = torch.cat([0.8 * turn, torch.tensor([[0.1], [-0.05]])], 1)[None]
    labels = move_labels({"keypoints": keypoints, "pose": torch.tensor([[10.0, 5.0, 3.0, 0, 0, 0]])}, matrix)
    back = labels["keypoints"][0, :, :2] @ matrix[0, :, :2].T + matrix[0, :, 2]
    assert torch.allclose(back, keypoints[0, :, :2], atol=1e-5)
    assert labels["pose"][0, 2] == pytest.approx(-17, abs=1)
    expected = rotation_matrix(torch.tensor([0.0, 0.0, -20.0])) @ rotation_matrix(torch.tensor([10.0, 5.0, 3.0]))
    assert torch.allclose(labels["pose"][0], euler_angles(expected), atol=1e-3)


def test_without_jitter_the_framing_is_the_analysers_own():
    keypoints = torch.zeros(1, 70, 3)
    keypoints[0, :68, 0] = torch.linspace(-0.3, 0.5, 68)
    keypoints[0, :68, 1] = torch.linspace(0.0, 0.4, 68)
    matrix = crop_matrix(keypoints, np.random.default_rng(0), 0.0)[0]
    assert matrix[0, 0] == pytest.approx(0.8 * 0.8) and matrix[1, 0] == 0
    assert matrix[0, 2] == pytest.approx(0.1)
    assert matrix[1, 2] == pytest.approx(0.2 - 0.06 * 2 * 0.64, abs=1e-6)


def test_batches_depend_on_their_number_alone_and_show_the_landmarks(stage):
    one, again = (next(stage.batches("train", 7, 0, 1)) for _ in range(2))
    assert torch.equal(one["image"], again["image"]) and torch.equal(one["keypoints"], again["keypoints"])
    assert not torch.equal(one["image"], next(stage.batches("train", 8, 0, 1))["image"])
    assert one["image"].shape == (6, 3, 128, 128) and one["coefficients"].shape == (6, len(COEFFICIENTS))
    assert (one["keypoints"][:, 27:68, :2].abs() < 1.2).float().mean() > 0.95
    assert len(one["negatives"]) == 2


def test_training_on_one_batch_lowers_every_loss(stage):
    batch = next(stage.batches("train", 0, 0, 1))
    optimiser = torch.optim.Adam(stage.net.parameters(), 3e-3)
    history = []
    for _ in range(60):
        terms = stage.losses("main", batch)
        optimiser.zero_grad()
        sum(terms.values()).backward()
        optimiser.step()
        history.append({k: float(v.detach()) for k, v in terms.items()})
    for name in history[0]:
        assert history[-1][name] < 0.7 * history[0][name], name


def test_scores_are_finite_and_export_names_its_class(stage):
    with torch.no_grad():
        scores = stage.validate()
    assert scores["landmarks_interocular_percent"] > 0 and all(np.isfinite(v) for v in scores.values())
    state, config = stage.export()["analyser"]
    assert config["class"] == "analyser" and len(state) == len(stage.net.state_dict())


def test_segments_lie_where_the_picture_shows_them_and_beside_it_nothing_is_known():
    parts = torch.zeros(1, 64, 64)
    parts[:, 16:40, 20:44] = fk.FACE
    parts[:, 40:] = fk.NECK
    picture = (parts / fk.NECK)[:, None].repeat(1, 3, 1, 1)
    still, segments = wide_crops(picture, parts, np.random.default_rng(0), 0.0)
    assert still.shape == (1, 3, 128, 128)
    assert (segments[0, 20:36, 24:40] == SEGMENTS.index("face")).all()
    assert (segments[0, 44:] == SEGMENTS.index("neck")).all() and (segments[0, :12] == 0).all()
    for seed in range(4):
        moved, segments = wide_crops(picture, parts, np.random.default_rng(seed), 1.0)
        shade = torch.nn.functional.avg_pool2d(moved, 2)[0, 0]
        inner = (shade - 1).abs() < 1e-4
        known = segments[0] != UNKNOWN
        assert (segments[0][inner & known] == SEGMENTS.index("neck")).all() and inner.any()


def test_half_of_the_draws_go_to_the_hard_clips_where_asked(shards, tmp_path):
    for file in shards.glob("*.tar"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    store = ClipStore(tmp_path)
    rng = np.random.default_rng(0)
    with pytest.raises(TrainingError, match="evaluate hard"):
        store.draw(rng, 1.0)
    keys = [clip.key for clip in store.clips]
    (tmp_path / "hard.json").write_text(json.dumps({key: 1.0 if n else 9.0 for n, key in enumerate(keys)}))
    drawn = np.bincount([store.draw(rng, 1.0) for _ in range(2000)], minlength=len(keys))
    assert drawn.min() > 0 and drawn[0] > 2 * drawn[1:].max()
    even = np.bincount([store.draw(rng) for _ in range(2000)], minlength=len(keys))
    assert even.max() < 1.5 * even.mean()


def test_close_looks_cover_their_eye_and_the_mouth(stage):
    from thgen.synth.clip import head_mesh
    from thgen.synth.head.keypoints import build_layout
    from thgen.synth.head.performer import neck_weight

    layout = build_layout(head_mesh("ellipsoid"), neck_weight)
    (left, right), mouth = close_points(layout)
    assert {42, 45, 68} <= set(left) and {36, 39, 69} <= set(right) and {48, 62, 66} <= set(mouth)
    assert not set(left) & set(right) and not set(mouth) & (set(left) | set(right))


def test_negatives_repeat_with_their_seed_and_hold_no_person():
    for make in (animal, clutter):
        one, again, other = (make(np.random.default_rng(s)) for s in (1, 1, 2))
        assert np.array_equal(one, again) and not np.array_equal(one, other)
        assert one.shape == (160, 160, 3) and one.dtype == np.uint8 and one.std() > 5


def test_a_photo_that_is_missing_is_an_error_and_not_another_draw(monkeypatch):
    """Negatives are drawn by number: with a photo less, a seed would show others."""
    assert len(photos_without_people()) == len(PHOTOS)

    def lost():
        raise OSError("no such file")

    monkeypatch.setattr(skimage.data, PHOTOS[3], lost)
    with pytest.raises(AssetError, match=PHOTOS[3]):
        photos_without_people()
