"""The face encoder's stage: what it reads of the truth, pairs of frames, losses of places and of changes, scores."""

import numpy as np
import pytest
import torch

from thgen.encoder import measures as ms
from thgen.encoder.network import SEGMENT_STEP, SHOWN
from thgen.encoder.stage import LABELS, SHOWN_OF_PART, EncoderStage
from thgen.encoder.tiles import NAMES, TILES, frames_of, to_crop, to_tile
from thgen.synth.head import facekit as fk
from thgen.training import settings
from thgen.training.config import checked
from thgen.training.data.store import ClipStore

SMALL = {**{n: [8, 16, 16, 16] for n in ("face", "eye", "mouth", "brows")}, "codes": [24, 16, 16, 16], "segments": 8}
WEIGHTS = {
    "points": 20.0,
    "rough": 6.0,
    "depth": 4.0,
    "change": 20.0,
    "measures": 1.0,
    "measure_change": 1.5,
    "segments": 0.3,
}


def config(folder, **data):
    data = {"train": str(folder), "val": str(folder), "frames_per_clip": 2, "head": "ellipsoid", **data}
    raw = {"task": "x:y", "steps": 2, "batch_size": 6, "lr": 1e-3, "losses": WEIGHTS, "data": data, "model": SMALL}
    return checked("rig", "face_encoder", raw)


@pytest.fixture
def stage(shards):
    torch.manual_seed(0)
    return EncoderStage(config(shards))


def test_batches_depend_on_their_number_alone_and_hold_frames_of_a_clip_in_a_row(stage):
    one, again = (next(stage.batches("train", 7, 0, 1)) for _ in range(2))
    assert all(torch.equal(one[n], again[n]) for n in one)
    assert not torch.equal(one["face"], next(stage.batches("train", 8, 0, 1))["face"])
    assert one["keypoints"].shape == (6, stage.net.count, 3)
    known = {}
    for number in range(len(stage.store)):
        for points in stage.store.truth(number, ("keypoints",))["keypoints"]:
            known[points.tobytes()] = number
    origin = [known[p.numpy().tobytes()] for p in one["keypoints"]]
    assert origin[0::2] == origin[1::2], "both frames of a pair are of one clip"
    assert not torch.equal(one["keypoints"][0], one["keypoints"][1])


def test_of_the_truth_only_keypoints_and_segments_are_read(shards, monkeypatch):
    asked = []
    load = ClipStore.load

    def spy(self, number, frames=None, names=None):
        asked.append(names)
        images, truth = load(self, number, frames, names)
        assert set(truth) == {"keypoints", "segmentation"}
        return images, truth

    monkeypatch.setattr(ClipStore, "load", spy)
    stage = EncoderStage(config(shards))
    batch = next(stage.batches("train", 0, 0, 1))
    stage.losses("main", batch)
    with torch.no_grad():
        stage.validate()
    assert set(asked) == {LABELS} and set(LABELS) == {"keypoints", "segmentation"}
    allowed = {*NAMES, "frames", "upright", "keypoints", *(f"segments_{n}" for n in SEGMENT_STEP)}
    assert set(batch) == allowed


def test_tiles_are_misplaced_in_training_and_exact_in_validation(stage):
    train, val = (next(stage.batches(split, 0, 0, 1)) for split in ("train", "val"))
    assert not torch.allclose(train["frames"], train["upright"]) and torch.equal(val["frames"], val["upright"])
    for batch in (train, val):
        assert torch.equal(batch["upright"], frames_of(batch["keypoints"]))


def test_training_on_one_batch_lowers_every_loss(stage):
    batch = next(stage.batches("train", 0, 0, 1))
    optimiser = torch.optim.Adam(stage.net.parameters(), 3e-3)
    history = []
    for _ in range(60):
        terms = stage.losses("main", batch)
        optimiser.zero_grad()
        sum(WEIGHTS[n] * term for n, term in terms.items()).backward()
        optimiser.step()
        history.append({n: float(term.detach()) for n, term in terms.items()})
    assert set(history[0]) == set(WEIGHTS)
    for name in history[0]:
        assert history[-1][name] < 0.8 * history[0][name], name


def perfect(stage, batch, monkeypatch, change=lambda points: points):
    """Let the network read the true keypoints after `change`, and every segment right."""

    class Read:
        keypoints = change(batch["keypoints"].clone())
        rough = keypoints

    logits = {
        n: 20.0
        * torch.nn.functional.one_hot(batch[f"segments_{n}"].clamp_min(0), len(SHOWN)).permute(0, 3, 1, 2).float()
        for n in SEGMENT_STEP
    }
    monkeypatch.setattr(stage.net, "read_with_segments", lambda tiles, frames: (Read, logits))


def test_true_keypoints_cost_nothing(stage, monkeypatch):
    batch = next(stage.batches("train", 0, 0, 1))
    perfect(stage, batch, monkeypatch)
    assert all(float(term) < 1e-4 for term in stage.losses("main", batch).values())


def test_what_is_wrong_in_all_frames_of_a_clip_costs_no_change(stage, monkeypatch):
    """An identity that is misread is no expression: lips that are too low in all frames."""
    batch = next(stage.batches("train", 0, 0, 1))
    frame = batch["upright"][:, 0]
    lower = [66, 65, 67]

    def low(points, rows):
        unit = ms.interocular(points)[rows, None, None]
        local = to_tile(points[rows][:, :, :2], frame[rows])
        local[:, lower, 1] += (0.05 * unit / frame[rows, 2, None, None])[..., 0]
        points[rows, :, :2] = to_crop(local, frame[rows])
        return points

    perfect(stage, batch, monkeypatch, lambda p: low(p, list(range(6))))
    every = stage.losses("main", batch)
    assert every["points"] > 1e-4 and every["change"] < 1e-5 and every["measure_change"] < 1e-4
    assert every["measures"] > 0.02
    perfect(stage, batch, monkeypatch, lambda p: low(p, [0, 2, 4]))
    first = stage.losses("main", batch)
    assert first["change"] > 1e-4 and first["measure_change"] > 0.01


def test_each_group_has_the_same_share(stage):
    away = torch.zeros(6, stage.net.count, 2)
    weight = torch.ones(6, stage.net.count)
    shares = []
    for group in stage.groups.values():
        one = away.clone()
        one[:, group, 0] = 1
        shares.append(float(stage._mean_of_groups(one, weight)))
    assert shares == pytest.approx([1 / len(stage.groups)] * len(stage.groups))


def test_scores_of_the_truth_are_perfect_and_a_smaller_change_has_a_smaller_gain(stage, monkeypatch):
    batch = stage.batch(stage.val_store, [0, 1, 2], np.random.default_rng(0), train=False)
    true = stage._upright(batch["keypoints"], batch)
    scores = stage._errors(true, true)
    assert all(v == pytest.approx(1, abs=1e-4) for n, v in scores.items() if n.startswith(("gain", "r_")))
    assert all(v == 0 for n, v in scores.items() if n.endswith("percent"))
    mean = true.unflatten(0, (-1, 2)).mean(1).repeat_interleave(2, 0)
    half = stage._errors(mean + 0.5 * (true - mean), true)
    assert half["gain_opening"] == pytest.approx(0.5, abs=0.02) and half["r_opening"] > 0.99
    assert half["change_inner_lips_percent"] > 0


def test_scores_are_finite_and_have_a_direction(stage):
    with torch.no_grad():
        scores = stage.validate()
    assert all(np.isfinite(v) for v in scores.values())
    for side in ("left", "right"):
        assert {f"gain_lid_{side}", f"gain_iris_{side}_x", f"r_brow_{side}", f"gain_corner_{side}"} <= set(scores)
    assert {"place_iris_percent", "change_lids_percent", "gain_opening", "gain_width"} <= set(scores)


def test_an_untrained_network_shows_the_mean_face_in_its_place(stage):
    batch = stage.batch(stage.val_store, [0, 1], np.random.default_rng(0), train=False)
    with torch.no_grad():
        made = stage.net.read({n: batch[n] for n in NAMES}, batch["frames"]).keypoints
    away = (made - batch["keypoints"])[:, :68, :2].norm(dim=-1) / ms.interocular(batch["keypoints"])[:, None]
    assert away.mean() < 0.5


def test_every_part_has_a_class():
    assert len(SHOWN_OF_PART) == len(fk.PART_NAMES)
    names = {part: SHOWN[int(SHOWN_OF_PART[n])] for n, part in enumerate(fk.PART_NAMES)}
    assert names["teeth"] == "teeth" and names["left eye"] == names["eye socket"] == "eye" and names["face"] == "skin"
    assert names["gums and tongue"] == "tongue" and names["background"] == "around" and names["wear"] == "worn"


def test_export_names_its_class_and_pictures_fit(stage):
    state, built = stage.export()["face_encoder"]
    assert built["class"] == "face_encoder" and len(state) == len(stage.net.state_dict())
    with torch.no_grad():
        pictures = stage.images(next(stage.batches("train", 0, 0, 1)))
    assert pictures["mouth"].shape == (3, TILES["mouth"].rows, 6 * TILES["mouth"].columns)


def test_new_shards_are_read_while_a_render_runs(shards, tmp_path):
    files = sorted(shards.glob("*.tar"))
    (tmp_path / "shard-00000.tar").write_bytes(files[0].read_bytes())
    stage = EncoderStage(config(tmp_path, refresh=2))
    batches = stage.batches("train", 0, 0, 1)
    next(batches)
    before = len(stage.store)
    (tmp_path / "shard-00001.tar").write_bytes(files[0].read_bytes())
    next(batches)
    assert len(stage.store) == before
    next(batches)
    assert len(stage.store) == 2 * before


def test_the_models_settings_are_those_of_the_network():
    assert settings.read(EncoderStage.model_type, "here", "model", SMALL)
