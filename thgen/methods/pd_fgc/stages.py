"""Stages 1 (appearance and motion) and 3 (expression) of PD-FGC, with picture losses. Stages 2a to 2c: encoder_stages.

Each stage starts from the one before (`init`) and updates only the modules of its optimizers. No true factor but pose
supervises a latent: keypoints of the whole target frame teach the painter, and it teaches the encoders.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from thgen.compact.frozen_generator import eye_difference, pose_difference
from thgen.compact.motion_head import FaceState
from thgen.compact.task import CompactDrawn
from thgen.errors import TrainingError
from thgen.methods.pd_fgc.equations import consistency, lip_decorrelation, motion_reconstruction, window_average
from thgen.methods.pd_fgc.stage_presets import Codes, CompactStage, PaperStage, PdFgcStage
from thgen.methods.pd_fgc.stage_settings import AppearanceData, CompactAppearanceData, ExpressionData
from thgen.training.clip_task import ClipTask, Drawn, mean_scores
from thgen.training.config import StageConfig
from thgen.training.data.samples import Augmentation, Clip, Voices, rotate_scale
from thgen.training.data.store import ClipStore
from thgen.training.export import folder_of
from thgen.training.priors import MotionPrior, choose_motion_prior, use_of
from thgen.training.task import Batch

HELD_BATCHES = 24  # batches for the scores with a held expression
EDGE = 12  # frames at each end of a clip that are no targets of a validation, so that all windows have the same targets
AT_REST = 0.5  # share of photos that are the first frame of a clip, a face at rest, as most photos are


class PictureStage(PdFgcStage):
    """A stage with latents of photo and target. painter: its module "painter0" or "painter"."""

    painter: ClassVar[str]
    picture_terms = (*ClipTask.picture_terms, "motion")
    data_type = AppearanceData
    data: AppearanceData

    def build_helpers(self) -> dict[str, nn.Module]:
        helpers = super().build_helpers()
        self.motions: MotionPrior | None = None
        if {"motion", "consistency"} & self.config.losses.keys():
            self.motions = choose_motion_prior(self.data.motion_prior, folder_of("analyser", self.config.weights))
            self.summary.append(f"eq. 1 and 8 {use_of(self.motions)}")
        return helpers | ({"motions": self.motions} if self.motions else {})

    @abstractmethod
    def codes(self, batch: Batch) -> Codes:
        """Latents of a batch."""

    def drawn(self, batch: Batch) -> Drawn:
        return self.decode(self.modules[self.painter], self.codes(batch), batch)

    def compared(self, made: Tensor, true: Tensor, batch: Batch) -> dict[str, Tensor]:
        """As in ClipTask, and "motion" (eq. 1)."""
        terms = super().compared(made, true, batch)
        if "motion" in self.config.losses:
            terms["motion"] = self.motion_loss(made, true, batch)
        return terms

    def motion_loss(self, made: Tensor, true: Tensor, batch: Batch) -> Tensor:
        """Eq. 1 of pictures [P 3 S S]. The motion prior crops both by the true keypoints; without it 0."""
        prior, where = self.motions, batch["keypoints_t"][: len(made)]
        if prior is None:
            return made.new_zeros(())
        return motion_reconstruction(made, true, lambda x: prior(x, where).geometry, lambda x: prior(x, where).emotion)


# ---- 1
class AppearanceMotionStage(PictureStage):
    """Stage 1: E_app, E_mot and G_0 rebuild a frame from the photo's appearance and the frame's motion. The frame is
    augmented, so that its motion feature cannot carry appearance. Losses: those of `picture_losses`."""

    trains: ClassVar[tuple[str, ...]] = ("appearance", "motion")
    painter = "painter0"

    def __init__(self, config: StageConfig) -> None:
        super().__init__(config)
        self.optimizers = self.adversarial_optimizers(["appearance", "motion", "painter0"])

    def codes(self, batch: Batch) -> Codes:
        vector, start = self.appearance_of(batch["photo"])
        photo, target = (self.faces(batch[name]).float() for name in ("frame_s", "frame_t"))
        return Codes(photo=torch.cat([vector, photo], 1), target=torch.cat([vector, target], 1), start=start)


class AppearanceMotion(CompactStage, AppearanceMotionStage):
    """Stage 1 of the compact preset."""

    data_type = CompactAppearanceData


class PaperAppearanceMotion(PaperStage, AppearanceMotionStage):
    """Stage 1 of the paper preset. It has no keypoints, so no scores."""


# ---- 3
@dataclass(frozen=True, kw_only=True)
class ExpressionCodes(Codes):
    """Also of stage 3: the target's latents one by one, in the order of Latents.join; expression [B 30], averaged over
    the window; voice [B F] and voice_lip [B lip], feature and latent of the voice."""

    parts: tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
    expression: Tensor
    voice: Tensor
    voice_lip: Tensor


class ExpressionStage(PictureStage):
    """Stage 3: E_exp and G rebuild a frame from appearance, voice, eyes, pose and the average expression of a window.
    Losses: those of `picture_losses`, decorrelation (eq. 6), consistency (eq. 8).

    `_set_zero` changes motion, audio and painter together. Therefore all three are exported, motion also where E_exp
    stays as it is.
    """

    trains = ("motion", "audio", "painter")
    painter = "painter"
    augmentation = Augmentation("turned", rotate_scale)  # of the window's frames
    data_type = ExpressionData
    data: ExpressionData

    def __init__(self, config: StageConfig) -> None:
        super().__init__(config)
        updated = ["painter", "embed"] if self.data.freeze else ["expression", "painter", "embed"]
        self.optimizers = self.adversarial_optimizers(updated)
        self.voices = Voices()

    def batch(self, store: ClipStore, rng: np.random.Generator, train: bool, pictures: int = 0) -> Batch:
        """`features` of photo, target and window, `photo_features`, "mel" [B 1 80 20] of the target, "lip_from_video"
        [B 1], 1 where its lip latent comes from the frame, and `pairs`."""
        moments, mels, half = [], [], self.data.window // 2
        rows: dict[str, list[Tensor]] = {"window": [], "frame_s": [], "frame_t": [], "photo": []}
        for row in range(self.config.batch_size):
            clip = Clip(store, store.draw(rng))
            photo, centre = self._photo_and_target(clip, rng, train)
            moments.append(self.moments(clip, [photo, centre], pictured=row < pictures))
            rows["window"].append(self.features(clip, list(range(centre - half, centre + half + 1)), rng, train))
            rows["frame_s"].append(self.features(clip, [photo], rng, train=False))
            rows["frame_t"].append(self.features(clip, [centre], rng, train=False))
            rows["photo"].append(self.photo_features(clip, photo, rng, train=False))
            version = int(rng.integers(self.data.versions)) if train else 0
            mels.append(self.voices.windows(clip, [centre], version))
        from_video = rng.random(len(moments)) < self.data.lip_from_video_share
        return self.pairs(moments, pictures) | {name: torch.cat(features) for name, features in rows.items()} | {
            "mel": torch.from_numpy(np.concatenate(mels)),
            "lip_from_video": torch.from_numpy(from_video.astype(np.float32))[:, None],
        }  # fmt: skip

    def _photo_and_target(self, clip: Clip, rng: np.random.Generator, train: bool) -> tuple[int, int]:
        """Random numbers of the frame that is the photo and of the target, the middle of a window."""
        total, half = len(clip), self.data.window // 2
        if total < self.data.window:
            raise TrainingError(f"The clips in {clip.store.folder} have {total} frames, the window {self.data.window}.")
        margin = half if train else max(half, min(EDGE, (total - 1) // 2))
        centre, photo = (int(rng.integers(low, high)) for low, high in ((margin, total - margin), (0, total)))
        return (0 if train and rng.random() < AT_REST else photo), centre

    @torch.no_grad()
    def frozen_latents(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Lip feature, eye and pose of features [B F]; this stage trains none of them."""
        lip, eye, pose = (f(features).float() for f in (self.faces.lip_feature, self.faces.eye, self.faces.pose))
        return lip, eye, pose

    def codes(self, batch: Batch, held: bool = False) -> ExpressionCodes:
        """held: the target has the expression of the photo."""
        photo, target, around = (self.encoded(batch[name]) for name in ("frame_s", "frame_t", "window"))
        with torch.no_grad():
            vector, start = self.appearance_of(batch["photo"])
            voice = self.voice(batch["mel"])[0].float()
        expression = window_average(self.faces.expression(around).float().unflatten(0, (-1, self.data.window)))
        lip_s, eye_s, pose_s = self.frozen_latents(photo)
        lip_t, eye_t, pose_t = self.frozen_latents(target)
        expression_s = self.faces.expression(photo).float()
        from_video, embed = batch["lip_from_video"], self.voice.embed
        video_lip, voice_lip = embed(lip_t), embed(voice)
        lip = from_video * video_lip + (1 - from_video) * voice_lip
        parts = (vector, lip.float(), expression_s if held else expression, eye_t, pose_t)
        return ExpressionCodes(
            photo=self.latents.join(vector, embed(lip_s).float(), expression_s, eye_s, pose_s),
            target=self.latents.join(*parts), start=start,
            parts=parts, expression=expression, voice=voice, voice_lip=voice_lip,
        )  # fmt: skip

    def losses(self, optimizer: str, batch: Batch) -> dict[str, Tensor]:
        if optimizer == "discriminator":
            return self.discriminator_losses(batch)
        codes = self.codes(batch)
        drawn = self.decode(self.modules[self.painter], codes, batch)
        terms = self.picture_losses(drawn, batch) | self.latent_losses(codes, drawn)
        if "consistency" in self.config.losses:
            made = drawn.picture
            zero = batch["keypoints_s"].new_zeros(())
            terms["consistency"] = zero if made is None else self.consistency_loss(made.float(), batch, codes.voice)
        return terms

    def latent_losses(self, codes: ExpressionCodes, drawn: Drawn) -> dict[str, Tensor]:
        """decorrelation (eq. 6). Its bank gets the batch afterwards, except where E_exp stays as it is."""
        bank = self.modules["bank"]
        terms = {"decorrelation": lip_decorrelation(codes.expression, codes.voice_lip, bank)}  # type: ignore[arg-type]
        if self.faces.emo_embed.training:
            bank.push(codes.expression, codes.voice_lip)  # type: ignore[operator]
        return terms

    def consistency_loss(self, made: Tensor, batch: Batch, voice: Tensor) -> Tensor:
        """Eq. 8 of pictures [P 3 S S] and voice features [B F]. Without the motion prior only its first term counts."""
        where, prior = batch["keypoints_t"][: len(made)], self.motions
        lips = self.faces.lip_feature(self.faces(self.picture_views(made, where)))
        if prior is None:
            zero = made.new_zeros(())
            return consistency(lips, voice[: len(made)], zero, zero, zero)
        true = batch["full_t"]
        gaze = prior(made, where).gaze, prior(true, where).gaze
        return consistency(lips, voice[: len(made)], *gaze, self.motion_loss(made, true, batch))


class Expression(CompactStage, ExpressionStage):
    """Stage 3 of the compact preset, with one loss more: swap_consistency (deviation 15)."""

    def latent_losses(self, codes: ExpressionCodes, drawn: Drawn) -> dict[str, Tensor]:
        terms = super().latent_losses(codes, drawn)
        if "swap_consistency" in self.config.losses:
            assert isinstance(drawn, CompactDrawn)
            terms["swap_consistency"] = self.swap_consistency(drawn.state, *codes.parts)
        return terms

    def swap_consistency(
        self, state: FaceState, appearance: Tensor, lip: Tensor, expression: Tensor, eye: Tensor, pose: Tensor
    ) -> Tensor:
        """How much pose and eyes [] depend on the other latents. state: what these latents lead to.

        Eq. 8 compares gaze and motion of a picture with those of its driver. All latents come from one frame, so eq. 8
        is 0 also where the expression carries the pose. Here each row gets latents of another row: its pose must stay
        with the lips, expression and eyes of the other, its eyes with the lips, expression and pose of the other.
        """
        painter, join = self.modules[self.painter], self.latents.join
        other = {name: x.roll(1, 0) for name, x in (("lip", lip), ("exp", expression), ("eye", eye), ("pose", pose))}
        posed = painter(join(appearance, other["lip"], other["exp"], other["eye"], pose))
        looking = painter(join(appearance, other["lip"], other["exp"], eye, other["pose"]))
        return pose_difference(posed, state) + eye_difference(looking, state)

    def validate(self) -> dict[str, float]:
        """Also errors of mouth and brows if all lip latents come from the voice, and "held": the error of the mouth
        with the photo's expression. It stays small if the lips do not depend on the expression (tables 4 and 5)."""
        scores = []
        for number in range(HELD_BATCHES):
            batch = self.validation_batch(number)
            batch["lip_from_video"] = torch.zeros_like(batch["lip_from_video"])
            own, held = (
                self.decode(self.modules[self.painter], self.codes(batch, held), batch).groups for held in (False, True)
            )
            scores.append({"mouth": float(own["mouth"]), "brows": float(own["brows"]), "held": float(held["mouth"])})
        return super().validate() | mean_scores(scores)


class PaperExpression(PaperStage, ExpressionStage):
    """Stage 3 of the paper preset."""
