"""The stage "sync" of FC-TFG: an expert that tells whether lips and voice belong together, for eq. 4 (deviation 9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from thgen.losses.contrastive import cosine, info_nce_among
from thgen.methods.fc_tfg.frozen_judges import MIDDLE
from thgen.methods.fc_tfg.stage_settings import SyncData
from thgen.methods.fc_tfg.stages import FcTfgStage
from thgen.methods.fc_tfg.sync import SYNC, lip_views
from thgen.nn.wav2lip import FRAMES, SyncExpert
from thgen.training.data.samples import Clip, spaced_frames, tensor
from thgen.training.data.store import ClipStore
from thgen.training.task import Batch
from thgen.weights.manifest import HIGHER, LOWER


class Sync(FcTfgStage):
    """The expert learns which of a clip's windows of lips belongs to which of its voice. Losses: a2v, v2a (InfoNCE)."""

    updates = trains = ("sync",)
    names: ClassVar[Mapping[str, str]] = {"sync": SYNC}
    better: ClassVar[Mapping[str, str]] = {"accuracy": HIGHER, "a2v": LOWER}
    data_type = SyncData
    data: SyncData

    def build(self) -> dict[str, nn.Module]:
        self.expert = SyncExpert(**self.config.model.get("sync", {}))
        return {"sync": self.expert}

    def batch(self, store: ClipStore, rng: np.random.Generator, train: bool, pictures: int = 0) -> Batch:
        """Of M moments of each of B random clips: "lips" [B M 15 48 96] and "mel" [B M 1 80 16]."""
        lips, mels = [], []
        for _ in range(self.config.batch_size):
            clip = Clip(store, store.draw(rng))
            starts = spaced_frames(rng, len(clip) - FRAMES + 1, self.data.moments, self.data.min_gap)
            shown = sorted({start + k for start in starts for k in range(FRAMES)})
            views = dict(zip(shown, lip_views(tensor(clip.moments(shown).images)), strict=True))
            lips.append(torch.stack([torch.cat([views[start + k] for k in range(FRAMES)]) for start in starts]))
            version = int(rng.integers(self.data.versions)) if train else 0
            mels.append(self.voices.windows(clip, [start + MIDDLE for start in starts], version))
        return {"lips": torch.stack(lips), "mel": torch.from_numpy(np.stack(mels))}

    def likeness(self, batch: Batch) -> Tensor:
        """Cosines of each voice with each window of lips of its clip, [B M M]."""
        moments = batch["lips"].shape[:2]
        video = self.expert.video(batch["lips"].flatten(0, 1)).float().unflatten(0, moments)
        audio = self.expert.audio(batch["mel"].flatten(0, 1)).float().unflatten(0, moments)
        return cosine(audio[:, :, None], video[:, None])

    def losses(self, optimizer: str, batch: Batch) -> dict[str, Tensor]:
        near, temperature = self.likeness(batch), self.data.temperature
        return {"a2v": info_nce_among(near, temperature), "v2a": info_nce_among(near.mT, temperature)}

    def scores(self, batch: Batch) -> dict[str, float]:
        """a2v, and accuracy: % of voices that are nearer to their own lips than to those of the other moments."""
        near = self.likeness(batch)
        right = near.argmax(2) == torch.arange(near.shape[1], device=near.device)
        return {
            "accuracy": 100 * float(right.float().mean()),
            "a2v": float(info_nce_among(near, self.data.temperature)),
        }
