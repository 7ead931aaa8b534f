"""Every stage of PD-FGC on a few small clips: the modules that it updates, its exports, its losses and its data."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from thgen.audio.mel import mel_spectrogram, mel_windows
from thgen.cli.render import RenderJob, render_shard
from thgen.compact import frozen_generator
from thgen.compact.frozen_generator import FrozenGenerator
from thgen.compact.generator import targets
from thgen.compact.motion_head import GAZE, PLACE, SHAPE, TURN, FaceState, MotionHead
from thgen.methods.pd_fgc import encoder_stages, stages
from thgen.methods.pd_fgc.encoder_stages import VIEWS
from thgen.methods.pd_fgc.networks import AudioLip, FaceMotion
from thgen.methods.pd_fgc.stage_presets import Codes, CompactStage, PaperStage
from thgen.nn.coefficients import place
from thgen.schema import BLINK_COEFFICIENTS, COEFFICIENT_INDEX, COEFFICIENTS
from thgen.training import checkpoint as ckpt
from thgen.training import clip_task
from thgen.training.config import load_stage, preset_of, read_stages
from thgen.training.data.samples import Clip
from thgen.training.data.store import ClipStore
from thgen.training.loop import RunOptions, Trainer, train
from thgen.training.task import build_task, imported, optimizers_of
from thgen.weights.manifest import read_manifest

pytest.importorskip("espeakng_loader")
MODEL = {
    "audio": {"channels": [8, 16], "depths": [1, 1], "features": 16, "attention": 8, "lip": 10, "unit": True},
}  # fmt: skip
LATENTS = {"features": 16, "lip": 10, "pose": 6, "eye": 6, "expression": 5}
OWN = {
    "compact": {"head": {"hidden": 16, "layers": 1}, "motion": {"hidden": 16, "layers": 1, **LATENTS},
                "appearance": {"hidden": 16, "features": 8}},
    "paper": {"appearance": {"depths": [1, 1], "groups": 2, "group_width": 4, "base": 4, "map_channels": 8, "side": 4},
              "style": {"channels": [8, 8, 8, 8, 8, 4], "start": 4},  # 4 -> 128
              # Of one squeezed channel, half of all untrained encoders would be dead.
              "motion": {"width": 16, "side": 128, "maps": 8, "squeeze": 8, **LATENTS}},
}  # fmt: skip
UPDATED = {
    "1": {"appearance", "motion", "painter0", "discriminator"},
    "2a": {"lip", "audio"},
    "2b": {"eye"},
    "2c": {"pose"},
    "3": {"expression", "painter", "embed", "discriminator", "bank"},
    "3b": {"painter", "embed", "discriminator"},
}


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    """Clips of the built-in head, speaking for 16 frames."""
    out = tmp_path_factory.mktemp("talk")
    render_shard(RenderJob(str(out), 2, 1, frames=16, size=128, flow_size=64, motion="track", head="ellipsoid"), 0)
    return out


@pytest.fixture(autouse=True)
def few_batches(monkeypatch):
    """Scores of one batch: they are looked up, not compared."""
    monkeypatch.setattr(clip_task, "VALIDATION_BATCHES", 1)
    monkeypatch.setattr(stages, "HELD_BATCHES", 1)


def config(talk, stage: str, preset: str = "compact", **changes):
    """A stage of the real config at a size for tests."""
    own = {"data.train": str(talk), "data.val": str(talk), "data.head": "ellipsoid"}
    if stage in ("1", "3", "3b"):
        own |= {"data.pictures": 1, "data.pictures_every": 1}
    if stage in ("2a", "3", "3b"):
        own |= {"data.versions": 1}
    found = load_stage(f"pd_fgc.{preset}", stage, overrides=own | changes, smoke=True)
    # channels_last off: exact comparisons
    return replace(found, model=MODEL | OWN[preset], validate_every=2, save_every=2,
                   precision="no", init="", channels_last=False)  # fmt: skip


@pytest.mark.parametrize("preset", ["compact", "paper"])
@pytest.mark.parametrize("stage", UPDATED)
def test_two_steps_change_exactly_the_modules_of_the_stage(talk, tmp_path, stage, preset):
    chosen = config(talk, stage, preset)
    chosen = replace(chosen, losses={n: replace(w, start=0, weight=w.weight or 1.0) for n, w in chosen.losses.items()})
    outcome = train(chosen, RunOptions(runs=tmp_path / "runs", weights=tmp_path / "weights", export=False, cpu=True))
    after = ckpt.read_tensors(outcome.checkpoint / "modules.safetensors", torch.device("cpu"))
    before = _before(chosen)
    changed = {key.partition("/")[0] for key, value in after.items() if not torch.equal(value, before[key])}
    assert changed == UPDATED[stage]


def test_before_pictures_are_generated_the_discriminator_stays(talk, tmp_path):
    chosen = config(talk, "1", **{"data.pictures_from": 100})
    outcome = train(chosen, RunOptions(runs=tmp_path / "runs", weights=tmp_path / "weights", export=False, cpu=True))
    after = ckpt.read_tensors(outcome.checkpoint / "modules.safetensors", torch.device("cpu"))
    before = _before(chosen)
    # but for the decay of weights
    changed = {n.partition("/")[0] for n, value in after.items() if not torch.allclose(value, before[n], rtol=1e-4)}
    assert changed == {"appearance", "motion", "painter0"}


def _before(chosen) -> dict[str, torch.Tensor]:
    from accelerate.utils import set_seed

    set_seed(chosen.seed)
    return ckpt.module_tensors(build_task(chosen).modules)


def test_a_config_names_the_stages_of_the_paper_in_order():
    for preset in ("compact", "paper"):
        name = preset_of("pd_fgc", preset)
        stages = read_stages(name)
        assert list(stages) == ["1", "2a", "2b", "2c", "3", "3b"] == list(UPDATED)
        starts = [stage.get("init", "") for stage in stages.values()]
        assert starts == ["", "1", "2a", "2b", "2c", "3"], "each goes on from the one before"
    assert preset_of("pd_fgc") == "pd_fgc.compact" and preset_of("rig") == "rig"


def test_rates_of_the_paper():
    stages = {s: load_stage("pd_fgc.paper", s) for s in UPDATED}
    assert stages["1"].lr == {"generator": 5e-5, "discriminator": 5e-6} and stages["1"].batch_size == 24
    assert stages["1"].schedule == {"every": 80000, "factor": 0.5}
    assert stages["2a"].lr == 1e-5 and stages["2a"].schedule == {"every": 200000, "factor": 0.93}
    assert stages["2a"].batch_size == 32 and stages["2b"].batch_size == stages["2c"].batch_size == 128
    three = stages["3"]
    assert (three.rate("generator.expression"), three.rate("generator.painter")) == (1e-5, 2e-5)
    assert three.rate("discriminator") == 3.5e-6 and three.batch_size == 16 and three.steps == 40000
    assert three.data["window"] == 13 and three.data["bank"] == 512


EXPORTED = {"1": {"appearance", "motion"}, "2a": {"motion", "audio"}, "2b": {"motion"}, "2c": {"motion"},
            "3": {"motion", "audio", "painter"}, "3b": {"motion", "audio", "painter"}}  # fmt: skip


@pytest.mark.parametrize("preset", ["compact", "paper"])
@pytest.mark.parametrize("stage", UPDATED)
def test_a_stage_exports_only_networks_that_it_trains(talk, stage, preset):
    task = build_task(config(talk, stage, preset))
    painter = "head" if preset == "compact" else "generator"
    prefix = "pd_fgc_" if preset == "compact" else "pd_fgc_paper_"
    assert set(task.export()) == {prefix + name.replace("painter", painter) for name in EXPORTED[stage]}


def test_stage_1_leaves_the_painter_of_an_earlier_run_alone(talk, tmp_path):
    """It used to write the untrained painter of stage 3 as pd_fgc_head."""
    folder = tmp_path / "weights"
    options = RunOptions(runs=tmp_path / "runs", weights=folder, cpu=True)
    train(config(talk, "3"), options)
    before = (folder / "pd_fgc_head/model.safetensors").read_bytes()
    motion = read_manifest(folder)["pd_fgc_motion"]
    assert set(train(config(talk, "1"), options).exported) == {"pd_fgc_appearance", "pd_fgc_motion"}
    assert (folder / "pd_fgc_head/model.safetensors").read_bytes() == before
    assert read_manifest(folder)["pd_fgc_motion"] != motion, "the new encoder"
    assert set(read_manifest(folder)) == {"pd_fgc_" + n for n in ("appearance", "motion", "audio", "head")}


def test_a_stage_can_go_on_from_weights_whose_zero_was_moved(talk, tmp_path):
    """What `init: bundled` reads goes into the networks that train, not into the copies that an export makes."""
    options = RunOptions(runs=tmp_path / "runs", weights=tmp_path / "weights", cpu=True)
    train(config(talk, "1"), options)
    train(config(talk, "3"), options)
    task = Trainer(replace(config(talk, "3b", seed=9), init="bundled"), options).task
    for name, part in (("appearance", task.appearance), ("motion", task.faces), ("audio", task.voice),
                       ("head", task.modules["painter"])):  # fmt: skip
        stored = load_file(tmp_path / "weights" / f"pd_fgc_{name}" / "model.safetensors")
        for key, value in part.state_dict().items():
            assert torch.equal(value, stored[key].to(value.dtype)), (name, key)


class Poisoned(ClipStore):
    """Clips whose truth is NaN, apart from keypoints, which place the head, and, if `photo`, from the coefficients and
    the gaze of the first frame that is asked for: the photo's own, with which it is drawn."""

    photo = False

    def _poison(self, truth: dict[str, np.ndarray], kept: list[int]) -> dict[str, np.ndarray]:
        out = {}
        for name, values in truth.items():
            out[name] = values.copy()
            if name != "keypoints":
                out[name][...] = np.nan if values.dtype.kind == "f" else 0
            if name in ("coefficients", "gaze"):
                out[name][kept] = values[kept]
        return out

    def load(self, number, frames=None, names=None):
        images, truth = super().load(number, frames, names)
        return images, self._poison(truth, frames[:1] if frames and self.photo else [])

    def truth(self, number, names):
        return self._poison(super().truth(number, names), [])


def terms_of(task, store, monkeypatch) -> dict[str, torch.Tensor]:
    """All losses of a stage on one batch of these clips."""
    if task.cache:  # labels of single frames, as if there were no cache
        monkeypatch.setattr(task.cache, "truth", Clip.moments)
    batch = task.batch(store, np.random.default_rng(0), True, 1)
    torch.manual_seed(0)
    return {f"{p}.{n}": v for p in optimizers_of(task) for n, v in task.losses(p, batch).items()}


@pytest.mark.parametrize(("preset", "cached"), [("compact", 0), ("compact", 2), ("paper", 0)])
@pytest.mark.parametrize("stage", UPDATED)
def test_no_loss_reads_a_true_factor_but_pose(talk, stage, preset, cached, monkeypatch):
    """With every other factor of the truth destroyed, all losses have the values that they have with it."""
    caches = (stage, preset) != ("1", "paper")  # which trains the encoder of the frames
    torch.manual_seed(0)
    task = build_task(config(talk, stage, preset, **({"data.cached_views": cached} if caches else {})))
    for module in task.modules.values():
        module.eval()
    store = Poisoned(talk)
    store.photo = stage in ("1", "3", "3b")
    clean, poisoned = terms_of(task, ClipStore(talk), monkeypatch), terms_of(task, store, monkeypatch)
    assert clean and clean.keys() == poisoned.keys() and clean.keys() >= {f"{next(iter(optimizers_of(task)))}.{n}"
                                                                          for n in task.config.losses
                                                                          if n != "discriminator"}  # fmt: skip
    for name, value in clean.items():
        assert torch.isfinite(value) and torch.equal(value, poisoned[name]), name


def test_the_poison_is_felt(talk, monkeypatch):
    """A stage that did read the target's coefficients or gaze would be caught."""
    store = Poisoned(talk)
    store.photo = True
    found = Clip(store, 0).moments([3, 5])
    assert np.isnan(found.coefficients[1]).all() and np.isnan(found.gaze[1]).all()
    assert np.isfinite(found.coefficients[0]).all() and np.isfinite(found.keypoints).all()
    assert all(np.isnan(v).all() for n, v in store.truth(0, ("pose", "openness", "gaze")).items())
    for name in ("coefficients", "gaze"):
        task = build_task(config(talk, "1"))
        honest = task.pairs

        def cheating(found, pictures, name=name, honest=honest):
            label = torch.from_numpy(np.stack([getattr(m, name)[1] for m in found])).float()
            return honest(found, pictures) | {f"{name}_s": label}

        monkeypatch.setattr(task, "pairs", cheating)
        assert any(torch.isnan(v) for v in terms_of(task, store, monkeypatch).values()), name


def test_equal_latents_leave_the_photo_alone(talk):
    task = build_task(config(talk, "3"))
    batch = task.batch(task.store, np.random.default_rng(0), False, 1)
    latent = torch.randn(2, task.latents.size)
    batch["keypoints_t"] = batch["keypoints_s"]
    drawn = task.draw(task.modules["painter"], latent, latent, batch)
    assert drawn.terms["keypoints"] < 1e-3
    assert drawn.picture.shape == batch["full_s"].shape


def test_painter_learns_keypoints_through_the_latents(talk):
    torch.manual_seed(0)
    task = build_task(config(talk, "1"))
    batch = task.batch(task.store, np.random.default_rng(1), False, 0)
    moved = [p for n in ("appearance", "motion", "painter0") for p in task.modules[n].parameters()]
    optimiser = torch.optim.Adam(moved, 3e-3)
    errors = []
    for _ in range(25):
        loss = task.losses("generator", batch)["keypoints"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        errors.append(float(loss))
    assert errors[-1] < 0.6 * errors[0]


def test_losses_without_their_prior_are_off_and_the_manifest_says_so(talk):
    chosen = config(talk, "3", **{"data.prior": "analyser", "data.motion_prior": "emoca"})
    task = build_task(chosen)
    assert "eq. 1 and 8 off, the prior is not available" in task.data_summary
    assert "perceptual loss on analyser" in task.data_summary
    batch = task.batch(task.store, np.random.default_rng(0), True, 1)
    for module in task.modules.values():
        module.eval()
    terms = task.losses("generator", batch)
    assert np.exp(-1) <= float(terms["consistency"]) <= np.e, "only the lips' part is left"


def test_the_window_shapes_what_is_averaged(talk):
    for window in (7, 13):
        task = build_task(config(talk, "3", **{"data.window": window}))
        batch = task.batch(task.store, np.random.default_rng(0), True, 0)
        assert len(batch["window"]) == window * task.config.batch_size
    with pytest.raises(Exception, match="have 16 frames, the window 25"):
        task = build_task(config(talk, "3", **{"data.window": 25}))
        task.batch(task.store, np.random.default_rng(0), True, 0)


def test_optimizers_name_only_modules_that_change(talk):
    for stage, updated in UPDATED.items():
        task = build_task(config(talk, stage))
        named = {m for names in optimizers_of(task).values() for m in names}
        assert named == updated - {"bank"}
    assert isinstance(task, stages.Expression)


@pytest.mark.parametrize("stage", UPDATED)
def test_each_preset_has_its_own_class_of_every_stage(stage):
    """No stage asks which preset it is: the config names the class."""
    for preset, base in (("compact", CompactStage), ("paper", PaperStage)):
        task = imported(load_stage(f"pd_fgc.{preset}", stage))
        assert issubclass(task, base) and task.__module__ in (stages.__name__, encoder_stages.__name__)
        other = PaperStage if base is CompactStage else CompactStage
        assert not issubclass(task, other)


@pytest.mark.parametrize("preset", ["compact", "paper"])
@pytest.mark.parametrize("stage", ["2a", "2b", "2c"])
def test_cached_features_are_those_of_the_frames(talk, stage, preset):
    """Without augmentation, losses are the same with and without a cache, and so are the names in batches."""
    terms, names = [], []
    for cached in (0, 2):
        torch.manual_seed(0)
        task = build_task(config(talk, stage, preset, **{"data.cached_views": cached}))
        for module in task.modules.values():
            module.eval()
        batch = task.batch(task.store, np.random.default_rng(3), False)
        training = task.batch(task.store, np.random.default_rng(3), True)
        pictures = any(v.ndim == 4 for k, v in training.items() if k != "mel")
        assert pictures == (cached == 0 and preset == "paper"), "features in their place"
        names.append(list(batch))
        with torch.no_grad():
            terms.append(task.losses("main", batch))
    assert names[0] == names[1]
    for name, value in terms[0].items():
        assert float(value) == pytest.approx(float(terms[1][name]), rel=2e-2, abs=1e-3), name


def test_each_kept_view_of_a_clip_is_its_own(talk):
    task = build_task(config(talk, "3", **{"data.cached_views": 2}))
    clip = Clip(task.store, 0)
    first, again, other, plain = (task.cache.clip(clip, v) for v in (1, 1, 2, 0))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other) and not torch.allclose(first, plain)
    few = [3, 7]
    assert np.array_equal(task.cache.truth(clip, few).keypoints, task.store.load(0, few)[1]["keypoints"][few])


def test_stages_share_the_cached_features_of_clips(talk, tmp_path, monkeypatch):
    """What one stage has read of a clip, the next reads from the folder, although its own encoders are others."""
    cached = {"data.cached_views": 2, "data.cache_folder": str(tmp_path / "features")}
    first = build_task(config(talk, "2a", **cached))
    clip = Clip(first.store, 0)
    known = [first.cache.clip(clip, version, first.views_name()) for version in (0, 1)]
    second = build_task(config(talk, "3", seed=5, **cached))
    monkeypatch.setattr(second.cache, "view", lambda *_: pytest.fail("read again"))
    assert all(torch.equal(f, second.cache.clip(clip, v, second.views_name())) for v, f in enumerate(known))


@pytest.mark.parametrize("stage", ["1", "2a", "2b", "2c", "3"])
def test_a_step_with_cached_features_decodes_no_frame(talk, stage, monkeypatch):
    """Batches without pictures, as most are."""
    task = build_task(config(talk, stage, **{"data.cached_views": 1}))
    for number in range(len(task.store)):
        task.cache.clip(Clip(task.store, number), 0)
        if stage == "2b":
            task.batch(task.store, np.random.default_rng(number), True)
    loaded, load = [], task.store.load
    monkeypatch.setattr(task.store, "load", lambda n, frames, names: loaded.extend(frames) or load(n, frames, names))
    task.batch(task.store, np.random.default_rng(0), True, 0)
    assert not loaded


def test_the_paper_preset_encodes_every_photo_again(talk):
    """Its generator starts from the map of E_app, which is too large to be cached. Frames are cached all the same."""
    task = build_task(config(talk, "3", "paper", **{"data.cached_views": 2}))
    for module in task.modules.values():
        module.eval()
    batch = task.batch(task.store, np.random.default_rng(0), True, 1)
    assert batch["photo"].ndim == 4 and batch["window"].ndim == batch["frame_s"].ndim == 2
    assert task.losses("generator", batch)["image"] > 0


def test_lids_and_lips_count_whatever_the_pose(talk, monkeypatch):
    """The error of shapes is zero where lids, irises, lips and brows are right, and does not see where the head is."""
    monkeypatch.setattr(frozen_generator, "SHARES", {})  # equal weights, so that one group shows among all
    task = build_task(config(talk, "1"))
    batch = task.batch(task.store, np.random.default_rng(2), False, 0)
    frozen, rows = task.frozen, len(batch["keypoints_s"])
    # An error of 1 mm counts as 1 in each group. Two short clips may move one of them by almost nothing, and the whole
    # error in units of their own spread is then that group's.
    frozen.spread.fill_(0.1)
    photo = frozen.photo(torch.zeros(rows, 3, 8, 8), batch["keypoints_s"], batch["coefficients_s"], batch["gaze_s"])
    rest = FaceState(batch["coefficients_s"], batch["gaze_s"], torch.zeros(rows, 3), torch.zeros(rows, 3))
    for name, group in (("jawOpen", "mouth"), ("mouthSmile_L", "corners"), ("eyeBlink_L", "lids_L")):
        raised = rest.coefficients.clone()
        raised[:, COEFFICIENT_INDEX[name]] += 0.5
        turned = torch.tensor([[20.0, 10.0, 5.0]]).expand(rows, -1)
        moved = frozen.move(photo, rest, replace(rest, coefficients=raised, turn=turned))
        true = targets(frozen.net.rig, photo, moved)
        still = frozen.move(photo, rest, replace(rest, turn=turned))
        unturned = frozen.move(photo, rest, replace(rest, coefficients=raised))
        wrong = frozen.group_errors(photo, still, true)[group]
        assert wrong > 0.3, name
        assert frozen.shape_error(photo, still, true) > 0.1, name
        for right in (moved, unturned):
            assert frozen.shape_error(photo, right, true) < 0.25 * frozen.shape_error(photo, still, true), name
            assert frozen.group_errors(photo, right, true)[group] < 0.25 * wrong, name


def test_an_iris_counts_beside_lids_and_lips():
    """Shares of the groups: an iris alone, wrong by its spread, is 2 of 16 with both irises, lids, mouth and brows."""
    names = ("lids_L", "iris_L", "lids_R", "iris_R", "mouth", "corners", "brows")
    groups = {name: torch.tensor(float(name == "iris_L")) for name in names}
    assert float(FrozenGenerator.shape_of(groups)) == pytest.approx(2 / 16)


class Painter(torch.nn.Module):
    """A head that knows which entries mean pose and eyes, and adds `leak` of expression's to both."""

    def __init__(self, sizes, leak: float):
        super().__init__()
        self.leak = torch.nn.Parameter(torch.tensor(leak))
        self.sizes = (sizes.appearance, sizes.lip, sizes.expression, sizes.eye, sizes.pose)

    def forward(self, latent):
        _, _, expression, eye, pose = latent.split(self.sizes, 1)
        leak = self.leak * expression[:, :1]
        lids = place(SHAPE * (eye[:, :2] + leak), BLINK_COEFFICIENTS)
        gaze = GAZE * (eye[:, 2:4] + leak)
        return FaceState(lids, gaze[:, None].expand(-1, 2, -1), TURN * (pose[:, :3] + leak), PLACE * pose[:, 3:])


def test_swap_consistency_measures_what_other_latents_do_to_pose_and_eyes(talk):
    task = build_task(config(talk, "3"))
    size = task.latents
    sizes = (size.appearance, size.lip, size.expression, size.eye, size.pose)
    codes = [torch.randn(2, n) for n in sizes]
    task.modules["painter"] = Painter(size, 0.0)
    here = task.modules["painter"](size.join(*codes))
    assert task.swap_consistency(here, *codes).item() == pytest.approx(0, abs=1e-5), "each from its own latent"
    task.modules["painter"] = Painter(size, 0.5)
    loss = task.swap_consistency(task.modules["painter"](size.join(*codes)), *codes)
    # Two rows that exchange theirs: turn, gaze and lids each differ by half the difference of the two expressions.
    assert loss.item() == pytest.approx(3 * 0.5 * float((codes[2][0, 0] - codes[2][1, 0]).abs()), rel=1e-4)
    loss.backward()
    assert task.modules["painter"].leak.grad.abs() > 0


def test_coefficient_l2_is_the_mean_square_of_the_change_of_coefficients(talk):
    """Several changes explain the same keypoints: without this, changes were many times a coefficient's range."""
    task = build_task(config(talk, "3"))
    painter, size = Painter(task.latents, 0.0), task.latents
    batch = task.batch(task.store, np.random.default_rng(0), False, 0)
    own, latent = torch.zeros(2, size.size), torch.zeros(2, size.size)
    assert task.draw(painter, own, latent, batch).terms["coefficient_l2"].item() == 0
    latent[:, -12:-10] = 0.5  # lids, the first two of the eye's entries
    drawn = task.decode(painter, Codes(photo=own, target=latent, start=None), batch)
    l2 = drawn.terms["coefficient_l2"]
    assert l2.item() == pytest.approx(2 * (0.5 * SHAPE) ** 2 / len(COEFFICIENTS), rel=1e-4)
    assert task.picture_losses(drawn, batch)["coefficient_l2"] == l2


def test_lengths_of_gaze_and_lids_count(talk, monkeypatch):
    """Latents that point the same way but are of other lengths are told apart; the cosine alone would not."""
    task = build_task(config(talk, "2b"))
    short, long = torch.full((3, 6), 0.2), torch.full((3, 6), 2.0)
    views = dict.fromkeys(VIEWS, long) | {"first": short, "anchor": short}
    monkeypatch.setattr(task, "eye_latents", lambda batch: views)
    terms = task.losses("main", {})
    assert float(terms["eye"]) == pytest.approx(np.log(2), abs=1e-4)
    assert float(terms["gaze"]) < 0.5
    monkeypatch.setattr(task, "eye_latents", lambda batch: views | {"mirrored": short})
    assert float(task.losses("main", {})["lids"]) < 0.3
    monkeypatch.setattr(task, "eye_latents", lambda batch: dict.fromkeys(VIEWS, short))
    assert float(task.losses("main", {})["gaze"]) == pytest.approx(np.log(6), abs=1e-4), "one of six that look alike"


@torch.no_grad()
def test_exported_latents_have_a_zero_that_means_rest(talk):
    """The networks make the same of a face as in training, but zero is silence and the mean of clips."""
    torch.manual_seed(0)
    task = build_task(config(talk, "3", **{"data.cached_views": 1}))
    for module in task.modules.values():
        module.eval()
    nets = task.export()
    faces, voice = FaceMotion(**_arguments(nets, "motion")), AudioLip(**_arguments(nets, "audio"))
    head = MotionHead(**_arguments(nets, "head"))
    for net, name in ((faces, "motion"), (voice, "audio"), (head, "head")):
        net.load_state_dict(nets[f"pd_fgc_{name}"][0])
        net.eval()
    features = task.encoded(torch.cat([task.cache.clip(Clip(task.store, n), 0) for n in range(len(task.store))]))
    assert faces.eye(features).mean(0).abs().max() < 1e-4 and faces.expression(features).mean(0).abs().max() < 1e-4
    silence = torch.from_numpy(mel_windows(mel_spectrogram(np.zeros(16000, np.float32)), 25)[12:13])
    assert voice(silence)[1].abs().max() < 1e-4
    x, vector = features, torch.randn(len(features), task.latents.appearance)
    states = [
        painter(task.latents.join(vector, v.embed(f.lip_feature(x)), f.expression(x), f.eye(x), f.pose(x)))
        for painter, v, f in ((head, voice, faces), (task.modules["painter"], task.voice, task.faces))
    ]
    torch.testing.assert_close(states[0].coefficients, states[1].coefficients, atol=1e-4, rtol=1e-3)
    assert task.faces.eye(features).mean(0).abs().max() > 1e-3, "those in training are not moved"


def _arguments(nets, name: str) -> dict:
    return {k: v for k, v in nets[f"pd_fgc_{name}"][1].items() if k != "class"}
