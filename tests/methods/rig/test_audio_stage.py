"""The stage that trains the lip encoder."""

import numpy as np
import pytest
import torch

from tests.hidden import recorded_voices
from thgen.errors import AssetError
from thgen.methods.rig import audio_stage
from thgen.methods.rig.audio_stage import AudioStage
from thgen.schema import LIP_COEFFICIENTS
from thgen.synth.voice.recorded import recorded_clip
from thgen.training.config import load_stage
from thgen.training.loop import RunOptions, train
from thgen.training.task import build_task

pytest.importorskip("espeakng_loader")
SMALL = {
    "batch_size": 3,
    "data.voices": "espeak",
    "data.pool": 4,
    "data.fresh": 1,
    "data.seconds": 2.0,
    "data.frames": 40,
    "model.fine": 16,
    "model.coarse": 24,
}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def stage() -> AudioStage:
    torch.manual_seed(0)
    return AudioStage(load_stage("rig", "audio", overrides=SMALL))


def tensors(batch: dict) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(value) for name, value in batch.items()}


def test_batches_depend_on_their_number_alone(stage):
    first = stage.batches("train", 0, 0, 1)
    wanted = [next(first) for _ in range(3)][2]
    resumed = AudioStage(stage.config).batches("train", 0, 0, 1)
    resumed.skip(2)
    found = next(resumed)
    assert found["mel"].shape == (3, 80, 160) and found["lips"].shape == (3, 40, 21)
    for name in wanted:
        np.testing.assert_array_equal(wanted[name], found[name])
    other = next(AudioStage(stage.config).batches("train", 0, 1, 2))
    assert not np.array_equal(other["lips"], next(AudioStage(stage.config).batches("train", 0, 0, 2))["lips"])


def test_sound_and_lips_of_a_clip_start_together():
    """Mouth opening must follow the loudness of the same frame better than that of frames beside it."""
    best = []
    for k in range(6):
        _, mel, lips = recorded_clip((9, k), 4.0, "train", clean=True)
        loud = mel.mean(0).reshape(-1, 4).mean(1)
        jaw = lips[:, LIP_COEFFICIENTS.index("jawOpen")]
        shifts = range(-5, 6)
        best.append(max(shifts, key=lambda s, a=loud, b=jaw: np.corrcoef(np.roll(a, s)[5:-5], b[5:-5])[0, 1]))
    assert abs(np.mean(best)) <= 1.5


def test_loss_is_nothing_at_the_truth_and_closures_count_more(stage):
    batch = tensors(next(stage.batches("train", 0, 0, 1)))
    stage.modules["audio"] = _Returns(batch["lips"])
    terms = stage.losses("main", batch)
    assert terms["lip"] == terms["opening"] == terms["velocity"] == 0 and terms["silence"] < 0.05
    shut = batch["lips"][..., LIP_COEFFICIENTS.index("mouthPress_L")] > 0.2
    assert shut.any()
    costs = []
    for frames in (shut, (batch["lips"].sum(-1) > 0.1) & (batch["lips"][..., 9] < 0.01)):
        wrong = batch["lips"].clone()
        wrong[..., LIP_COEFFICIENTS.index("jawOpen")] += 0.1 * frames
        stage.modules["audio"] = _Returns(wrong)
        costs.append(float(stage.losses("main", batch)["opening"]) / int(frames.sum()))
    assert costs[0] > 2 * costs[1]


def test_a_few_steps_learn_one_batch(stage):
    batch = tensors(next(stage.batches("train", 0, 0, 1)))
    optimiser = torch.optim.AdamW(stage.net.parameters(), 3e-3)
    totals = []
    for _ in range(16):
        total = sum(stage.losses("main", batch).values())
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        totals.append(float(total.detach()))
    assert totals[-1] < 0.5 * totals[0]


def test_the_stage_trains_and_validates_without_recorded_voices(tmp_path):
    """As `make smoke` runs it on a machine with the wheel alone."""
    few = {"model.fine": 16, "model.coarse": 24, "validate_every": 0}  # the end validates
    config = load_stage("rig", "audio", overrides=few, smoke=True)
    with recorded_voices(False):
        outcome = train(config, RunOptions(tmp_path / "runs", tmp_path / "weights", export=False, cpu=True))
    assert {name.partition(".")[0] for name in outcome.scores} == {"new_voices", "new_languages"}
    assert all(np.isfinite(value) for name, value in outcome.scores.items() if name.endswith("opening_error"))


def test_missing_voices_are_told_before_the_stage_is_built():
    config = load_stage("rig", "audio")
    assert config.data["voices"] == "all", "what the bundled weights heard"
    with recorded_voices(False), pytest.raises(AssetError, match=r"apt install.*--set data\.voices=espeak"):
        build_task(config)


@pytest.mark.parametrize(("voices", "splits"), [("espeak", 2), ("all", 3)])
def test_validation_and_manifest_name_the_voices_of_the_set(voices, splits, monkeypatch):
    asked = []

    def clip(seed, seconds, split, clean=False, voices="espeak"):
        asked.append((split, voices))
        lips = np.random.default_rng(seed).random((50, 21), np.float32)
        return np.zeros(640 * 50, np.float32), np.zeros((80, 200), np.float32), lips

    monkeypatch.setattr(audio_stage, "recorded_clip", clip)
    with recorded_voices(True):
        stage = build_task(load_stage("rig", "audio", overrides=SMALL | {"data.voices": voices}))
    stage.validate()
    assert list(dict.fromkeys(asked)) == [(s, voices) for s in ("new_voices", "new_languages", "new_recorded")[:splits]]
    next(stage.batches("train", 0, 0, 1))
    assert asked[-1] == ("train", voices)
    told = "the recorded voices awb, kal16, rms, ked_diphone" if voices == "all" else "no recorded voices"
    assert told in stage.data_summary


def test_export_builds_the_network_again(stage):
    from thgen.methods.rig.audio_network import AudioToLip

    ((name, (state, config)),) = stage.export().items()
    AudioToLip(**config).load_state_dict(state)
    assert name == "audio"


class _Returns(torch.nn.Module):
    def __init__(self, answer: torch.Tensor):
        super().__init__()
        self.answer = answer

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        return self.answer
