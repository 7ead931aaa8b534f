"""The stages of PD-FGC in the order of the paper: 1 appearance and motion, 2a lip, 2b eye, 2c pose, 3 expression.

Each starts from the one before (`init`) and moves only the modules of its `players`; the rest is frozen. No true factor
but pose supervises a latent: keypoints of the whole target frame teach the painter, and through it what it is fed.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from thgen.errors import TrainingError
from thgen.losses.correlation import correlations
from thgen.methods.pd_fgc import (
    BLINK,
    GAZE,
    WINDOW,
    audio_to_video,
    eye_contrast,
    lip_decorrelation,
    pose_regression,
    pose_target,
    video_to_audio,
    window_average,
)
from thgen.networks.motion_head import FaceState
from thgen.preprocess.composite import swap_eyes
from thgen.training.data import ClipStore
from thgen.training.frames import LABELS, ROTATION, Moments, Voices, apart, joined, moments, turned
from thgen.training.pd_fgc_parts import PdFgcStage
from thgen.training.pictures import eye_difference, load_generator, pose_difference
from thgen.training.stage import StageConfig
from thgen.training.task import Batch

NEGATIVES = 8  # K of eq. 2 and 3
MORE = ("third", "fourth", "fifth")  # further frames of the clip whose eyes are no match
VIEWS = ("first", "second", *MORE, "anchor", "turned")  # of eq. 4: v_1, v_2, v_a, and v_a with its eyes mirrored
VALIDATION, HELD = 6, 24  # batches; of the scores with the expression held
EDGE = 12  # frames at either end of a clip that no validation is about, so that windows of any size can be compared
AT_REST = 0.5  # share of photos that are a clip's first frame: most photos, and the first frames, show faces at rest
EVERY = 5  # frames of a clip from one that may be the photo to the next


def mean_scores(batches: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([b[name] for b in batches])) for name in batches[0]}


class AppearanceMotion(PdFgcStage):
    """Stage 1: E_app, E_mot and G_0 rebuild a frame from the photo's appearance and the frame's motion, whose branch
    sees it in other colours and perspective. Losses: keypoints (compact), image, vgg, adversarial, matching, motion."""

    def __init__(self, config: StageConfig) -> None:
        super().__init__(config)
        self.players = {"generator": ["appearance", "motion", "painter0"]}
        if "discriminator" in config.losses:
            self.players["discriminator"] = ["discriminator"]

    def batch(self, store: ClipStore, rng: np.random.Generator, train: bool, pictures: int = 0) -> Batch:
        found = []
        for _ in range(self.config.batch_size):
            number = store.draw(rng)
            frames = len(store.clips[number].frames)
            found.append(moments(store, number, rng.choice(frames, 2, replace=False).tolist()))
        seen = {f"frame_{name}": self.views(rng, joined(found, k), train) for k, name in enumerate("st")}
        return self.pairs(found, pictures) | seen

    def losses(self, player: str, batch: Batch) -> dict[str, Tensor]:
        if player == "discriminator":
            return self.judge(batch)
        return self.picture_losses(self.drawn(batch), batch)

    def drawn(self, batch: Batch) -> dict[str, Any]:
        vector, start = self.appearance_of(batch["photo"])
        own, moved = (self.faces(batch[name]).float() for name in ("frame_s", "frame_t"))
        latents = [torch.cat([vector, feature], 1) for feature in (own, moved)]
        return self.draw(self.modules["painter0"], latents[0], latents[1], start, batch)

    def validate(self) -> dict[str, float]:
        """keypoints: their error as in the loss; copy: that of the photo left as it is; mouth, iris_L and the others:
        see Stand.group_errors."""
        found = []
        for number in range(VALIDATION):
            batch = self._held(number)
            drawn = self.drawn(batch)
            terms = self.picture_losses(drawn, batch) | drawn.get("groups", {})
            found.append({n: float(v) for n, v in terms.items()} | self._copy(batch))
        return mean_scores(found)

    def _held(self, number: int) -> Batch:
        batch = self.batch(self.val_store, np.random.default_rng((7, number)), train=False)
        return {n: v.to(self.device) if isinstance(v, Tensor) else v for n, v in batch.items()}

    def _copy(self, batch: Batch) -> dict[str, float]:
        if self.stand is None:
            return {}
        error = (batch["keypoints_s"] - batch["keypoints_t"]).abs() * batch["keypoints_s"].new_tensor([1.0, 1.0, 0.3])
        return {"copy": float(100 * (error.sum(2) * self.stand.weight).mean() / self.stand.weight.mean())}


class Lip(PdFgcStage):
    """Stage 2a: E_lip and E_aud find each other among K + 1 moments of a clip. Losses: a2v (eq. 2), v2a (eq. 3)."""

    def __init__(self, config: StageConfig) -> None:
        super().__init__(config)
        self.players = {"main": ["lip", "audio"]}
        self.temperature = float(config.data.get("temperature", 0.1))
        self.voices = Voices()

    def batch(self, store: ClipStore, rng: np.random.Generator, train: bool, pictures: int = 0) -> Batch:
        seen, mels = [], []
        versions = int(self.config.data.get("versions", 3)) if train else 1
        for _ in range(self.config.batch_size):
            number = store.draw(rng)
            total, least = len(store.clips[number].frames), int(self.config.data.get("apart", 3))
            frames = apart(rng, total, NEGATIVES + 1, least)
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

    def __init__(self, config: StageConfig) -> None:
        super().__init__(config)
        self.players = {"main": ["eye"]}
        self.temperature = float(config.data.get("temperature", 0.1))

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

    def __init__(self, config: StageConfig) -> None:
        super().__init__(config)
        self.players = {"main": ["pose"]}
        self.rig = load_generator(dict(config.data)).rig  # batches are made on the CPU

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


class Expression(AppearanceMotion):
    """Stage 3: E_exp and G rebuild a frame from appearance, voice, eyes, pose and the average expression of a window.
    Losses: keypoints (compact), image, decorrelation (eq. 6), vgg (eq. 7), adversarial, matching, consistency (eq. 8),
    and of the compact preset: steady, what eq. 8 asks of pictures, asked of states whose other latents are exchanged;
    plain, the least coefficients that lead to these keypoints, which do not tell all of them apart.

    data.window: frames of the average; data.seen: share of rows whose lips come from the picture, as those of a driving
    clip do; data.freeze: leave E_exp as it is (the paper does so after 40,000 steps: stage 3b).
    """

    turn, distorted = ROTATION, staticmethod(turned)  # of the window's frames

    def __init__(self, config: StageConfig) -> None:
        super().__init__(config)
        self.window = int(config.data.get("window", WINDOW))
        moved = ["painter", "embed"] if config.data.get("freeze") else ["expression", "painter", "embed"]
        self.players = {"generator": moved}
        if "discriminator" in config.losses:
            self.players["discriminator"] = ["discriminator"]
        self.voices = Voices()
        if self.kept and not self.compact:
            raise TrainingError("data.keep keeps no appearance maps, which the paper preset starts from: leave it out.")

    def batch(self, store: ClipStore, rng: np.random.Generator, train: bool, pictures: int = 0) -> Batch:
        found, mels = [], []
        views: dict[str, list[Any]] = {"window": [], "seen_s": [], "seen_t": [], "appearance": []}
        for row in range(self.config.batch_size):
            number = store.draw(rng)
            total, half = len(store.clips[number].frames), self.window // 2
            if total < self.window:
                raise TrainingError(f"The clips in {store.folder} have {total} frames, the window {self.window}.")
            step = EVERY if self.kept else 1
            margin = half if train else max(half, min(EDGE, (total - 1) // 2))
            centre, photo = int(rng.integers(margin, total - margin)), step * int(rng.integers(-(-total // step)))
            photo = 0 if train and rng.random() < AT_REST else photo
            around = list(range(centre - half, centre + half + 1))
            if self.kept:
                seen = self.kept.clip(store, number, 0)
                views["window"].append(self.kept.clip(store, number, self.version(rng, train), "turned")[around])
                views["seen_s"].append(seen[[photo]])
                views["seen_t"].append(seen[[centre]])
                views["appearance"].append(self._photos(store, number)[[photo // EVERY]])
                shown = row < pictures
                found.append((moments if shown else self.kept.truth)(store, number, [photo, centre]))
            else:
                found.append(moments(store, number, [photo, centre]))
                views["window"].append(self.views(rng, moments(store, number, around), train))
            version = int(rng.integers(int(self.config.data.get("versions", 3)))) if train else 0
            mels.append(self.voices.windows(store, number, [centre], version))
        by_sight = rng.random(len(found)) < float(self.config.data.get("seen", 0.3))
        batch = self.pairs(found, pictures) | {
            "mel": torch.from_numpy(np.concatenate(mels)),
            "by_sight": torch.from_numpy(by_sight.astype(np.float32))[:, None],
        }
        if self.kept:
            return batch | {name: torch.cat(rows) for name, rows in views.items()}
        frames = {f"frame_{name}": self.views(rng, joined(found, k), False) for k, name in enumerate("st")}
        return batch | frames | {"window": torch.cat(views["window"])}

    def _photos(self, store: ClipStore, number: int) -> Tensor:
        """Appearance vectors of every EVERY-th frame of a clip, kept."""
        assert self.kept

        def make() -> Tensor:
            return self.small(store.load(number, names=("gaze",))[0][::EVERY])

        @torch.no_grad()
        def see(photos: Tensor) -> Tensor:
            with self.autocast():
                return self.appearance_of(photos.to(self.device))[0]

        return self.kept.rows("appearance", store, number, 0, make, see)

    def seen(self, batch: Batch) -> tuple[Tensor, Tensor | None, Tensor, Tensor, Tensor]:
        """What nothing of this stage moves: appearance's vector and map; features of photo, target and window."""
        if "appearance" in batch:
            return batch["appearance"], None, batch["seen_s"], batch["seen_t"], batch["window"]
        with torch.no_grad():
            vector, start = self.appearance_of(batch["photo"])
        return vector, start, self.see(batch["frame_s"]), self.see(batch["frame_t"]), self.see(batch["window"])

    @torch.no_grad()
    def codes(self, seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of features [B F]: lip feature, eye and pose, none of which this stage moves."""
        lip, eye, pose = (f(seen).float() for f in (self.faces.lip_feature, self.faces.eye, self.faces.pose))
        return lip, eye, pose

    def drawn(self, batch: Batch, held: bool = False) -> dict[str, Any]:
        """held: with the expression of the photo in the place of the window's."""
        vector, start, seen_s, seen_t, around = self.seen(batch)
        with torch.no_grad():
            voice, _ = self.voice(batch["mel"])
        expression = window_average(self.faces.expression(around).float().unflatten(0, (-1, self.window)))
        lip_s, eye_s, pose_s = self.codes(seen_s)
        lip_t, eye_t, pose_t = self.codes(seen_t)
        expression_s = self.faces.expression(seen_s).float()
        by_sight = batch["by_sight"]
        heard = by_sight * self.voice.embed(lip_t) + (1 - by_sight) * self.voice.embed(voice.float())
        own = self.latents.join(vector, self.voice.embed(lip_s).float(), expression_s, eye_s, pose_s)
        codes = (vector, heard.float(), expression_s if held else expression, eye_t, pose_t)
        drawn = self.draw(self.modules["painter"], own, self.latents.join(*codes), start, batch)
        heard_lip = self.voice.embed(voice.float())
        return drawn | {"expression": expression, "voice": voice.float(), "lip": heard_lip, "codes": codes}

    def steady(
        self, here: FaceState, appearance: Tensor, lip: Tensor, expression: Tensor, eye: Tensor, pose: Tensor
    ) -> Tensor:
        """Latents and the state `here` that they lead to -> how far pose and eyes follow the others.

        Eq. 8 wants gaze and motion of a picture to be those of what drives it. Here all latents come from one frame,
        so it holds also if expression carries the pose. Therefore each row gets the others' latents, and its pose must
        stay when lips, expression and eyes are another's, its eyes when lips, expression and pose are."""
        painter, join = self.modules["painter"], self.latents.join
        other = {name: x.roll(1, 0) for name, x in (("lip", lip), ("exp", expression), ("eye", eye), ("pose", pose))}
        posed = painter(join(appearance, other["lip"], other["exp"], other["eye"], pose))
        looking = painter(join(appearance, other["lip"], other["exp"], eye, other["pose"]))
        return pose_difference(posed, here) + eye_difference(looking, here)

    def validate(self) -> dict[str, float]:
        """Also the errors of mouth and brows (see Stand.group_errors), and "held": of the mouth when the expression is
        the photo's. Told apart from the lips, it may be held without harm to them (tables 4 and 5 of the paper)."""
        scores = super().validate()
        if self.stand is None:
            return scores
        found = []
        for number in range(HELD):
            batch = self._held(number) | {"by_sight": 0}
            own, held = (self.drawn(batch, held)["groups"] for held in (False, True))
            found.append({"mouth": float(own["mouth"]), "brows": float(own["brows"]), "held": float(held["mouth"])})
        return scores | mean_scores(found)

    def losses(self, player: str, batch: Batch) -> dict[str, Tensor]:
        if player == "discriminator":
            return self.judge(batch)
        drawn = self.drawn(batch)
        terms = self.picture_losses(drawn, batch)
        bank = self.modules["bank"]
        terms["decorrelation"] = lip_decorrelation(drawn["expression"], drawn["lip"], bank)  # type: ignore[arg-type]
        if self.faces.emo_embed.training:
            bank.push(drawn["expression"], drawn["lip"])  # type: ignore[operator]
        if "steady" in self.config.losses:
            terms["steady"] = self.steady(drawn["state"], *drawn["codes"])
        if "consistency" in self.config.losses:
            made = drawn.get("made")
            terms["consistency"] = (
                self.consistency_loss(made.float(), batch, drawn["voice"][: len(made)])
                if made is not None else batch["keypoints_s"].new_zeros(())
            )  # fmt: skip
        return terms
