"""Stages 2 (inversion encoder) and 3 (everything) of FC-TFG's compact preset. Stage 1 is that of the shared generator.

No true factor supervises a code: keypoints of the whole target frame teach the heads, and these teach the encoders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from thgen.audio import wav2lip_mel
from thgen.compact.generator import targets
from thgen.compact.task import CompactDrawn, CompactTask
from thgen.errors import TrainingError
from thgen.face.crop import resized
from thgen.losses.adversarial import r1_penalty
from thgen.methods.fc_tfg import equations as eq
from thgen.methods.fc_tfg.canonical import spread_of
from thgen.methods.fc_tfg.compact_networks import FaceCodes, IndexHeads
from thgen.methods.fc_tfg.frozen_judges import COMPARING, FrozenJudges
from thgen.methods.fc_tfg.latents import groups
from thgen.methods.fc_tfg.networks import LatentFusion
from thgen.methods.fc_tfg.stage_settings import CompactData, CompactFusionData, CompactModel
from thgen.nn.stylegan2_discriminator import StyleDiscriminator
from thgen.nn.wav2lip import FRAMES, AudioEncoder
from thgen.training.clip_task import VALIDATION_BATCHES, VALIDATION_SEED, ClipTask, Drawn, mean_scores
from thgen.training.data.samples import Clip, Voices, tensor
from thgen.training.data.store import ClipStore
from thgen.training.task import Batch

INDICES = tuple(range(1, 9))  # the paper's 1 to 4 and 7 to 10, counted on; the other six have nothing to do
VOICED = (5, 6)  # the paper's 7 and 8
CODE = 32  # channels of a code, if the config does not say
PEOPLE, FACES = 16, 6  # clips and frames of each over which canonical faces are compared in a validation


class CompactFcTfgStage(CompactTask):
    """A stage of the compact preset. Its checkpoints have some of these modules:

        encoder  E_inv      voice  E_a      fusion  E_can, E_m, temporal fusion      heads  in the place of G
        discriminator  D

    trains: modules that the stage has, updates and exports; D is updated, too
    """

    trains: ClassVar[tuple[str, ...]]
    names: ClassVar[Mapping[str, str]] = {name: f"fc_tfg_{name}" for name in ("encoder", "voice", "fusion", "heads")}
    picture_terms = ("image", *COMPARING)
    model_type = CompactModel
    data_type = CompactData
    data: CompactData

    def build(self) -> dict[str, nn.Module]:
        model = self.config.model
        self.fusion, self.voice = self.new_fusion()
        coarse, fine = groups(self.fusion)
        latent, lips = int(self.fusion.config["latent"]), sum(self.fusion.voiced)  # type: ignore[call-overload]
        self.inversion = FaceCodes(self.frame_size, **model.get("encoder", {}), indices=len(self.fusion.at))
        self.heads = IndexHeads(latent, len(coarse), lips, len(fine) - lips, **model.get("heads", {}))
        self.exports = tuple(self.names[name] for name in self.trains)
        found = {"encoder": self.inversion, "voice": self.voice, "fusion": self.fusion, "heads": self.heads}
        return {name: found[name] for name in self.trains}

    def new_fusion(self) -> tuple[LatentFusion, AudioEncoder]:
        """E_can, E_m and the temporal fusion, and E_a. Raises TrainingError for indices that do not fit."""
        model = self.config.model
        latent = int(model.get("encoder", {}).get("latent", CODE))
        settings = {"manipulated": INDICES, "voiced": VOICED, **model.get("fusion", {})}
        voice = AudioEncoder(**model.get("voice", {}))
        try:
            fusion = LatentFusion(latent, voice.features, len(settings["manipulated"]), **settings)
        except ValueError as error:
            raise TrainingError(f"{self.config.where}: model.fusion: {error}.") from error
        return fusion, voice

    def build_helpers(self) -> dict[str, nn.Module]:
        helpers = super().build_helpers()
        self.judges = FrozenJudges(self.config.losses, self.data, self.config.weights)
        self.summary += self.judges.summary
        return helpers | self.judges.networks()

    def networks(self) -> dict[str, tuple[dict[str, Tensor], dict[str, Any]]]:
        return {
            name: (self.modules[module].state_dict(), dict(self.modules[module].config))  # type: ignore[arg-type]
            for module, name in self.names.items()
            if module in self.modules
        }

    def compared(self, made: Tensor, true: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Eq. 5 to 7 of pictures [P 3 S S]."""
        return {"image": eq.reconstruction(made, true)} | self.judges.compared(made, true)


# ---- 2
class CompactInversion(CompactFcTfgStage):
    """Stage 2: E_inv and the heads move a photo like another frame of its clip. Losses: those of `CompactTask.draw`,
    image, perceptual and identity."""

    trains = ("encoder", "heads")

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.optimizers = self.adversarial_optimizers(list(self.trains))

    def drawn(self, batch: Batch) -> CompactDrawn:
        photo, target = (self.inversion(batch[name]).float().flatten(1) for name in ("frame_s", "frame_t"))
        return self.draw(self.heads, photo, target, batch)


# ---- 3
@dataclass(frozen=True)
class FusedCodes:
    """Codes of a batch. canonical z_sc [B M N]; motion z_cd [B T M N]; photo: z_sd of the photo by its own motion,
    [B M*N]; driven: z_sd of the window, [B T M*N]."""

    canonical: Tensor
    motion: Tensor
    photo: Tensor
    driven: Tensor


class CompactFusion(CompactFcTfgStage):
    """Stage 3: all networks learn to move a photo like a window of its clip. Losses: those of `eq.LAMBDAS` and
    `CompactTask.draw`; discriminator (eq. 8) and r1. Losses of pictures are 0 on steps that make none."""

    trains = ("encoder", "voice", "fusion", "heads")
    picture_terms = ("image", *COMPARING, "sync", "adversarial")
    data_type = CompactFusionData
    data: CompactFusionData

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.optimizers = self.adversarial_optimizers(list(self.trains))
        self.voices = Voices(spectrogram=wav2lip_mel.mel_spectrogram, cut=wav2lip_mel.mel_windows)
        self.silent, self.silent_val = (
            ClipStore(folder) if folder else None for folder in (self.data.silent, self.data.silent_val)
        )

    def build(self) -> dict[str, nn.Module]:
        settings = self.config.model.get("discriminator", {})
        self.discriminator = StyleDiscriminator(**settings)
        if self.discriminator.frames not in (1, FRAMES):
            raise TrainingError(f"{self.config.where}: model.discriminator.frames must be 1 or {FRAMES}.")
        return super().build() | {"discriminator": self.discriminator}

    # ---- batches
    def batch(self, store: ClipStore, rng: np.random.Generator, train: bool, pictures: int = 0) -> Batch:
        """Of B clips, of which the first H speak: "frame_s" [B F], features of a photo, a random frame; "window" and
        "other" [B T F], of consecutive frames and of those that say what a voice does not (deviation 23); "mel"
        [H T 1 80 16]; labels of photo and of the window's middle frame, see `pairs`; and for the first P of the rows
        "picture_s" [P 3 S S], the photo, and "picture_t" [P 5 3 S S], the window.

        All rows speak in a validation. The others are of the clips `silent`, as a still picture, if there are any.
        """
        count, length = self.config.batch_size, FRAMES if pictures else self.data.window
        speaking = max(count - round(self.data.silent_share * count), 1) if train else count
        rows: dict[str, list[Tensor]] = {"frame_s": [], "window": [], "other": []}
        moments, mels, shown = [], [], []
        for row in range(count):
            speaks = row < speaking
            clip = self._clip(store if speaks or self.silent is None else self.silent, rng, length)
            still = not speaks and self.silent is not None
            photo, frames, others = self._frames(clip, rng, length, still, speaks)
            rows["frame_s"].append(self.features(clip, [photo], rng, train))
            # in one call and once each, so that a frame has one damage in both
            known = sorted({*frames, *others})
            found = dict(zip(known, self.features(clip, known, rng, train), strict=True))
            for name, numbers in (("window", frames), ("other", others)):
                rows[name].append(torch.stack([found[number] for number in numbers])[None])
            moments.append(self.moments(clip, [photo, frames[length // 2]], pictured=False))
            if speaks:
                mels.append(self.voices.windows(clip, frames, int(rng.integers(self.data.versions)) if train else 0))
            if row < pictures:
                shown.append(tensor(resized(clip.moments([photo, *frames]).images, self.picture_side)))
        batch = self.pairs(moments, 0) | {name: torch.cat(parts) for name, parts in rows.items()}
        batch["mel"] = torch.from_numpy(np.stack(mels))
        if shown:
            batch |= {"picture_s": torch.stack(shown)[:, 0], "picture_t": torch.stack(shown)[:, 1:]}
        return batch

    @staticmethod
    def _clip(store: ClipStore, rng: np.random.Generator, length: int) -> Clip:
        clip = Clip(store, store.draw(rng))
        if len(clip) < length:
            raise TrainingError(f"The clips in {store.folder} have {len(clip)} frames, a window has {length}.")
        return clip

    def _frames(
        self, clip: Clip, rng: np.random.Generator, length: int, still: bool, speaks: bool
    ) -> tuple[int, list[int], list[int]]:
        """Numbers of the frames of "frame_s", "window" and "other". still: a window is one frame."""
        photo = int(rng.integers(len(clip)))
        first, elsewhere = (int(rng.integers(len(clip) - length + 1)) for _ in range(2))
        if still:
            return photo, [first] * length, [first] * length
        frames = list(range(first, first + length))
        if not speaks or rng.random() >= self.data.elsewhere:
            return photo, frames, frames
        # without a clip the photo itself says what a voice does not
        alone = rng.random() < 0.5
        return photo, frames, [photo] * length if alone else list(range(elsewhere, elsewhere + length))

    # ---- losses
    def codes(self, batch: Batch, heard: bool = True) -> FusedCodes:
        """Eq. 1 and 2, and the temporal fusion. heard: rows with a voice hear it; else their clip drives the lips."""
        fusion, inversion = self.fusion, self.inversion
        rows, length = batch["window"].shape[:2]
        features = torch.cat([batch["frame_s"], batch["window"].flatten(0, 1), batch["other"].flatten(0, 1)])
        source, driving, other = inversion(features).float().split((rows, rows * length, rows * length))
        voice = source.new_zeros(rows, length, self.voice.features)
        if heard:
            mel = batch["mel"]
            found = self.voice(mel.flatten(0, 1)).float().unflatten(0, mel.shape[:2])
            voice = torch.cat([found, voice[len(mel) :]])
            voiced = torch.zeros(source.shape[1], 1, dtype=torch.bool, device=source.device)
            voiced[[at for at, gets in zip(fusion.at, fusion.voiced, strict=True) if gets]] = True
            driving = torch.where(voiced, other, driving)
        canonical = fusion.canonical_codes(source).float()
        motion = fusion.motion_codes(driving, voice.flatten(0, 1)).float().unflatten(0, (rows, length))
        own = fusion.motion_codes(source, torch.zeros_like(voice[:, 0])).float()[:, None]
        photo, driven = (fusion.fused(canonical, track).float().flatten(2) for track in (own, motion))
        return FusedCodes(canonical, motion, photo[:, 0], driven)

    def decode(self, codes: FusedCodes, batch: Batch) -> CompactDrawn:
        """The photo, moved like the middle frame of the window."""
        return self.draw(self.heads, codes.photo, codes.driven[:, codes.driven.shape[1] // 2], batch)

    def drawn(self, batch: Batch) -> Drawn:
        return self.decode(self.codes(batch), batch)

    def paint(self, codes: FusedCodes, batch: Batch) -> Tensor:
        """Pictures x_g [P 5 3 S S] of the first P rows."""
        photos = batch["picture_s"]
        count = len(photos)

        def each(x: Tensor) -> Tensor:
            """The first P rows, once for each frame."""
            return x[:count].repeat_interleave(FRAMES, 0)

        with torch.autocast(photos.device.type, enabled=False):
            known = (each(batch[name]) for name in ("keypoints_s", "coefficients_s", "gaze_s"))
            states = self.heads(each(codes.photo)), self.heads(codes.driven[:count].flatten(0, 1))
            photo = self.frozen.photo(each(photos), *known)
            return self.frozen.draw(photo, self.frozen.move(photo, *states)).float().unflatten(0, (count, FRAMES))

    def losses(self, optimizer: str, batch: Batch) -> dict[str, Tensor]:
        if optimizer == "discriminator":
            return self.discriminator_losses(batch)
        codes, wanted = self.codes(batch), self.config.losses
        terms = dict(self.decode(codes, batch).terms)
        terms["ortho"] = eq.orthogonality(codes.canonical[:, None], codes.motion, self.data.ortho)
        if "picture_s" not in batch:
            return terms | {name: terms["ortho"].new_zeros(()) for name in self.picture_terms if name in wanted}
        made, true = self.paint(codes, batch), batch["picture_t"]
        terms |= self.compared(made.flatten(0, 1), true.flatten(0, 1), batch)
        if "sync" in wanted:
            terms["sync"] = self.judges.sync(made, batch["mel"][: len(made)])
        if "adversarial" in wanted:
            terms["adversarial"] = eq.gan_generator(self.discriminator(self.discriminator.stacked(made)).float())
        return terms

    def discriminator_losses(self, batch: Batch) -> dict[str, Tensor]:
        """The discriminator's part of eq. 8 and R1; 0 as long as no picture is generated."""
        net = self.discriminator
        if "picture_s" not in batch:
            zero: Tensor = 0 * sum(p.sum() for p in net.parameters())  # type: ignore[assignment]
            return {"discriminator": zero, "r1": zero}
        with torch.no_grad():
            fake = self.paint(self.codes(batch), batch)
        real = net.stacked(batch["picture_t"])
        terms = {"discriminator": eq.gan_discriminator(net(real).float(), net(net.stacked(fake)).float())}
        with torch.autocast(self.device.type, enabled=False):
            return terms | {"r1": r1_penalty(net, real.float())}

    # ---- validation
    def scores(self, batch: Batch) -> dict[str, float]:
        """As `CompactTask`, of a clip that drives all; "voice_mouth" and "voice_corners", errors of the mouth where the
        voice drives the lips; "ortho", eq. 3."""
        codes = self.codes(batch, heard=False)
        clip = self.decode(codes, batch)
        voice = self.drawn(batch).groups
        copy = self.frozen.keypoint_distance(batch["keypoints_s"], batch["keypoints_t"])
        found = {**clip.terms, **clip.groups, "copy": copy, **{f"voice_{n}": voice[n] for n in ("mouth", "corners")}}
        found["ortho"] = eq.orthogonality(codes.canonical[:, None], codes.motion, self.data.ortho)
        return {name: float(value) for name, value in found.items()}

    def validate(self) -> dict[str, float]:
        """Also "silent_...": the errors on the clips `silent_val`; and the spread of canonical faces of one person
        beside that of the photos (`canonical.spread_of`), on the same clips, or else on those that speak."""
        found = super().validate()
        clips = self.silent_val or self.val_store
        if self.silent_val is not None:
            batches = [self.silent_batch(number) for number in range(VALIDATION_BATCHES)]
            scores = mean_scores([self._silent_scores(batch) for batch in batches])
            found |= {f"silent_{name}": value for name, value in scores.items()}
        return found | self.canonical_spread(clips)

    def silent_batch(self, number: int) -> Batch:
        """Batch `number` of the clips `silent_val`, in which photo and target are single frames."""
        assert self.silent_val is not None
        rng = np.random.default_rng((VALIDATION_SEED, number))
        batch = ClipTask.batch(self, self.silent_val, rng, False)
        return {n: v.to(self.device) for n, v in batch.items()} | {"window": batch["frame_t"][:, None].to(self.device)}

    def _silent_scores(self, batch: Batch) -> dict[str, float]:
        batch = batch | {"other": batch["window"]}
        drawn = self.decode(self.codes(batch, heard=False), batch)
        return {name: float(value) for name, value in {**drawn.terms, **drawn.groups}.items()}

    @torch.no_grad()
    def canonical_spread(self, store: ClipStore) -> dict[str, float]:
        """How much the canonical faces of FACES frames of a person differ, and how much the frames do: `spread_of`,
        mean over PEOPLE clips."""
        rows = []
        for number in range(min(PEOPLE, len(store))):
            clip = Clip(store, number)
            frames = np.linspace(0, len(clip) - 1, FACES).round().astype(int).tolist()
            rng = np.random.default_rng((VALIDATION_SEED, number))
            features = self.features(clip, frames, rng, False).to(self.device)
            moments = self.moments(clip, frames, pictured=False)
            labels = [torch.from_numpy(np.ascontiguousarray(x, np.float32)).to(self.device)
                      for x in (moments.keypoints, moments.coefficients, moments.gaze)]  # fmt: skip
            face, rig = self.frozen.face(*labels), self.frozen.net.rig
            batch = {"frame_s": features, "window": features[:, None], "other": features[:, None]}
            codes = self.codes(batch, heard=False)
            still = self.fusion.fused(codes.canonical, torch.zeros_like(codes.motion)).float()[:, 0].flatten(1)
            move = self.frozen.move(face, self.heads(codes.photo), self.heads(still))
            made, true = spread_of(rig, targets(rig, face, move)), spread_of(rig, labels[0])
            rows.append({f"canonical_{n}": v for n, v in made.items()} | {f"photos_{n}": v for n, v in true.items()})
        return mean_scores(rows)
