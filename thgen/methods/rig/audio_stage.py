"""Stage `audio` of Rig: AudioToLip is trained on synthetic speech, for which the lips are known."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from thgen.audio import log_mel as audio
from thgen.evaluation.metrics.lips import BETTER, lip_scores
from thgen.methods.rig.audio_network import AudioToLip
from thgen.schema import LIP_COEFFICIENTS, stem_of
from thgen.synth.voice import speech
from thgen.synth.voice.recorded import recorded_clip
from thgen.synth.voice.sets import VOICE_SETS
from thgen.synth.voice.visemes import OPENING_WEIGHTS
from thgen.training.config import StageConfig
from thgen.training.data.batches import StepBatches
from thgen.training.settings import Count, Positive, Real, Settings, arguments_of, one_of
from thgen.training.task import Batch, Task

# Unit of each coefficient's error: its standard deviation in speech, so that a small coefficient that closes the lips
# weighs as much as a large one. Coefficients that speech does not move have the unit 0.1.
_SPREAD = {
    "jawForward": 0.03, "jawOpen": 0.09, "mouthClose": 0.02, "mouthFunnel": 0.05, "mouthLowerDown": 0.05,
    "mouthPress": 0.08, "mouthPucker": 0.16, "mouthRollLower": 0.09, "mouthRollUpper": 0.03, "mouthShrugLower": 0.03,
    "mouthStretch": 0.045, "mouthUpperUp": 0.04,
}  # fmt: skip
_OPENING_SPREAD = 3.0  # % of the outer-canthal distance: unit of errors of the gap between the lips


def _spread() -> Tensor:
    """Units of the errors of all lip coefficients, [21]."""
    return torch.tensor([_SPREAD.get(stem_of(n), 0.1) for n in LIP_COEFFICIENTS])


class AudioData(Settings):
    """data: of the stage `audio`. A batch has crops from the last `pool` clips, of which `fresh` are new."""

    voices: Annotated[str, one_of(*VOICE_SETS)] = "espeak"
    pool: Positive = 1000
    fresh: Count = 4
    seconds: Real = 8.0  # length of a clip
    frames: Positive = 100  # length of a crop


class _Clips:
    """Crops of synthetic clips. Batch n draws from the last `pool` clips, and `fresh` of them are new in each batch.

    Clips and batches depend on their numbers alone. Clips that may be drawn again stay in memory.
    """

    def __init__(self, data: AudioData, size: int, seed: int, rank: int) -> None:
        self.size, self.seed, self.rank = size, seed, rank
        self.pool, self.fresh, self.frames = data.pool, data.fresh, data.frames
        self.seconds, self.voices = data.seconds, data.voices
        self.clip = functools.lru_cache(maxsize=self.pool + self.fresh)(self._clip)

    def _clip(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        _, mel, lips = recorded_clip((self.seed, self.rank, number), self.seconds, "train", voices=self.voices)
        return mel.astype(np.float16), lips

    def batch(self, number: int) -> Batch:
        """mel [B 80 4T], lips [B T 21]."""
        rng = np.random.default_rng((self.seed, self.rank, number, 1))
        newest = (number + 1) * self.fresh + self.size
        for new in range(newest - self.fresh, newest):
            self.clip(new)
        chosen = rng.integers(max(0, newest - self.pool), newest, self.size)
        pairs = [self._crop(*self.clip(int(k)), rng) for k in chosen]
        return {"mel": np.stack([p[0] for p in pairs]), "lips": np.stack([p[1] for p in pairs])}

    def _crop(self, mel: np.ndarray, lips: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        start = int(rng.integers(0, max(1, len(lips) - self.frames + 1)))
        stop = start + self.frames
        columns = mel[:, 4 * start : 4 * stop].astype(np.float32) + np.float32(rng.normal(0, 0.08))
        if rng.random() < 0.3:  # without a random band, so that the result depends on no single one
            low = int(rng.integers(0, audio.MEL_BINS - 12))
            columns[low : low + int(rng.integers(3, 13))] = -1.0
        return columns.clip(-1.0, 1.5), lips[start:stop]


class AudioStage(Task):
    """Losses: lip (all coefficients), opening (the gap between the lips), velocity, silence. Closed lips weigh more."""

    exports = ("audio",)
    data_type, model_type = AudioData, arguments_of(AudioToLip)
    better: ClassVar = {f"*.{name}": way for name, way in BETTER.items()}
    data: AudioData

    @classmethod
    def check(cls, config: StageConfig) -> None:
        """Raises AssetError, which names all voices of the set that this machine lacks."""
        speech.require(cls.data_of(config).voices)

    def __init__(self, config: StageConfig) -> None:
        self.config, self.data = config, self.data_of(config)
        self.voices = self.data.voices
        languages, variants, _, _ = speech.SPLITS["train"]
        names = ", ".join(speech.recorded_voices("train", self.voices))
        recorded = f"the recorded voices {names} of flite and festival" if names else "no recorded voices"
        self.data_summary = (
            f"speech synthesised during training: espeak-ng in {len(set(languages.values()))} languages with "
            f"{len(variants)} voice variants, {recorded}; texts written for thgen; lips by thgen.synth.voice.visemes; "
            "rooms, microphones, codecs, music, noise"
        )
        self.model_config: dict[str, Any] = dict(config.model)
        self.net = AudioToLip(**self.model_config)
        self.modules: dict[str, nn.Module] = {"audio": self.net}

    def batches(self, split: str, seed: int, rank: int, world: int) -> Iterator[Batch]:
        """mel [B 80 4T], lips [B T 21]; a function of the arguments and the batch's number alone."""
        clips = _Clips(self.data, self.config.batch_size, seed if split == "train" else seed + 1_000_003, rank)
        return StepBatches(clips.batch, self.config.workers)

    def losses(self, optimizer: str, batch: Batch) -> dict[str, Tensor]:
        lips = batch["lips"]
        guess = self.modules["audio"](batch["mel"])
        spread = _spread().to(lips)
        weights = torch.from_numpy(OPENING_WEIGHTS).to(lips)
        error = (guess - lips) / spread
        gap, true_gap = guess @ weights / _OPENING_SPREAD, lips @ weights / _OPENING_SPREAD
        spoken = (lips.abs().sum(-1) > 0.02).to(lips)
        # Closed lips weigh up to 3.25 times as much, because they are rare and conspicuous. At 6 times, lips close
        # wherever a closure is possible.
        shut = (lips[..., LIP_COEFFICIENTS.index("mouthPress_L")] / 0.25).clamp(0, 1)
        tucked = (lips[..., LIP_COEFFICIENTS.index("mouthRollLower")] / 0.36).clamp(0, 1)
        importance = 1 + 1.5 * shut + 0.75 * tucked
        quiet = 1 - spoken
        return {
            "lip": (importance[..., None] * (error.abs() + 0.5 * error.square().clamp(max=9))).mean(),
            "opening": (importance * (gap - true_gap).abs()).mean(),
            "velocity": (error[:, 1:] - error[:, :-1]).abs().mean(),
            "silence": ((guess / spread).abs().mean(-1) * quiet).sum() / quiet.sum().clamp(min=1),
        }

    def validate(self) -> dict[str, float]:
        """lip_scores on voices, languages and recordings that are not in the training, with and without augmentation.

        Only the voices "all" have recordings."""
        scores: dict[str, float] = {}
        for split in speech.held_out_splits(self.voices):
            guesses, truths = [], []
            for k in range(8):
                _, mel, lips = recorded_clip((20_011, k), 6.0, split, clean=k % 2 == 0, voices=self.voices)
                with torch.no_grad():
                    guess = self.modules["audio"](torch.from_numpy(mel)[None].to(self.device))[0]
                guesses.append(guess.float().cpu().clamp(0, 1).numpy())
                truths.append(lips)
            measured = lip_scores(np.concatenate(guesses), np.concatenate(truths))
            for name in ("opening", "closed_recall", "closed_false", "opening_error", "mouthPucker"):
                scores[f"{split}.{name}"] = measured[name]
        return scores

    def networks(self) -> dict[str, tuple[dict[str, Tensor], dict[str, Any]]]:
        return {"audio": (self.modules["audio"].state_dict(), self.model_config)}
