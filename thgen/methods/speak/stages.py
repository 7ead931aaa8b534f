"""Stage 1 of SPEAK's paper preset, IRFD (section 3.1), and what all its stages share. Stages 2a, 2b: head_stages.

A stage sees pictures and voices of clips, which clips are of one person, and, as MEAD has them, names of emotions.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from thgen.errors import TrainingError
from thgen.face.crop import resized
from thgen.methods.speak import equations as eq
from thgen.methods.speak.networks import EmotionEncoder, Encoder, Reconstructor
from thgen.methods.speak.stage_settings import IrfdData, PaperModel
from thgen.schema import EMOTIONS
from thgen.synth.motion import emotion_at
from thgen.training.clip_task import ClipTask
from thgen.training.config import StageConfig
from thgen.training.data.samples import Clip, Moments, tensor
from thgen.training.data.store import ClipStore
from thgen.training.task import Batch
from thgen.weights.manifest import HIGHER

PREFIX = "speak_paper_"  # of weights names
IDENTITY, EMOTION, POSE = range(3)  # places of the three codes, in the order of I_d(i, m, p)
ENCODERS = ("identity", "emotion", "pose")
CLASSES = {name: number for number, name in enumerate(EMOTIONS)}  # MEAD's eight
UNKNOWN = -1  # class of a frame whose emotion nobody named
CENTRE_CLIPS = 512  # clips whose frames give the mean code of each emotion
CENTRE_FRAMES = 4  # of each of them
CENTRE_BATCH = 16  # frames per pass

N = TypeVar("N", bound=nn.Module)


def emotion_of(clip: Clip, frame: int) -> int:
    """Class of a frame's emotion, or UNKNOWN."""
    return CLASSES.get(emotion_at(clip.store.emotions(clip.number), frame) or "", UNKNOWN)


class SpeakStage(ClipTask):
    """A stage of SPEAK. Its checkpoints have some of these modules:

        identity  E_i    emotion  E_e    pose  E_p    classifier  C_m    irfd  G_d
        voice  E_a       editing  the editing module  generator  G_g     discriminator  D

    updates: modules of the optimizer "generator";  trains: modules whose weights are exported
    """

    updates: ClassVar[tuple[str, ...]]
    trains: ClassVar[tuple[str, ...]]
    model_type = PaperModel
    side: int  # px of pictures
    emotion: EmotionEncoder

    def __init__(self, config: StageConfig) -> None:
        super().__init__(config)
        self.optimizers = self.adversarial_optimizers(list(self.updates))
        self.exports = tuple(PREFIX + name for name in self.trains)

    def new(self, network: type[N], part: str, **given: Any) -> N:
        """A network with the settings of `model.part`, and what the other networks decide. Raises TrainingError."""
        try:
            return network(**given, **self.config.model.get(part, {}))
        except ValueError as error:
            raise TrainingError(f"{self.config.where}: model.{part}: {error}.") from error

    def new_encoders(self) -> dict[str, nn.Module]:
        self.identity, self.pose = self.new(Encoder, "encoder"), self.new(Encoder, "encoder")
        self.emotion = self.new(EmotionEncoder, "encoder")
        return {"identity": self.identity, "emotion": self.emotion, "pose": self.pose}

    def networks(self) -> dict[str, tuple[dict[str, Tensor], dict[str, Any]]]:
        """Those of `trains`."""
        return {
            PREFIX + name: (self.modules[name].state_dict(), dict(self.modules[name].config))  # type: ignore[arg-type]
            for name in self.trains
        }

    # ---- data
    def views(self, clip: Clip, frames: list[int]) -> Tensor:
        """Frames of a clip, [n 3 side side]."""
        return tensor(resized(clip.moments(frames).images, self.side))

    def photo_features(self, clip: Clip, frame: int, rng: np.random.Generator, train: bool) -> Tensor:
        return self.views(clip, [frame])

    def frame_views(self, rng: np.random.Generator, moments: Moments, augmented: bool) -> Tensor:
        return tensor(resized(moments.images, self.side))

    # ---- export
    @torch.no_grad()
    def with_centres(self) -> EmotionEncoder:
        """A copy of E_e with the mean code of each emotion over labelled frames of clips (deviation 21)."""
        found: dict[int, list[Tensor]] = {number: [] for number in CLASSES.values()}
        rng = np.random.default_rng(0)
        for number in range(min(CENTRE_CLIPS, len(self.store))):
            clip = Clip(self.store, number)
            labels = [emotion_of(clip, frame) for frame in range(len(clip))]
            known = [frame for frame in rng.permutation(len(clip)).tolist() if labels[frame] != UNKNOWN]
            for frame in known[:CENTRE_FRAMES]:
                found[labels[frame]].append(self.views(clip, [frame]))
        made = copy.deepcopy(self.emotion)
        for label, views in found.items():
            if views:
                parts = torch.cat(views).split(CENTRE_BATCH)
                codes = torch.cat([self.emotion(part.to(self.device)).float() for part in parts])
                made.centres[label], made.seen[label] = codes.mean(0), 1.0
        return made

    def export(self) -> dict[str, tuple[dict[str, Tensor], dict[str, Any]]]:
        """The networks, E_e with the means of the emotions."""
        networks = self.networks()
        if "emotion" in self.trains:
            networks[PREFIX + "emotion"] = (self.with_centres().state_dict(), dict(self.emotion.config))
        return networks


class Irfd(SpeakStage):
    """Stage 1: three encoders and G_d learn to exchange one factor of two pictures. Losses: those of eq. 8, by the
    names of `equations.IRFD`."""

    updates = (*ENCODERS, "classifier", "irfd")
    trains = (*ENCODERS, "irfd")
    data_type = IrfdData
    data: IrfdData
    better: ClassVar[Mapping[str, str]] = {"accuracy": HIGHER, **ClipTask.better}

    def build(self) -> dict[str, nn.Module]:
        encoders = self.new_encoders()
        self.irfd = self.new(Reconstructor, "irfd", codes=self.identity.features)
        self.classifier = nn.Linear(self.emotion.features, len(EMOTIONS))
        self.side = self.irfd.size
        return {**encoders, "classifier": self.classifier, "irfd": self.irfd}

    def batch(self, store: ClipStore, rng: np.random.Generator, train: bool, pictures: int = 0) -> Batch:
        """B pairs of frames: "pictures" [2 B 3 side side], S and T; "emotions" [2 B], their classes; "differ" [B], 1
        for two people; "swap" [B], the place of the code that they exchange."""
        shown: tuple[list[Tensor], list[Tensor]] = ([], [])
        labels: tuple[list[int], list[int]] = ([], [])
        differ = []
        for _ in range(self.config.batch_size):
            first = store.draw(rng)
            second = first if rng.random() < self.data.same_share else store.draw(rng)
            for side, number in enumerate((first, second)):
                clip = Clip(store, number)
                frame = int(rng.integers(len(clip)))
                shown[side].append(self.views(clip, [frame])[0])
                labels[side].append(emotion_of(clip, frame))
            differ.append(float(store.clips[first].identity != store.clips[second].identity))
        swap = rng.integers(len(ENCODERS), size=len(differ))
        return {
            "pictures": torch.stack([torch.stack(side) for side in shown]), "emotions": torch.tensor(labels),
            "differ": torch.tensor(differ), "swap": torch.from_numpy(swap),
        }  # fmt: skip

    def codes(self, pictures: Tensor) -> Tensor:
        """f_I, f_E and f_P of pictures [n 3 S S], [n 3 D]."""
        return torch.stack([self.modules[name](pictures).float() for name in ENCODERS], 1)

    def losses(self, optimizer: str, batch: Batch) -> dict[str, Tensor]:
        printed, pair = self.data.as_printed, batch["pictures"]
        own = self.codes(pair.flatten(0, 1)).unflatten(0, pair.shape[:2])  # [2 B 3 D]
        given = swapped(own, batch["swap"])
        made = self.irfd(torch.cat([own, given]).flatten(0, 1)).float().unflatten(0, (4, -1))
        read = self.codes(made[2:].flatten(0, 1)).unflatten(0, pair.shape[:2])
        taken = swapped(read, batch["swap"])  # [2 B 3 D]: of each factor, as read from the picture that has it
        true = made[:2] if printed else pair
        logits = self.classifier(own[:, :, EMOTION].flatten(0, 1))

        def sides(place: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
            return own[0, :, place], taken[0, :, place], own[1, :, place], taken[1, :, place]

        return {
            "identity": eq.identity(*sides(IDENTITY), batch["differ"], self.data.alpha, printed),
            "cls": eq.classes(logits, batch["emotions"].flatten()),
            "pose": eq.kept(*sides(POSE), printed),
            "emotion": eq.kept(*sides(EMOTION), printed),
            "self": eq.itself(made[0], made[1], true[0], true[1]),
        }

    def scores(self, batch: Batch) -> dict[str, float]:
        """Terms of eq. 8; "copy", eq. 7 of the other picture; accuracy, % of labelled emotions that C_m names."""
        pair, labels = batch["pictures"], batch["emotions"].flatten()
        named = self.classifier(self.emotion(pair.flatten(0, 1)).float()).argmax(1)
        known = labels != UNKNOWN
        found = self.losses("generator", batch) | {"copy": eq.itself(pair[1], pair[0], pair[0], pair[1])}
        right = (named == labels)[known].float().mean() if known.any() else torch.zeros(())
        return {name: float(value) for name, value in found.items()} | {"accuracy": 100 * float(right)}


def swapped(codes: Tensor, swap: Tensor) -> Tensor:
    """Codes of S and T, [2 B 3 D], with the code at `swap` [B] exchanged."""
    place = torch.arange(codes.shape[2], device=codes.device) == swap[:, None]
    return torch.where(place[None, :, :, None], codes.flip(0), codes)
