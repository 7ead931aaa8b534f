"""Stages 2a lip, 2b eye and 2c pose of PD-FGC: each trains one encoder on the motion feature of stage 1.

Only pose has a label, the fit of the head to the frame's keypoints. No other true factor supervises a latent.
"""

from __future__ import annotations

from functools import partial
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from thgen.compact.frozen_generator import load_generator
from thgen.losses.correlation import correlations
from thgen.methods.pd_fgc.equations import audio_to_video, eye_contrast, pose_regression, pose_target, video_to_audio
from thgen.methods.pd_fgc.eye_swap import swap_eyes
from thgen.methods.pd_fgc.latents import BLINK, GAZE
from thgen.methods.pd_fgc.stage_presets import CompactStage, PaperStage, PdFgcStage
from thgen.methods.pd_fgc.stage_settings import EncoderData, EyeData, LipData
from thgen.training.config import StageConfig
from thgen.training.data.samples import LABELS, Augmentation, Clip, Moments, Voices, spaced_frames
from thgen.training.data.store import ClipStore
from thgen.training.task import Batch

NEGATIVES = 8  # K of eq. 2 and 3
OTHERS = ("third", "fourth", "fifth")  # further frames of the clip, with other eyes than the anchor's
# Of eq. 4: v_1, v_2, OTHERS, v_a with the eyes of v_1 in the face of v_2, and the same with mirrored eyes.
VIEWS = ("first", "second", *OTHERS, "anchor", "mirrored")
COLOURS = Augmentation("colours", None)  # no warp: it would move eyes and head


class EncoderStage(PdFgcStage):
    """updates: modules of the one optimizer."""

    updates: ClassVar[tuple[str, ...]]
    data_type = EncoderData
    data: EncoderData

    def __init__(self, config: StageConfig) -> None:
        super().__init__(config)
        self.optimizers = {"main": list(self.updates)}

    def scores(self, batch: Batch) -> dict[str, float]:
        return {n: float(v) for n, v in self.losses("main", batch).items()}


# ---- 2a
class LipStage(EncoderStage):
    """Stage 2a: E_lip and E_aud learn to match lips and voice of K + 1 moments. Losses: a2v (eq. 2), v2a (eq. 3)."""

    trains, updates = ("motion", "audio"), ("lip", "audio")
    data_type = LipData
    data: LipData

    def __init__(self, config: StageConfig) -> None:
        super().__init__(config)
        self.voices = Voices()

    def batch(self, store: ClipStore, rng: np.random.Generator, train: bool, pictures: int = 0) -> Batch:
        features, mels = [], []
        versions = self.data.versions if train else 1
        for _ in range(self.config.batch_size):
            clip = Clip(store, store.draw(rng))
            frames = spaced_frames(rng, len(clip), NEGATIVES + 1, self.data.min_gap)
            features.append(self.features(clip, frames, rng, train))
            mels.append(self.voices.windows(clip, frames, int(rng.integers(versions))))
        return {"frames": torch.cat(features), "mel": torch.from_numpy(np.concatenate(mels))}

    def lip_features(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """f^a of the voice and f^v of the frames, each [B K+1 D]."""
        moments = (-1, NEGATIVES + 1)
        features = self.encoded(batch["frames"])
        voice, _ = self.voice(batch["mel"])
        return voice.float().unflatten(0, moments), self.faces.lip_feature(features).float().unflatten(0, moments)

    def losses(self, optimizer: str, batch: Batch) -> dict[str, Tensor]:
        voice, lips = self.lip_features(batch)
        return {
            "a2v": audio_to_video(voice, lips, self.data.temperature),
            "v2a": video_to_audio(voice, lips, self.data.temperature),
        }

    def scores(self, batch: Batch) -> dict[str, float]:
        """a2v, and accuracy: % of moments whose voice is nearer to their own lips than to those of the eight others;
        11 % by chance."""
        voice, lips = self.lip_features(batch)
        near = F.cosine_similarity(voice[:, :, None], lips[:, None], dim=-1)
        right = near.argmax(2) == torch.arange(near.shape[1], device=near.device)
        a2v = audio_to_video(voice, lips, self.data.temperature)
        return {"accuracy": 100 * float(right.float().mean()), "a2v": float(a2v)}


class Lip(CompactStage, LipStage):
    """Stage 2a of the compact preset."""


class PaperLip(PaperStage, LipStage):
    """Stage 2a of the paper preset."""


# ---- 2b
class EyeStage(EncoderStage):
    """Stage 2b: E_eye follows the eyes into another face. Losses: eye (eq. 4), and three that the paper does not have,
    which separate blink from gaze. They use mirrored eyes, which keep their lids and look the other way.

        lids  eq. 4 on the entries of blink: v_1 and v_2; anchor: the mirrored eyes of v_1 in the face of v_2
        gaze  eq. 4 on the entries of gaze: v_1 with all other frames and the mirrored eyes as negatives, which alone
              would teach left and right only; anchor: the eyes of v_1 in the face of v_2
        eye_decorrelation  eq. 6 between the two kinds of entries
    All anchors have the face of v_2. With the face of v_1 the encoder could compare the mouth and not the eyes.
    A cosine compares directions, which are one number of the two of gaze. Therefore lids and gaze get a third entry,
    always 1, with which their lengths count.
    """

    trains, updates = ("motion",), ("eye",)
    data_type = EyeData
    # The colours of each view are its own; a warp of the whole picture would move the eyes within the face.
    augmentation = COLOURS
    data: EyeData

    def batch(self, store: ClipStore, rng: np.random.Generator, train: bool, pictures: int = 0) -> Batch:
        """name of VIEWS -> [B ...], see `features`."""
        rows = []
        for _ in range(self.config.batch_size):
            clip = Clip(store, store.draw(rng))
            if self.cache and train:
                version = self.version(rng, train)
                make = partial(self.swapped_views, clip, np.random.default_rng((clip.number, version)), train)
                rows.append(self.cache.rows("pd_fgc-eyes", clip, version, make))
            else:
                rows.append(self.swapped_views(clip, rng, train))
        return dict(zip(VIEWS, torch.stack(rows, 1), strict=True))

    def swapped_views(self, clip: Clip, rng: np.random.Generator, train: bool) -> Tensor:
        """`frame_views` of VIEWS, of random frames of a clip, [7 ...]."""
        count = 2 + len(OTHERS)
        moments = clip.moments(rng.choice(len(clip), count, replace=False).tolist())
        one, two, points = *(moments.images[k] for k in (0, 1)), moments.keypoints
        images = np.stack([
            *moments.images, swap_eyes(one, two, points[0], points[1]),
            swap_eyes(one, two, points[0], points[1], mirror=True),
        ])  # fmt: skip
        faces = [*range(count), 1, 1]  # number of the frame whose face a view shows
        return self.frame_views(rng, Moments(images, *(getattr(moments, name)[faces] for name in LABELS)), train)

    def eye_latents(self, batch: Batch) -> dict[str, Tensor]:
        """name of VIEWS -> latent [B 6]."""
        features = self.encoded(torch.cat(list(batch.values())))
        return dict(zip(batch, self.faces.eye(features).float().chunk(len(batch)), strict=True))

    def losses(self, optimizer: str, batch: Batch) -> dict[str, Tensor]:
        eye = self.eye_latents(batch)
        lids, gaze = (
            {n: F.pad(v[:, list(entries)], (0, 1), value=1.0) for n, v in eye.items()} for entries in (BLINK, GAZE)
        )
        t = self.data.temperature
        negatives = torch.stack([gaze[name] for name in ("second", *OTHERS, "mirrored")], 1)
        every = torch.cat(list(eye.values()))
        return {
            "eye": eye_contrast(eye["first"], eye["second"], eye["anchor"], t),
            "lids": eye_contrast(lids["first"], lids["second"], lids["mirrored"], t),
            "gaze": eye_contrast(gaze["first"], negatives, gaze["anchor"], t),
            "eye_decorrelation": correlations(every[:, list(BLINK)], every[:, list(GAZE)]).square().mean(),
        }

    def scores(self, batch: Batch) -> dict[str, float]:
        """The losses, and accuracy: % of anchors that are nearer to the frame of their eyes than to that of their
        face; 50 % by chance."""
        eye, near = self.eye_latents(batch), F.cosine_similarity
        right = near(eye["first"], eye["anchor"]) > near(eye["second"], eye["anchor"])
        return super().scores(batch) | {"accuracy": 100 * float(right.float().mean())}


class Eye(CompactStage, EyeStage):
    """Stage 2b of the compact preset."""


class PaperEye(PaperStage, EyeStage):
    """Stage 2b of the paper preset."""


# ---- 2c
class PoseStage(EncoderStage):
    """Stage 2c: E_pose by regression. Loss: pose (eq. 5); the label is the fit of the head to the true keypoints."""

    trains, updates = ("motion",), ("pose",)
    augmentation = COLOURS  # a warp of the frame would change its pose

    def __init__(self, config: StageConfig) -> None:
        super().__init__(config)
        self.rig = load_generator({"head": self.data.head}).rig  # on the CPU, where batches are made

    def batch(self, store: ClipStore, rng: np.random.Generator, train: bool, pictures: int = 0) -> Batch:
        points, features = [], []
        for _ in range(self.config.batch_size):
            clip = Clip(store, store.draw(rng))
            frame = int(rng.integers(len(clip)))
            features.append(self.features(clip, [frame], rng, train))
            points.append(self.moments(clip, [frame], pictured=False).keypoints[0])
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            true = pose_target(self.rig.unpose(torch.from_numpy(np.stack(points).astype(np.float32))))
        return {"frame": torch.cat(features), "pose": true}

    def losses(self, optimizer: str, batch: Batch) -> dict[str, Tensor]:
        return {"pose": pose_regression(self.faces.pose(self.encoded(batch["frame"])).float(), batch["pose"])}


class Pose(CompactStage, PoseStage):
    """Stage 2c of the compact preset."""


class PaperPose(PaperStage, PoseStage):
    """Stage 2c of the paper preset."""
