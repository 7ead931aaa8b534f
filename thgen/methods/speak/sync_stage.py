"""The stage "sync" of SPEAK: the "modified version of SyncNet" of section 3.3, trained with eq. 11 (deviation 16)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from thgen.methods.fc_tfg import sync_stage
from thgen.methods.speak import equations as eq
from thgen.methods.speak.stage_settings import PaperModel, SyncData
from thgen.training.task import Batch
from thgen.weights.manifest import HIGHER, LOWER

SYNC = "speak_paper_sync"  # weights name; a network of losses alone, so no measure of sync may use it


class Sync(sync_stage.Sync):
    """The expert of FC-TFG, its batches and its weights, with the contrastive loss of this paper. Losses: sync."""

    names: ClassVar[Mapping[str, str]] = {"sync": SYNC}
    better: ClassVar[Mapping[str, str]] = {"accuracy": HIGHER, "sync": LOWER}
    model_type = PaperModel
    data_type = SyncData  # type: ignore[assignment]
    data: SyncData  # type: ignore[assignment]

    def apart(self, batch: Batch) -> Tensor:
        """Eq. 12 of each voice and each window of lips of its clip, [B M M], voices in rows."""
        video, audio = self.both(batch)
        return eq.distance(audio[:, :, None], video[:, None])

    def contrast(self, apart: Tensor) -> Tensor:
        """Eq. 11: each voice with its own lips (y = 1), and with those of the next moment (y = 0)."""
        own = apart.diagonal(dim1=1, dim2=2).flatten()
        other = apart.roll(-1, 2).diagonal(dim1=1, dim2=2).flatten()
        same = torch.cat([torch.ones_like(own), torch.zeros_like(other)])
        return eq.synchronisation(torch.cat([own, other]), same, self.data.margin)

    def losses(self, optimizer: str, batch: Batch) -> dict[str, Tensor]:
        return {"sync": self.contrast(self.apart(batch))}

    def scores(self, batch: Batch) -> dict[str, float]:
        """sync, and accuracy: % of voices that are nearer to their own lips than to those of the other moments."""
        apart = self.apart(batch)
        right = apart.argmin(2) == torch.arange(apart.shape[1], device=apart.device)
        return {"accuracy": 100 * float(right.float().mean()), "sync": float(self.contrast(apart))}
