"""What tasks on rendered clips share: batches, photo and target pairs, cached features, picture losses, validation.

A subclass gives the networks (`build`), the input of the encoders (`photo_features`, `frame_views`), the result of a
batch (`drawn`) and further losses. For compact methods, `compact.task.CompactTask` gives the input and helps with the
result.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from thgen.face.crop import resized
from thgen.losses.adversarial import discriminator_losses, generator_losses
from thgen.losses.reconstruction import perceptual
from thgen.nn.discriminators import PatchDiscriminator
from thgen.training.config import StageConfig
from thgen.training.data.batches import StepBatches
from thgen.training.data.feature_cache import PLAIN, FeatureCache
from thgen.training.data.samples import Augmentation, Clip, Moments, perspective, tensor
from thgen.training.data.store import ClipStore
from thgen.training.export import folder_of
from thgen.training.priors import Prior, choose_prior, use_of
from thgen.training.settings import Count, Positive, Settings
from thgen.training.task import Batch, Task
from thgen.weights.manifest import LOWER, NEITHER

VALIDATION_BATCHES = 6
VALIDATION_SEED = 7


class ClipData(Settings):
    """data: of all tasks on clips."""

    train: str  # folder of shards
    val: str
    head: str = "facekit"  # whose keypoints the clips have


class CachedData(ClipData):
    """data: of stages that leave an encoder frozen and may cache its features."""

    cached_views: Count = 0  # views of each clip with cached features, the first without augmentation; 0 = no cache
    cache_folder: str = ""  # where cached features are stored for later runs; "" = in memory only


class PictureData(ClipData):
    """data: of stages with picture losses."""

    pictures: Count = 0  # rows of a batch for which pictures are generated
    pictures_from: Count = 0  # first step at which they are
    pictures_every: Positive = 1  # steps from one with pictures to the next; all others cost a small part of it
    prior: str = "auto"  # of the loss vgg: auto, vgg19 or analyser


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What the latents of a batch lead to.

    picture: [P 3 S S] in [-1, 1], of the first P rows; None if the batch asks for none
    terms:   losses [] by name that compare no pictures
    groups:  errors [] of parts of the face by name, which are validated and not trained
    """

    picture: Tensor | None = None
    terms: Mapping[str, Tensor] = field(default_factory=dict)
    groups: Mapping[str, Tensor] = field(default_factory=dict)


def mean_scores(batches: list[dict[str, float]]) -> dict[str, float]:
    """Mean of each score over batches."""
    return {name: float(np.mean([b[name] for b in batches])) for name in batches[0]}


class ClipTask(Task):
    """By default a stage that rebuilds a target frame of a clip from a photo, which is another frame of it.

    Its batches contain
        photo                             `photo_features` of the photo
        frame_s, frame_t                  `features` of photo and target
        keypoints_s, keypoints_t [B K 3]; coefficients_s [B 57], gaze_s [B 2 2]: labels
        full_s, full_t [P 3 S S]          photo and target at `picture_side`, if the batch asks for pictures
    Its losses are those of `picture_losses`. Its optimizer "generator" updates all modules. A stage whose losses name
    "discriminator" has that optimizer and module, too.

    augmentation:  of frames that are pictures
    picture_terms: losses that need a generated picture; 0 as long as none is generated
    picture_side:  px of pictures
    """

    data_type: ClassVar[type[Settings]] = ClipData
    better: ClassVar[Mapping[str, str]] = {"copy": NEITHER, "adversarial": NEITHER, "*": LOWER}
    augmentation: ClassVar[Augmentation] = Augmentation(PLAIN, perspective)
    picture_terms: ClassVar[tuple[str, ...]] = ("image", "vgg", "adversarial", "matching")
    picture_side: int
    data: ClipData

    def __init__(self, config: StageConfig) -> None:
        self.config, self.data = config, self.data_of(config)
        self.modules = self.build()
        if "discriminator" in config.losses and "discriminator" not in self.modules:
            self.modules["discriminator"] = PatchDiscriminator()
        self.optimizers = self.adversarial_optimizers([n for n in self.modules if n != "discriminator"])
        self.store, self.val_store = ClipStore(self.data.train), ClipStore(self.data.val)
        self.prior: Prior | None = None
        self.summary = [config.about]  # sentences of the manifest about the training data
        self.helpers = self.build_helpers()
        self.data_summary = "; ".join(self.summary)
        self.cached_views = self.data.cached_views if isinstance(self.data, CachedData) else 0
        self.cache = self.new_cache() if self.cached_views else None

    @abstractmethod
    def build(self) -> dict[str, nn.Module]:
        """`modules`, in the order in which their random weights are drawn."""

    def build_helpers(self) -> dict[str, nn.Module]:
        """`helpers`. Adds a sentence to `summary` for each prior, also for those that are not available."""
        if not isinstance(self.data, PictureData) or "vgg" not in self.config.losses:
            return {}
        self.prior = choose_prior(self.data.prior, folder_of("analyser", self.config.weights))
        self.summary.append(f"perceptual loss {use_of(self.prior)}")
        return {"prior": self.prior} if self.prior else {}

    def adversarial_optimizers(self, names: list[str]) -> dict[str, list[str]]:
        """`optimizers` of a stage that updates the modules `names`, and the discriminator if the losses name it."""
        duel = {"discriminator": ["discriminator"]} if "discriminator" in self.config.losses else {}
        return {"generator": names} | duel

    # ---- batches
    def batches(self, split: str, seed: int, rank: int, world: int) -> Iterator[Batch]:
        store = self.store if split == "train" else self.val_store

        def make(number: int) -> Batch:
            rng = np.random.default_rng((seed, rank, number))
            return self.batch(store, rng, split == "train", self.pictures_of(number))

        return StepBatches(make, self.config.workers)

    def pictures_of(self, number: int) -> int:
        """Rows of batch `number` for which pictures are generated."""
        data = self.data
        if not isinstance(data, PictureData) or number < data.pictures_from or number % data.pictures_every:
            return 0
        return data.pictures

    def batch(self, store: ClipStore, rng: np.random.Generator, train: bool, pictures: int = 0) -> Batch:
        """A batch of random clips, augmented if `train`. pictures: rows for which pictures are generated."""
        moments, features, photos = [], [], []
        for row in range(self.config.batch_size):
            clip = Clip(store, store.draw(rng))
            pair = rng.choice(len(clip), 2, replace=False).tolist()
            features.append(self.features(clip, pair, rng, train))
            photos.append(self.photo_features(clip, pair[0], rng, train))
            moments.append(self.moments(clip, pair, pictured=row < pictures))
        frames = torch.stack(features, 1)
        views = {"frame_s": frames[0], "frame_t": frames[1], "photo": torch.cat(photos)}
        return self.pairs(moments, pictures) | views

    def pairs(self, moments: list[Moments], pictures: int) -> Batch:
        """Labels of photos and targets, the first and the second frame of each of the moments, and both as pictures of
        the first `pictures` rows."""
        labels = {
            "keypoints_s": np.stack([m.keypoints[0] for m in moments]),
            "keypoints_t": np.stack([m.keypoints[1] for m in moments]),
            "coefficients_s": np.stack([m.coefficients[0] for m in moments]),
            "gaze_s": np.stack([m.gaze[0] for m in moments]),
        }
        out: Batch = {n: torch.from_numpy(v.astype(np.float32)) for n, v in labels.items()}
        if chosen := moments[:pictures]:
            for k, end in enumerate("st"):
                out[f"full_{end}"] = tensor([resized(m.images[k : k + 1], self.picture_side)[0] for m in chosen])
        return out

    @abstractmethod
    def photo_features(self, clip: Clip, frame: int, rng: np.random.Generator, train: bool) -> Tensor:
        """Input of an appearance encoder, of one frame of a clip: a picture [1 3 side side] or features [1 F]."""

    @abstractmethod
    def frame_views(self, rng: np.random.Generator, moments: Moments, augmented: bool) -> Tensor:
        """Frames of one clip -> input of a motion encoder, pictures [n 3 side side] or features [n F], augmented if
        `augmented`."""

    # ---- frozen features
    def encode(self, views: Tensor) -> Tensor:
        """`frame_views` -> features [n F] of the motion encoder that this stage leaves frozen.

        Called within `encoded`.
        """
        raise NotImplementedError(f"{type(self).__name__} asks for features, but does not implement `encode`")

    def features(self, clip: Clip, frames: list[int], rng: np.random.Generator, train: bool) -> Tensor:
        """Frames of a clip as `encoded` takes them: cached features [n F], or, without a cache, `frame_views`.

        Batches contain these, so that their names do not depend on the cache.
        """
        if self.cache is None:
            return self.frame_views(rng, clip.moments(frames), train)
        return self.cache.clip(clip, self.version(rng, train), self.views_name())[frames]

    def views_name(self) -> str:
        """Name of the cached features of augmented frames."""
        return self.augmentation.name

    @torch.no_grad()
    def encoded(self, features: Tensor) -> Tensor:
        """`features` -> float32 [n F] on the device; views are encoded now."""
        if features.ndim == 2:
            return features
        with self.autocast():
            # channels-last takes half of the time on a CPU
            views = features.to(self.device).contiguous(memory_format=torch.channels_last)
            return self.encode(views).float()

    def moments(self, clip: Clip, frames: list[int], pictured: bool) -> Moments:
        """Frames of a clip. With a cache, those that are not to be generated have labels only."""
        return clip.moments(frames) if self.cache is None or pictured else self.cache.truth(clip, frames)

    def version(self, rng: np.random.Generator, train: bool) -> int:
        """A random version of cached features; 0, without augmentation, outside of training."""
        return int(rng.integers(self.cached_views)) if train else 0

    def new_cache(self) -> FeatureCache:
        """An empty cache of features of frames."""
        return FeatureCache(self.encoded, self.frame_views, self.cache_folder(), self.frozen_encoders())

    def cache_folder(self) -> str:
        """Where cached features are stored; "" = in memory only."""
        return self.data.cache_folder if isinstance(self.data, CachedData) else ""

    def frozen_encoders(self) -> tuple[nn.Module, ...]:
        """Networks of the features of frames that the stage caches."""
        return ()

    def autocast(self) -> torch.autocast:
        """The loop's autocast, for networks that are called while a batch is made."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16")

    # ---- losses
    def drawn(self, batch: Batch) -> Drawn:
        """The result of the stage's networks for a batch."""
        raise NotImplementedError(f"{type(self).__name__} has picture losses, but does not implement `drawn`")

    def losses(self, optimizer: str, batch: Batch) -> dict[str, Tensor]:
        if optimizer == "discriminator":
            return self.discriminator_losses(batch)
        return self.picture_losses(self.drawn(batch), batch)

    def picture_losses(self, drawn: Drawn, batch: Batch) -> dict[str, Tensor]:
        """The terms of `drawn`, and those of `picture_terms` that the stage's losses name."""
        wanted, made, true = self.config.losses, drawn.picture, batch.get("full_t")
        terms = dict(drawn.terms)
        if made is None or true is None:
            zero = batch["keypoints_s"].new_zeros(())
            return terms | {name: zero for name in self.picture_terms if name in wanted}
        made = made.float()
        terms |= self.compared(made, true, batch)
        if "adversarial" in wanted:
            terms |= generator_losses(self.modules["discriminator"], made, true)
        return terms

    def compared(self, made: Tensor, true: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Terms that compare generated pictures with the true ones, both [P 3 S S]: "image", L1, and "vgg", the
        perceptual loss, 0 without its prior."""
        terms = {"image": (made - true).abs().mean()}
        if "vgg" in self.config.losses:
            terms["vgg"] = perceptual(self.prior(made), self.prior(true)) if self.prior else made.new_zeros(())
        return terms

    def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """The discriminator's loss; 0 as long as no picture is generated."""
        net = self.modules["discriminator"]
        if "full_t" not in batch:
            return {"discriminator": 0 * sum(p.sum() for p in net.parameters())}  # type: ignore[dict-item]
        with torch.no_grad():
            made = self.drawn(batch).picture
        assert made is not None
        return discriminator_losses(net, made, batch["full_t"])

    # ---- validation
    def validation_batch(self, number: int) -> Batch:
        """Batch `number` of held-out clips, on the device, without augmentation and pictures."""
        batch = self.batch(self.val_store, np.random.default_rng((VALIDATION_SEED, number)), train=False)
        return {n: v.to(self.device) if isinstance(v, Tensor) else v for n, v in batch.items()}

    def scores(self, batch: Batch) -> dict[str, float]:
        """Scores of one batch: terms and groups of `drawn`."""
        drawn = self.drawn(batch)
        return {n: float(v) for n, v in {**drawn.terms, **drawn.groups}.items()}

    def validate(self) -> dict[str, float]:
        """Mean of `scores` over VALIDATION_BATCHES batches."""
        return mean_scores([self.scores(self.validation_batch(n)) for n in range(VALIDATION_BATCHES)])
