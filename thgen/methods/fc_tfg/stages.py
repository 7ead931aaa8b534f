"""Stages 1 (generator), 2 (inversion encoder) and 3 (everything) of FC-TFG's paper preset. The sync expert: sync_stage.

A stage sees pictures and voices of clips and no label of them: no true factor supervises anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from thgen.audio import wav2lip_mel
from thgen.errors import TrainingError
from thgen.face.crop import resized
from thgen.losses.adversarial import path_lengths, r1_penalty
from thgen.methods.fc_tfg import equations as eq
from thgen.methods.fc_tfg.frozen_judges import FrozenJudges
from thgen.methods.fc_tfg.networks import LatentFusion
from thgen.methods.fc_tfg.stage_settings import FusionData, GeneratorData, PaperModel, PriorData
from thgen.nn.psp import InversionEncoder
from thgen.nn.stylegan2 import StyleGAN2
from thgen.nn.stylegan2_discriminator import StyleDiscriminator
from thgen.nn.wav2lip import FRAMES, AudioEncoder
from thgen.training.clip_task import ClipTask
from thgen.training.config import StageConfig
from thgen.training.data.batches import StepBatches
from thgen.training.data.samples import Clip, Moments, Voices, tensor
from thgen.training.data.store import ClipStore
from thgen.training.task import Batch

PATH_STEP = 0.01  # weight of a step in the mean path length (StyleGAN2)


class FcTfgStage(ClipTask):
    """A stage on pictures and voices of clips. Its checkpoints have some of these modules:

        generator  G              encoder  E_inv       voice  E_a       fusion  E_can, E_m, temporal fusion
        discriminator  D          paths  mean path length of stage 1    sync  the expert of the stage "sync"

    updates: modules of the optimizer "generator";  trains: those of them whose weights are exported
    names:   module -> weights name;  voices: of clips, by the recipe of Wav2Lip
    """

    updates: ClassVar[tuple[str, ...]]
    trains: ClassVar[tuple[str, ...]]
    names: ClassVar[Mapping[str, str]] = {
        name: f"fc_tfg_paper_{name}" for name in ("generator", "encoder", "voice", "fusion")
    }
    model_type = PaperModel
    side: int  # px of pictures

    def __init__(self, config: StageConfig) -> None:
        super().__init__(config)
        self.optimizers = self.adversarial_optimizers(list(self.updates))
        self.exports = tuple(self.names[name] for name in self.trains)
        self.voices = Voices(spectrogram=wav2lip_mel.mel_spectrogram, cut=wav2lip_mel.mel_windows)

    # ---- networks
    def new_generator(self) -> StyleGAN2:
        generator = StyleGAN2(**self.config.model.get("generator", {}))
        self.side = generator.size
        return generator

    def new_discriminator(self, generator: StyleGAN2) -> StyleDiscriminator:
        settings = self.config.model.get("discriminator", {})
        return StyleDiscriminator(tuple(generator.config["channels"]), generator.start, **settings)  # type: ignore[arg-type]

    def new_encoder(self, generator: StyleGAN2) -> InversionEncoder:
        settings = self.config.model.get("encoder", {})
        return InversionEncoder(self.side, generator.latent, generator.indices, **settings)

    def networks(self) -> dict[str, tuple[dict[str, Tensor], dict[str, Any]]]:
        return {
            self.names[name]: (module.state_dict(), dict(module.config))  # type: ignore[arg-type]
            for name, module in self.modules.items()
            if name in self.names
        }

    # ---- data
    def batches(self, split: str, seed: int, rank: int, world: int) -> Iterator[Batch]:
        """As ClipTask, and "number" of each batch, by which some losses are computed on a few steps only."""
        store = self.store if split == "train" else self.val_store

        def make(number: int) -> Batch:
            rng = np.random.default_rng((seed, rank, number))
            return self.batch(store, rng, split == "train") | {"number": number}

        return StepBatches(make, self.config.workers)

    def photo_views(self, images: np.ndarray) -> Tensor:
        """Whole frames uint8 [n S S 3] -> [n 3 side side]."""
        return tensor(resized(images, self.side))

    def photo_features(self, clip: Clip, frame: int, rng: np.random.Generator, train: bool) -> Tensor:
        return self.photo_views(clip.moments([frame]).images)

    def frame_views(self, rng: np.random.Generator, moments: Moments, augmented: bool) -> Tensor:
        return self.photo_views(moments.images)

    def batch(self, store: ClipStore, rng: np.random.Generator, train: bool, pictures: int = 0) -> Batch:
        """A random frame of each of B random clips: "picture" [B 3 side side]."""
        rows = []
        for _ in range(self.config.batch_size):
            clip = Clip(store, store.draw(rng))
            rows.append(clip.moments([int(rng.integers(len(clip)))]).images)
        return {"picture": self.photo_views(np.concatenate(rows))}

    # ---- losses
    def r1(self, real: Tensor, batch: Batch, every: int) -> Tensor:
        """R1 of true pictures, in float32; 0 on all but each `every`-th step."""
        if batch.get("number", 1) % every:
            return real.new_zeros(())
        with torch.autocast(self.device.type, enabled=False):
            return r1_penalty(self.modules["discriminator"], real.float())


# ---- 1
class PathMean(nn.Module):
    """Mean of path lengths over the training, [] (buffer "mean")."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))

    def penalty(self, lengths: Tensor) -> Tensor:
        """Mean squared distance of path lengths [B] from their mean, which this step moves first."""
        self.mean.lerp_(lengths.detach().mean(), PATH_STEP)
        return (lengths - self.mean).square().mean()


class Generator(FcTfgStage):
    """Stage 1: StyleGAN2 learns to make frames. Losses: adversarial and discriminator (eq. 8), r1, path."""

    updates = trains = ("generator",)
    data_type = GeneratorData
    data: GeneratorData

    def build(self) -> dict[str, nn.Module]:
        self.generator = self.new_generator()
        discriminator = self.new_discriminator(self.generator)
        if discriminator.frames != 1:
            raise TrainingError(
                f"{self.config.where}: model.discriminator.frames must be 1, as it sees single pictures."
            )
        return {"generator": self.generator, "discriminator": discriminator, "paths": PathMean()}

    def latents(self, count: int) -> Tensor:
        """Random w [count L N]. A share `mixing` of the steps mixes two of them at a random style index."""
        generator = self.generator
        first, second = torch.randn(2, count, generator.latent, device=self.device)
        mixes = float(torch.rand(())) < self.data.mixing
        crossing = int(torch.randint(1, generator.indices, ())) if mixes else generator.indices
        return generator.mixed(first, second, crossing)

    def losses(self, optimizer: str, batch: Batch) -> dict[str, Tensor]:
        real, judge = batch["picture"], self.modules["discriminator"]
        if optimizer == "discriminator":
            with torch.no_grad():
                fake = self.generator.paint(self.latents(len(real)), fresh=True)
            made, true = judge(fake).float(), judge(real).float()
            return {"discriminator": eq.gan_discriminator(true, made), "r1": self.r1(real, batch, self.data.r1_every)}
        latents = self.latents(len(real))
        self.generator.follow(latents[:, 0])
        made = judge(self.generator.paint(latents, fresh=True)).float()
        return {"adversarial": eq.gan_generator(made), "path": self.path_penalty(batch)}

    def path_penalty(self, batch: Batch) -> Tensor:
        """StyleGAN2's penalty of path lengths, of half a batch in float32; 0 on all but each `path_every`-th step."""
        real = batch["picture"]
        if batch.get("number", 1) % self.data.path_every:
            return real.new_zeros(())
        with torch.autocast(self.device.type, enabled=False):
            latents = self.latents(max(1, len(real) // 2))
            lengths = path_lengths(self.generator.paint(latents, fresh=True), latents)
        paths = self.modules["paths"]
        assert isinstance(paths, PathMean)
        return paths.penalty(lengths)

    def validate(self) -> dict[str, float]:
        """None: there is no target to which a random picture could be compared."""
        return {}


# ---- 2 and 3
class InversionStage(FcTfgStage):
    """A stage with E_inv and with losses on frozen priors."""

    data_type = PriorData
    data: PriorData
    generator: StyleGAN2
    encoder: InversionEncoder

    def build_helpers(self) -> dict[str, nn.Module]:
        self.judges = FrozenJudges(self.config.losses, self.data, self.config.weights)
        self.summary += self.judges.summary
        return self.judges.networks()

    def inverted(self, pictures: Tensor) -> Tensor:
        """z = E_inv(x): [B 3 side side] -> codes [B L N] (deviation 2)."""
        return self.generator.average + self.encoder(pictures).float()


class Inversion(InversionStage):
    """Stage 2: E_inv finds the code of a frame from which G makes it again. Losses: l2, perceptual, identity."""

    updates = trains = ("encoder",)

    def build(self) -> dict[str, nn.Module]:
        self.generator = self.new_generator()
        self.encoder = self.new_encoder(self.generator)
        return {"generator": self.generator, "encoder": self.encoder}

    def losses(self, optimizer: str, batch: Batch) -> dict[str, Tensor]:
        true = batch["picture"]
        made = self.generator.paint(self.inverted(true)).float()
        return {"l2": (made - true).square().mean()} | self.judges.compared(made, true)

    def scores(self, batch: Batch) -> dict[str, float]:
        return {name: float(value) for name, value in self.losses("generator", batch).items()}


@dataclass(frozen=True)
class Driven:
    """Codes of a batch of windows: canonical z_sc [B M N], motion z_cd [B T M N], and what G makes of their sum,
    pictures x_g [B T 3 S S]."""

    canonical: Tensor
    motion: Tensor
    made: Tensor


class Fusion(InversionStage):
    """Stage 3: all networks learn to move a photo like another window of its clip. Losses: those of eq. 9, by the names
    of `equations.LAMBDAS`; discriminator (eq. 8) and r1."""

    updates = trains = ("generator", "encoder", "voice", "fusion")
    data_type = FusionData
    data: FusionData

    def build(self) -> dict[str, nn.Module]:
        model = self.config.model
        self.generator = generator = self.new_generator()
        self.encoder = self.new_encoder(generator)
        self.voice = AudioEncoder(**model.get("voice", {}))
        self.fusion = self.new_fusion(generator, self.voice)
        self.discriminator = self.new_discriminator(generator)
        if self.discriminator.frames not in (1, FRAMES):
            raise TrainingError(f"{self.config.where}: model.discriminator.frames must be 1 or {FRAMES}.")
        return {"generator": generator, "encoder": self.encoder, "voice": self.voice, "fusion": self.fusion,
                "discriminator": self.discriminator}  # fmt: skip

    def new_fusion(self, generator: StyleGAN2, voice: AudioEncoder) -> LatentFusion:
        settings = self.config.model.get("fusion", {})
        try:
            return LatentFusion(generator.latent, voice.features, generator.indices, **settings)
        except ValueError as error:
            raise TrainingError(f"{self.config.where}: model.fusion: {error}.") from error

    def batch(self, store: ClipStore, rng: np.random.Generator, train: bool, pictures: int = 0) -> Batch:
        """Of each of B random clips: "photo" [B 3 S S], a random frame; "window" [B 5 3 S S], consecutive frames; "mel"
        [B 5 1 80 16] of their voice; "heard" [B 1 1], 0 where E_m gets no voice."""
        photos, windows, mels = [], [], []
        for _ in range(self.config.batch_size):
            clip = Clip(store, store.draw(rng))
            if len(clip) < FRAMES:
                raise TrainingError(f"The clips in {store.folder} have {len(clip)} frames, a window has {FRAMES}.")
            start = int(rng.integers(len(clip) - FRAMES + 1))
            frames = list(range(start, start + FRAMES))
            views = self.photo_views(clip.moments([int(rng.integers(len(clip))), *frames]).images)
            photos.append(views[0])
            windows.append(views[1:])
            mels.append(self.voices.windows(clip, frames, int(rng.integers(self.data.versions)) if train else 0))
        heard = rng.random(len(photos)) >= (self.data.silent_share if train else 0.0)
        return {
            "photo": torch.stack(photos), "window": torch.stack(windows), "mel": torch.from_numpy(np.stack(mels)),
            "heard": torch.from_numpy(heard.astype(np.float32))[:, None, None],
        }  # fmt: skip

    def driven(self, batch: Batch) -> Driven:
        """x_g of a batch: eq. 1 and 2, the temporal fusion and G."""
        photo, window, fusion = batch["photo"], batch["window"], self.fusion
        rows, frames = window.shape[:2]
        codes = self.inverted(torch.cat([photo, window.flatten(0, 1)]))
        source, driving = codes[:rows], codes[rows:]
        voice = self.voice(batch["mel"].flatten(0, 1)).float().unflatten(0, (rows, frames)) * batch["heard"]
        canonical = fusion.canonical_codes(source).float()
        motion = fusion.motion_codes(driving, voice.flatten(0, 1)).float().unflatten(0, (rows, frames))
        fused = fusion.fused(canonical, motion).float()
        latents = fusion.placed(source.repeat_interleave(frames, 0), fused.flatten(0, 1))
        made = self.generator.paint(latents).float()
        return Driven(canonical, motion, made.unflatten(0, (rows, frames)))

    def losses(self, optimizer: str, batch: Batch) -> dict[str, Tensor]:
        true = batch["window"]
        if optimizer == "discriminator":
            with torch.no_grad():
                fake = self.driven(batch).made
            judge, real = self.discriminator, self.discriminator.stacked(true)
            made = judge(judge.stacked(fake)).float()
            return {"discriminator": eq.gan_discriminator(judge(real).float(), made),
                    "r1": self.r1(real, batch, self.data.r1_every)}  # fmt: skip
        driven = self.driven(batch)
        made = driven.made
        terms = {
            "ortho": eq.orthogonality(driven.canonical[:, None], driven.motion, self.data.ortho),
            "image": eq.reconstruction(made, true),
            "adversarial": eq.gan_generator(self.discriminator(self.discriminator.stacked(made)).float()),
        }
        if "sync" in self.config.losses:
            terms["sync"] = self.judges.sync(made, batch["mel"])
        return terms | self.judges.compared(made.flatten(0, 1), true.flatten(0, 1))

    def scores(self, batch: Batch) -> dict[str, float]:
        """Eq. 3 and 6, "copy", eq. 6 of the photo itself, and eq. 4."""
        driven, true = self.driven(batch), batch["window"]
        found = {
            "image": eq.reconstruction(driven.made, true),
            "copy": eq.reconstruction(batch["photo"][:, None].expand_as(true), true),
            "ortho": eq.orthogonality(driven.canonical[:, None], driven.motion, self.data.ortho),
        }
        if self.judges.expert is not None:
            found["sync"] = self.judges.sync(driven.made, batch["mel"])
        return {name: float(value) for name, value in found.items()}
