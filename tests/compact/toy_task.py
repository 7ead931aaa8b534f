"""A compact method of a few lines, imported by name as the task of a stage."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from thgen.compact.motion_head import MotionHead
from thgen.compact.task import CompactTask
from thgen.training.clip_task import CachedData, PictureData
from thgen.training.data.samples import Clip

LATENT = 8


class ToyEncoder(nn.Module):
    """Features of frames [B F] -> latent [B 8]."""

    def __init__(self, inputs: int = 92) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, LATENT)

    def forward(self, features: Tensor) -> Tensor:
        return self.linear(features)


class ToyTask(CompactTask):
    """All that a new method needs: networks, the latents of a batch, and the weights that the stage trains."""

    exports = ("toy",)
    data_type = PictureData

    def build(self):
        return {"encoder": ToyEncoder(self.frame_size), "head": MotionHead(LATENT, 16, 1)}

    def drawn(self, batch):
        photo, target = (self.modules["encoder"](batch[f"frame_{end}"]) for end in "st")
        return self.draw(self.modules["head"], photo, target, batch)

    def networks(self):
        return {"toy": (self.modules["encoder"].state_dict(), {})}


class ToyWithLoss(ToyTask):
    """A loss of its own on top of those of all compact methods."""

    def losses(self, optimizer, batch):
        terms = super().losses(optimizer, batch)
        if optimizer == "generator":
            terms["latent_size"] = self.modules["encoder"](batch["frame_t"]).square().mean()
        return terms


class ToySecondData(PictureData, CachedData):
    pass


class ToySecondStage(ToyTask):
    """The encoder is frozen, so its features may be cached. The head is trained."""

    data_type = ToySecondData

    def __init__(self, config):
        super().__init__(config)
        self.optimizers = self.adversarial_optimizers(["head"])

    def encode(self, views):
        return self.modules["encoder"](views)

    def batch(self, store, rng, train, pictures=0):
        found, frames, photos = [], [], []
        for row in range(self.config.batch_size):
            clip = Clip(store, store.draw(rng))
            photo, target = 0, int(rng.integers(1, len(clip)))
            found.append(self.moments(clip, [photo, target], pictured=row < pictures))
            frames.append([self.features(clip, [n], rng, train) for n in (photo, target)])
            photos.append(self.photo_features(clip, photo, rng, train))
        moved = {f"frame_{end}": torch.cat([pair[k] for pair in frames]) for k, end in enumerate("st")}
        return self.pairs(found, pictures) | moved | {"photo": torch.cat(photos)}

    def drawn(self, batch):
        photo, target = (self.encoded(batch[f"frame_{end}"]) for end in "st")
        return self.draw(self.modules["head"], photo, target, batch)
