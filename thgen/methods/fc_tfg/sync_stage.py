"""The stage "sync" of FC-TFG: an expert that tells whether lips and voice belong together, for eq. 4 (deviation 9)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from thgen.encoder.frozen import load_encoder, read_frames, trained_on
from thgen.encoder.inputs import code_columns
from thgen.losses.contrastive import cosine, info_nce_among
from thgen.methods.fc_tfg.frozen_judges import MIDDLE
from thgen.methods.fc_tfg.stage_settings import SyncData
from thgen.methods.fc_tfg.stages import FcTfgStage
from thgen.methods.fc_tfg.sync import SYNC, lip_views
from thgen.nn.wav2lip import FRAMES, SyncExpert
from thgen.training.data.batches import StepBatches
from thgen.training.data.feature_cache import FeatureCache
from thgen.training.data.samples import Clip, Moments, spaced_frames, tensor
from thgen.training.data.store import ClipStore
from thgen.training.task import Batch
from thgen.weights.manifest import HIGHER, LOWER


class Guide(nn.Module):
    """Features of lips and of voices -> what the face encoder says of the mouth.

    features, codes: numbers of the expert's feature and of the encoder's code.
    """

    def __init__(self, features: int, codes: int) -> None:
        super().__init__()
        self.scaled = nn.BatchNorm1d(codes, affine=False)
        self.video, self.audio = nn.Linear(features, codes), nn.Linear(features, codes)

    def forward(self, video: Tensor, audio: Tensor, code: Tensor) -> Tensor:
        """Mean distance [] of both from the code, as 1 - cosine. [N features], [N features], [N codes]."""
        with torch.autocast(code.device.type, enabled=False):
            true = self.scaled(code.float())
            made = torch.stack([self.video(video.float()), self.audio(audio.float())])
            return 1 - cosine(made, true).mean()


class Sync(FcTfgStage):
    """The expert learns which of a clip's windows of lips belongs to which of its voice.

    Losses: a2v, v2a (InfoNCE), and guide: from random weights InfoNCE stays at chance for long, so both branches first
    learn the face encoder's code of the mouth, on windows of many clips (`data.warmup` steps).
    """

    updates = trains = ("sync",)
    names: ClassVar[Mapping[str, str]] = {"sync": SYNC}
    better: ClassVar[Mapping[str, str]] = {"accuracy": HIGHER, "a2v": LOWER}
    data_type = SyncData
    data: SyncData

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.optimizers = {"generator": list(self.modules)}
        self._all_lips = lru_cache(maxsize=self.data.lips_kept)(self._lips_of_clip)

    def build(self) -> dict[str, nn.Module]:
        self.expert = SyncExpert(**self.config.model.get("sync", {}))
        self.guided = "guide" in self.config.losses
        if not self.guided:
            return {"sync": self.expert}
        self.encoder = load_encoder(self.data.head, self.config.weights)
        self.mouth = code_columns(self.encoder, "mouth")
        self.guide = Guide(self.expert.features, self.mouth.stop - self.mouth.start)
        return {"sync": self.expert, "guide": self.guide}

    def build_helpers(self) -> dict[str, nn.Module]:
        if not self.guided:
            return {}
        self.summary.append("guide: " + trained_on(self.data.head, self.config.weights))
        return {"face_encoder": self.encoder}

    # ---- batches
    def batches(self, split: str, seed: int, rank: int, world: int) -> Iterator[Batch]:
        train = split == "train"
        store = self.store if train else self.val_store

        def make(number: int) -> Batch:
            rng = np.random.default_rng((seed, rank, number))
            if train and number < self.data.warmup:
                return self.rows(store, rng, train, self.config.batch_size * self.data.moments, 1)
            return self.batch(store, rng, train)

        return StepBatches(make, self.config.workers)

    def batch(self, store: ClipStore, rng: np.random.Generator, train: bool, pictures: int = 0) -> Batch:
        """`rows` of batch_size clips with `data.moments` moments each."""
        return self.rows(store, rng, train, self.config.batch_size, self.data.moments)

    def rows(self, store: ClipStore, rng: np.random.Generator, train: bool, clips: int, moments: int) -> Batch:
        """Of M moments of each of B random clips: "lips" [B M 15 48 96] and "mel" [B M 1 80 16]; with the loss guide
        "code" [B M D], the face encoder's of the mouth in the middle of the window."""
        rows: dict[str, list[Tensor]] = {name: [] for name in ("lips", "mel", *(["code"] if self.guided else []))}
        for _ in range(clips):
            clip = Clip(store, store.draw(rng))
            starts = spaced_frames(rng, len(clip) - FRAMES + 1, moments, self.data.min_gap)
            middles = [start + MIDDLE for start in starts]
            shown = sorted({start + k for start in starts for k in range(FRAMES)})
            views = dict(zip(shown, self.lips(clip, shown), strict=True))
            rows["lips"].append(torch.stack([torch.cat([views[start + k] for k in range(FRAMES)]) for start in starts]))
            version = int(rng.integers(self.data.versions)) if train else 0
            rows["mel"].append(torch.from_numpy(self.voices.windows(clip, middles, version)))
            if self.guided:
                rows["code"].append(self.features(clip, middles, rng, train=False)[:, self.mouth])
        return {name: torch.stack(values) for name, values in rows.items()}

    def lips(self, clip: Clip, frames: list[int]) -> Tensor:
        """What the expert sees of frames, [n 3 48 96]; from memory, and rounded to 8 bits, with `data.lips_kept`."""
        if not self.data.lips_kept:
            return lip_views(tensor(clip.moments(frames).images))
        return self._all_lips(clip.store, clip.number)[frames].float() / 255

    @staticmethod
    def _lips_of_clip(store: ClipStore, number: int) -> Tensor:
        clip = Clip(store, number)
        return (lip_views(tensor(clip.moments(list(range(len(clip)))).images)) * 255).round().byte()

    # ---- the face encoder's features, as compact stages have them
    def frame_views(self, rng: np.random.Generator, moments: Moments, augmented: bool) -> Tensor:
        return read_frames(self.encoder, moments.images, moments.keypoints)

    def new_cache(self) -> FeatureCache:
        return FeatureCache(
            lambda features: features, self.frame_views, self.cache_folder(), (self.encoder,) if self.guided else ()
        )

    # ---- losses
    def both(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Features of lips and of voices, each [B M D]."""
        moments = batch["lips"].shape[:2]
        video = self.expert.video(batch["lips"].flatten(0, 1)).float().unflatten(0, moments)
        return video, self.expert.audio(batch["mel"].flatten(0, 1)).float().unflatten(0, moments)

    @staticmethod
    def likeness(video: Tensor, audio: Tensor) -> Tensor:
        """Cosines of each voice with each window of lips of its clip, [B M M], of both features [B M D]."""
        return cosine(audio[:, :, None], video[:, None])

    def losses(self, optimizer: str, batch: Batch) -> dict[str, Tensor]:
        video, audio = self.both(batch)
        near, temperature = self.likeness(video, audio), self.data.temperature
        if near.shape[1] > 1:
            terms = {"a2v": info_nce_among(near, temperature), "v2a": info_nce_among(near.mT, temperature)}
        else:  # the warm-up has one window of each clip, and nothing to contrast it with
            terms = {name: near.new_zeros(()) for name in ("a2v", "v2a")}
        if self.guided:
            terms["guide"] = self.guide(video.flatten(0, 1), audio.flatten(0, 1), batch["code"].flatten(0, 1))
        return terms

    def scores(self, batch: Batch) -> dict[str, float]:
        """a2v, and accuracy: % of voices that are nearer to their own lips than to those of the other moments."""
        near = self.likeness(*self.both(batch))
        right = near.argmax(2) == torch.arange(near.shape[1], device=near.device)
        return {
            "accuracy": 100 * float(right.float().mean()),
            "a2v": float(info_nce_among(near, self.data.temperature)),
        }
