"""Stages 2a lip, 2b eye and 2c pose of PD-FGC: each teaches one of the encoders on the motion feature of stage 1.

No true factor but pose supervises a latent, and pose comes from the keypoints of the frame.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from thgen.compact.frozen_generator import load_generator
from thgen.losses.correlation import correlations
from thgen.methods.pd_fgc.equations import audio_to_video, eye_contrast, pose_regression, pose_target, video_to_audio
from thgen.methods.pd_fgc.eye_swap import swap_eyes
from thgen.methods.pd_fgc.latents import BLINK, GAZE
from thgen.methods.pd_fgc.stage_parts import VALIDATION, PdFgcStage, mean_scores
from thgen.methods.pd_fgc.stage_settings import EyeData, KeptData, LipData
from thgen.training.config import StageConfig
from thgen.training.data.samples import LABELS, Moments, Voices, apart, moments
from thgen.training.data.store import ClipStore
from thgen.training.task import Batch

NEGATIVES = 8  # K of eq. 2 and 3
MORE = ("third", "fourth", "fifth")  # further frames of the clip whose eyes are no match
VIEWS = ("first", "second", *MORE, "anchor", "turned")  # of eq. 4: v_1, v_2, v_a, and v_a with its eyes mirrored


class Lip(PdFgcStage):
    """Stage 2a: E_lip and E_aud find each other among K + 1 moments of a clip. Losses: a2v (eq. 2), v2a (eq. 3)."""

    trains = ("motion", "audio")
    data_type = LipData
    data: LipData

    def __init__(self, config: StageConfig) -> None:
        super().__init__(config)
        self.players = {"main": ["lip", "audio"]}
        self.temperature = self.data.temperature
        self.voices = Voices()

    def batch(self, store: ClipStore, rng: np.random.Generator, train: bool, pictures: int = 0) -> Batch:
        seen, mels = [], []
        versions = self.data.versions if train else 1
        for _ in range(self.config.batch_size):
            number = store.draw(rng)
            frames = apart(rng, len(store.clips[number].frames), NEGATIVES + 1, self.data.apart)
            if self.kept:
                seen.append(self.kept.clip(store, number, self.version(rng, train))[frames])
            else:
                seen.append(self.views(rng, moments(store, number, frames), train))
            mels.append(self.voices.windows(store, number, frames, int(rng.integers(versions))))
        return {"seen" if self.kept else "frames": torch.cat(seen), "mel": torch.from_numpy(np.concatenate(mels))}

    def heard_and_seen(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Of voice and lips, [B K+1 D] each."""
        seen = batch["seen"] if "seen" in batch else self.see(batch["frames"])
        moments_of = (-1, NEGATIVES + 1)
        voice, _ = self.voice(batch["mel"])
        return voice.float().unflatten(0, moments_of), self.faces.lip_feature(seen).float().unflatten(0, moments_of)

    def losses(self, player: str, batch: Batch) -> dict[str, Tensor]:
        voice, lips = self.heard_and_seen(batch)
        return {
            "a2v": audio_to_video(voice, lips, self.temperature),
            "v2a": video_to_audio(voice, lips, self.temperature),
        }

    def validate(self) -> dict[str, float]:
        """found: how often the lips of nine moments that fit the voice best are the right ones (by chance 11 %)."""
        scores = []
        for number in range(VALIDATION):
            batch = self.batch(self.val_store, np.random.default_rng((7, number)), train=False)
            voice, lips = self.heard_and_seen({n: v.to(self.device) for n, v in batch.items()})
            near = F.cosine_similarity(voice[:, :, None], lips[:, None], dim=-1)
            right = torch.arange(near.shape[1], device=near.device)
            scores.append({"found": 100 * float((near.argmax(2) == right).float().mean()),
                           "a2v": float(audio_to_video(voice, lips, self.temperature))})  # fmt: skip
        return mean_scores(scores)


class Eye(PdFgcStage):
    """Stage 2b: E_eye follows the eyes into another face. Losses: eye (eq. 4), and, which the paper leaves open, what
    tells blink from gaze: an eye that is mirrored in its place keeps its lids and looks elsewhere, so
        lids  eq. 4 on the entries of blink: v_1, v_2, and the mirrored eyes of v_1 in the face of v_2 as the anchor
        looks eq. 4 on those of gaze: v_1 with its eyes in the face of v_2, against the same eyes mirrored there and
              other frames at once (mirrored eyes tell only left from right)
        apart eq. 6 between the two kinds of entries.
    All anchors lie in the face of v_2: in v_1's own they would be known by its mouth, too.
    Cosines see a latent's direction alone, which is one number of gaze's two: here a 1 is written behind the entries
    of lids and of gaze, so that their lengths count too.
    """

    trains = ("motion",)
    data_type = EyeData
    data: EyeData

    def __init__(self, config: StageConfig) -> None:
        super().__init__(config)
        self.players = {"main": ["eye"]}
        self.temperature = self.data.temperature

    def batch(self, store: ClipStore, rng: np.random.Generator, train: bool, pictures: int = 0) -> Batch:
        rows = []
        for _ in range(self.config.batch_size):
            number = store.draw(rng)
            if self.kept and train:
                version = self.version(rng, train)
                make = partial(self._views, store, number, np.random.default_rng((number, version)), train)
                rows.append(self.kept.rows("eye-views", store, number, version, make, self.see))
            else:
                views = self._views(store, number, rng, train)
                rows.append(self.see(views) if self.kept else views)
        return dict(zip(VIEWS, torch.stack(rows, 1), strict=True))

    def _views(self, store: ClipStore, number: int, rng: np.random.Generator, train: bool) -> Tensor:
        """VIEWS of a clip, [7 3 side side]."""
        count = 2 + len(MORE)
        found = moments(store, number, rng.choice(len(store.clips[number].frames), count, replace=False).tolist())
        one, other, points = *(found.images[k] for k in (0, 1)), found.keypoints
        images = np.stack([
            *found.images, swap_eyes(one, other, points[0], points[1]),
            swap_eyes(one, other, points[0], points[1], mirror=True),
        ])  # fmt: skip
        frame = [*range(count), 1, 1]  # whose face each shows
        shown = Moments(images, *(getattr(found, name)[frame] for name in LABELS))
        # The colours of each view are its own; a corner of the picture moved here would part eyes from face.
        return self.views(rng, shown, train, distort=self.compact)

    def latents_of(self, batch: Batch) -> dict[str, Tensor]:
        seen = torch.cat(list(batch.values()))
        seen = seen if self.kept else self.see(seen)
        return dict(zip(batch, self.faces.eye(seen).float().chunk(len(batch)), strict=True))

    def losses(self, player: str, batch: Batch) -> dict[str, Tensor]:
        eye = self.latents_of(batch)
        lids, looks = (
            {n: F.pad(v[:, list(entries)], (0, 1), value=1.0) for n, v in eye.items()} for entries in (BLINK, GAZE)
        )
        t = self.temperature
        others = torch.stack([looks[name] for name in ("second", *MORE, "turned")], 1)
        found = torch.cat(list(eye.values()))
        return {
            "eye": eye_contrast(eye["first"], eye["second"], eye["anchor"], t),
            "lids": eye_contrast(lids["first"], lids["second"], lids["turned"], t),
            "looks": eye_contrast(looks["first"], others, looks["anchor"], t),
            "apart": correlations(found[:, list(BLINK)], found[:, list(GAZE)]).square().mean(),
        }

    def validate(self) -> dict[str, float]:
        """The losses, and found: how often the anchor is nearer to the frame whose eyes it has."""
        scores = []
        for number in range(VALIDATION):
            batch = self.batch(self.val_store, np.random.default_rng((7, number)), train=False)
            batch = {n: v.to(self.device) for n, v in batch.items()}
            eye, near = self.latents_of(batch), F.cosine_similarity
            right = near(eye["first"], eye["anchor"]) > near(eye["second"], eye["anchor"])
            terms = {n: float(v) for n, v in self.losses("main", batch).items()}
            scores.append(terms | {"found": 100 * float(right.float().mean())})
        return mean_scores(scores)


class Pose(PdFgcStage):
    """Stage 2c: E_pose by regression. Loss: pose (eq. 5), to what a fit of the head to the true keypoints says."""

    trains = ("motion",)
    data_type = KeptData
    data: KeptData

    def __init__(self, config: StageConfig) -> None:
        super().__init__(config)
        self.players = {"main": ["pose"]}
        self.rig = load_generator({"head": self.data.head}).rig  # batches are made on the CPU

    def batch(self, store: ClipStore, rng: np.random.Generator, train: bool, pictures: int = 0) -> Batch:
        points, seen = [], []
        for _ in range(self.config.batch_size):
            number = store.draw(rng)
            frame = [int(rng.integers(len(store.clips[number].frames)))]
            if self.kept:
                seen.append(self.kept.clip(store, number, self.version(rng, train))[frame])
            else:
                seen.append(self.views(rng, moments(store, number, frame), train, distort=False))
            points.append(store.truth(number, ("keypoints",))["keypoints"][frame[0]])
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            true = pose_target(self.rig.unpose(torch.from_numpy(np.stack(points))))
        return {"seen" if self.kept else "frame": torch.cat(seen), "pose": true}

    def losses(self, player: str, batch: Batch) -> dict[str, Tensor]:
        seen = batch["seen"] if "seen" in batch else self.see(batch["frame"])
        return {"pose": pose_regression(self.faces.pose(seen).float(), batch["pose"])}

    def validate(self) -> dict[str, float]:
        batches = (self.batch(self.val_store, np.random.default_rng((7, n)), False) for n in range(VALIDATION))
        return mean_scores([
            {n: float(v) for n, v in self.losses("main", {k: x.to(self.device) for k, x in b.items()}).items()}
            for b in batches
        ])  # fmt: skip
