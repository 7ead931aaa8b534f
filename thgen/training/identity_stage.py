"""Stage `identity`: a stand-in for ArcFace, which no loss may use commercially, trained on rendered identities.

It is a network of losses alone (`training.priors`). Who somebody is, is no factor of a method, so the labels of the
renders may be used. Whatever measures how well a person is kept must use another network.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thgen.losses.contrastive import angular_margin
from thgen.nn.ir_se import FACE_SIDE, ArcFace
from thgen.training.clip_task import ClipData
from thgen.training.config import StageConfig
from thgen.training.data.batches import StepBatches
from thgen.training.data.damage import damaged_clip
from thgen.training.data.samples import tensor
from thgen.training.data.store import ClipStore
from thgen.training.head_task import HeadTask
from thgen.training.settings import Positive, Real, Share, arguments_of
from thgen.training.task import Batch
from thgen.weights.manifest import HIGHER, LOWER

SPREAD = 0.05  # standard deviation of the directions of new classes, before they have length 1


class IdentityData(ClipData):
    """data: of the stage `identity`."""

    share: Share = 0.75  # of a frame's side, around its centre, that the network sees, as in its losses
    margin: Real = 0.3  # radians (ArcFace, eq. 3)
    scale: Real = 24.0  # of cosines before the softmax
    validated: Positive = 300  # clips of a validation


class Classes(nn.Module):
    """One direction per identity, weight [count features]."""

    def __init__(self, count: int, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(count, features) * SPREAD)

    def forward(self, embedding: Tensor) -> Tensor:
        """Embeddings [B D] of length 1 -> their cosines with all classes, [B count]."""
        return embedding @ F.normalize(self.weight, dim=1).T


class IdentityStage(HeadTask):
    """Each batch has one frame of each of batch_size clips, damaged or mirrored at random: "face" [B 3 112 112] and
    "person" [B], its class. Several clips of a person are needed (render --clips-per-identity 2), else the network
    learns cameras and lights. Loss: identity, ArcFace's softmax with an angular margin."""

    exports = ("identity",)
    data_type = IdentityData
    model_type = arguments_of(ArcFace)
    better: ClassVar = {"cosine_other": LOWER, "*": HIGHER}
    data: IdentityData

    def __init__(self, config: StageConfig) -> None:
        super().__init__(config)
        self.people = sorted({clip.identity for clip in self.store.clips})
        self.net = ArcFace(**config.model)
        self.classes = Classes(len(self.people), int(self.net.config["features"]))  # type: ignore[call-overload]
        self.modules = {"identity": self.net, "classes": self.classes}

    # ---- batches
    def batches(self, split: str, seed: int, rank: int, world: int) -> Iterator[Batch]:
        store = self.store if split == "train" else self.val_store
        of = {person: number for number, person in enumerate(self.people)}

        def make(number: int) -> Batch:
            rng = np.random.default_rng((seed, rank, number))
            clips = [store.draw(rng) for _ in range(self.config.batch_size)]
            faces = [self.face(store, clip, rng, split == "train") for clip in clips]
            people = [of.get(store.clips[clip].identity, -1) for clip in clips]
            return {"face": tensor(faces), "person": torch.tensor(people)}

        return StepBatches(make, self.config.workers)

    def face(self, store: ClipStore, clip: int, rng: np.random.Generator, train: bool) -> np.ndarray:
        """The middle of a random frame of a clip, uint8 [112 112 3]."""
        frame = int(rng.integers(len(store.clips[clip].frames)))
        image = store.load(clip, [frame], ())[0]
        if train and rng.random() < 0.5:
            image = np.stack(damaged_clip(image, rng))
        side = image.shape[1]
        edge = round(side * (1 - self.data.share) / 2)
        middle = image[0, edge : side - edge, edge : side - edge]
        face = np.asarray(cv2.resize(middle, (FACE_SIDE, FACE_SIDE), interpolation=cv2.INTER_AREA))
        return face[:, ::-1] if train and rng.random() < 0.5 else face

    # ---- losses and scores
    def losses(self, optimizer: str, batch: Batch) -> dict[str, Tensor]:
        with torch.autocast(self.device.type, enabled=False):
            near = self.classes(self.net(batch["face"]).float())
            return {"identity": angular_margin(near, batch["person"], self.data.margin, self.data.scale)}

    def validate(self) -> dict[str, float]:
        """Scores of pairs of frames of different held-out clips. Empty where no person has two clips.

        Mean cosine of the same and of other people, and how often, in %, a pair of one person is nearer than a pair of
        two.
        """
        rng = np.random.default_rng(0)
        clips = list(range(min(self.data.validated, len(self.val_store))))
        faces = tensor([self.face(self.val_store, clip, rng, train=False) for clip in clips])
        found = torch.cat([self.net(part.to(self.device)).float().cpu() for part in faces.split(64)])
        people = torch.tensor([self.val_store.clips[clip].identity for clip in clips])
        alike, pairs = found @ found.T, torch.triu(torch.ones(len(clips), len(clips), dtype=torch.bool), 1)
        together = people[:, None] == people
        same, other = alike[pairs & together], alike[pairs & ~together].sort().values
        if not len(same) or not len(other):
            return {}
        nearer = torch.searchsorted(other, same).float().mean() / len(other)
        return {
            "same_or_other_auc_percent": 100 * float(nearer),
            "cosine_same": float(same.mean()), "cosine_other": float(other.mean()),
        }  # fmt: skip

    def networks(self) -> dict[str, tuple[dict[str, Tensor], dict[str, Any]]]:
        return {"identity": (self.net.state_dict(), dict(self.net.config))}
