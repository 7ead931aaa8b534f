"""Stages 1 (appearance and motion) and 3 (expression) of PD-FGC, which draw pictures; 2a to 2c: pd_fgc_encoders.

Each stage starts from the one before (`init`) and moves only the modules of its `players`; the rest is frozen. No true
factor but pose supervises a latent: keypoints of the whole target frame teach the painter, and it teaches the encoders.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from thgen.compact.frozen_generator import eye_difference, pose_difference
from thgen.compact.motion_head import FaceState
from thgen.errors import TrainingError
from thgen.methods.pd_fgc.equations import lip_decorrelation, window_average
from thgen.methods.pd_fgc.stage_parts import VALIDATION, PdFgcStage, mean_scores
from thgen.methods.pd_fgc.stage_settings import ExpressionData, PictureData
from thgen.training.config import StageConfig
from thgen.training.data.samples import ROTATION, Voices, joined, moments, turned
from thgen.training.data.store import ClipStore
from thgen.training.task import Batch

HELD = 24  # batches of the scores with the expression held
EDGE = 12  # frames at either end of a clip that no validation is about, so that windows of any size can be compared
AT_REST = 0.5  # share of photos that are a clip's first frame: most photos, and the first frames, show faces at rest
EVERY = 5  # frames of a clip from one that may be the photo to the next


class AppearanceMotion(PdFgcStage):
    """Stage 1: E_app, E_mot and G_0 rebuild a frame from the photo's appearance and the frame's motion, whose branch
    sees it in other colours and perspective. Losses: keypoints (compact), image, vgg, adversarial, matching, motion."""

    trains: tuple[str, ...] = ("appearance", "motion")
    data_type = PictureData
    data: PictureData

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
        see FrozenGenerator.group_errors. The paper preset has no keypoints, so no score."""
        found = []
        for number in range(VALIDATION):
            batch = self._held(number)
            drawn = self.drawn(batch)
            terms = {n: drawn[n] for n in ("keypoints", "shape", "plain") if n in drawn} | drawn.get("groups", {})
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


class Expression(AppearanceMotion):
    """Stage 3: E_exp and G rebuild a frame from appearance, voice, eyes, pose and the average expression of a window.
    Losses: keypoints (compact), image, decorrelation (eq. 6), vgg (eq. 7), adversarial, matching, consistency (eq. 8),
    and of the compact preset: steady, what eq. 8 asks of pictures, asked of states whose other latents are exchanged;
    plain, the least coefficients that lead to these keypoints, which do not tell all of them apart.

    What it writes belongs together: the zero of the latents is moved in motion, audio and painter at once, so motion is
    written also where E_exp is frozen.
    """

    trains = ("motion", "audio", "painter")
    data_type = ExpressionData
    data: ExpressionData

    turn, distorted = ROTATION, staticmethod(turned)  # of the window's frames

    def __init__(self, config: StageConfig) -> None:
        super().__init__(config)
        self.window = self.data.window
        moved = ["painter", "embed"] if self.data.freeze else ["expression", "painter", "embed"]
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
            version = int(rng.integers(self.data.versions)) if train else 0
            mels.append(self.voices.windows(store, number, [centre], version))
        by_sight = rng.random(len(found)) < self.data.seen
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
        """Also the errors of mouth and brows (FrozenGenerator.group_errors), and "held": of the mouth when the
        expression is the photo's. Told apart from the lips, it may be held without harm to them (tables 4 and 5)."""
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
