"""The networks of PD-FGC in training: which of them a stage trains and exports, and the two presets.

A stage is written once, as a subclass of PdFgcStage. A preset adds the input of the encoders and the decoder of the
latents. The compact preset decodes a movement of the photo (CompactStage), the paper's a picture (PaperStage).
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thgen.audio.mel import mel_spectrogram, mel_windows
from thgen.compact.motion_head import MotionHead
from thgen.compact.task import CompactTask
from thgen.face.crop import resized
from thgen.losses.correlation import MemoryBank
from thgen.methods.pd_fgc.latents import Latents
from thgen.methods.pd_fgc.networks import Appearance, AudioLip, FaceAppearance, FaceMotion, Motion, MotionBase
from thgen.methods.pd_fgc.stage_settings import CompactModel, PaperModel, PdFgcData
from thgen.nn.discriminators import PatchDiscriminator
from thgen.nn.stylegan2 import StyleGenerator
from thgen.schema import FPS, SAMPLE_RATE
from thgen.training.clip_task import ClipTask, Drawn
from thgen.training.data.samples import Clip, Moments, jittered, tensor
from thgen.training.task import Batch
from thgen.weights.manifest import HIGHER

ZERO_CLIPS = 64  # clips over whose frames latents are averaged for their zero (deviation 14)
Exported = dict[str, tuple[dict[str, Tensor], dict[str, Any]]]  # weights name -> (state dict, config)


@dataclass(frozen=True, kw_only=True)
class Codes:
    """Latents of photo and target [B D]; start: E_app's map [B C s s], from which the paper's G starts; None in
    the compact preset."""

    photo: Tensor
    target: Tensor
    start: Tensor | None


class PdFgcStage(ClipTask):
    """A stage of PD-FGC. Checkpoints have these modules:

        appearance   E_app                      lip, eye, pose, expression   heads of E_* on E_mot's feature
        motion       E_mot                      audio, embed                 E_aud, and its feature -> lip latent
        painter0, painter   G_0, G              bank                         latents of eq. 6
        discriminator

    trains:  the networks that the stage exports: "appearance", "motion", "audio", "painter"
    prefix:  of weights names;  painter_name: weights name of G without it
    """

    trains: ClassVar[tuple[str, ...]]
    prefix: ClassVar[str]
    painter_name: ClassVar[str]
    data_type = PdFgcData
    better: ClassVar[Mapping[str, str]] = {"accuracy": HIGHER, **ClipTask.better}
    data: PdFgcData

    def build(self) -> dict[str, nn.Module]:
        model = self.config.model
        self.appearance, channels = self.new_appearance()
        self.faces = faces = self.new_motion()
        self.voice = voice = AudioLip(**model.get("audio", {}))
        sizes = {name: value for name, value in faces.config.items() if isinstance(value, int)}
        self.latents = Latents(channels, sizes["lip"], sizes["expression"], sizes["eye"], sizes["pose"])
        self.exports = tuple(self.weights_name(network) for network in self.trains)
        return {
            "appearance": self.appearance,
            "motion": faces.model,
            "lip": nn.ModuleList([faces.to_mouth, faces.mouth_embed]),
            "eye": nn.ModuleList([faces.to_eye, faces.eye_embed]),
            "pose": nn.ModuleList([faces.to_headpose, faces.headpose_embed]),
            "expression": nn.ModuleList([faces.to_emo, faces.emo_embed]),
            "audio": voice.model,
            "embed": voice.mouth_embed,
            "painter0": self.new_painter(channels + sizes["features"]),
            "painter": self.new_painter(self.latents.size),
            "bank": MemoryBank(self.data.bank, self.latents.expression, self.latents.lip),
            "discriminator": PatchDiscriminator(),
        }

    @abstractmethod
    def new_appearance(self) -> tuple[nn.Module, int]:
        """E_app, and the length A of its vector."""

    @abstractmethod
    def appearance_of(self, photos: Tensor) -> tuple[Tensor, Tensor | None]:
        """E_app of `photo_features`: vectors [B A], and the maps from which the paper's G starts."""

    @abstractmethod
    def new_motion(self) -> MotionBase:
        """E_mot with its heads."""

    @abstractmethod
    def new_painter(self, latent: int) -> nn.Module:
        """G or G_0 for latents of so many entries."""

    @abstractmethod
    def decode(self, painter: nn.Module, codes: Codes, batch: Batch) -> Drawn:
        """What the painter makes of the latents of a batch."""

    @abstractmethod
    def picture_views(self, pictures: Tensor, keypoints: Tensor) -> Tensor:
        """Generated pictures [P 3 S S] with keypoints [P K 3] -> input of E_mot. Differentiable."""

    def encode(self, views: Tensor) -> Tensor:
        """E_mot, which only stage 1 trains."""
        feature: Tensor = self.faces(views)
        return feature

    def frozen_encoders(self) -> tuple[nn.Module, ...]:
        return (self.faces.model,)

    # ---- published networks
    def weights_name(self, network: str) -> str:
        """Weights name of "appearance", "motion", "audio" or "painter"."""
        return self.prefix + (self.painter_name if network == "painter" else network)

    def published(self) -> dict[str, nn.Module]:
        """The published networks by the names of `trains`."""
        painter = self.modules["painter"]
        return {"appearance": self.appearance, "motion": self.faces, "audio": self.voice, "painter": painter}

    def named(self, networks: Mapping[str, nn.Module]) -> Exported:
        """`published` networks as `Task.networks` has them."""
        return {self.weights_name(n): (net.state_dict(), dict(net.config)) for n, net in networks.items()}  # type: ignore[arg-type]

    def networks(self) -> Exported:
        return self.named(self.published())

    def export(self) -> Exported:
        return self.named({n: net for n, net in self.published().items() if n in self.trains})


class CompactStage(PdFgcStage, CompactTask):
    """Preset "compact": the face encoder before E_mot, a motion head and the shared generator in the place of G
    (deviation 11)."""

    model_type = CompactModel
    prefix, painter_name = "pd_fgc_", "head"

    def new_appearance(self) -> tuple[nn.Module, int]:
        network = FaceAppearance(self.frame_size, **self.config.model.get("appearance", {}))
        return network, int(network.config["features"])  # type: ignore[call-overload]

    def appearance_of(self, photos: Tensor) -> tuple[Tensor, None]:
        return self.appearance(photos).float(), None

    def new_motion(self) -> FaceMotion:
        return FaceMotion(self.frame_size, **self.config.model.get("motion", {}))

    def new_painter(self, latent: int) -> nn.Module:
        return MotionHead(latent, **self.config.model.get("head", {}))

    def decode(self, painter: nn.Module, codes: Codes, batch: Batch) -> Drawn:
        return self.draw(painter, codes.photo, codes.target, batch)

    def picture_views(self, pictures: Tensor, keypoints: Tensor) -> Tensor:
        return self.picture_features(pictures, keypoints)

    def export(self) -> Exported:
        """Together with G, encoders are exported with latents whose zero means rest (`_set_zero`). Without G they stay
        as they are, because the G that another stage exports must fit them."""
        if "painter" not in self.trains:
            return super().export()
        networks = copy.deepcopy({n: net for n, net in self.published().items() if n in self.trains})
        self._set_zero(networks["motion"], networks["audio"], networks["painter"])  # type: ignore[arg-type]
        return self.named(networks)

    @torch.no_grad()
    def _set_zero(self, faces: MotionBase, voice: AudioLip, head: MotionHead) -> None:
        """Move the zero of the lip latent to the mouth of silence, and those of eye and expression to their means over
        clips, in place (deviation 14). The state that the networks compute from a face stays the same. Pose keeps its
        zero, that of eq. 5."""
        cache = self.cache or self.new_cache()
        clips = [Clip(self.store, n) for n in range(min(ZERO_CLIPS, len(self.store)))]
        features = self.encoded(torch.cat([cache.clip(clip, 0) for clip in clips]))
        silence = mel_windows(mel_spectrogram(np.zeros(SAMPLE_RATE, np.float32)), FPS)[FPS // 2 :][:1]
        rests = {
            "lip": voice(torch.from_numpy(silence).to(self.device))[1][0],
            "expression": faces.expression(features).mean(0), "eye": faces.eye(features).mean(0),
        }  # fmt: skip
        embeds = {"lip": voice.mouth_embed, "expression": faces.emo_embed, "eye": faces.eye_embed}
        start = self.latents.appearance
        for name in ("lip", "expression", "eye"):  # the order of Latents.join
            rest, size = rests[name].float(), getattr(self.latents, name)
            embeds[name][-1].bias -= rest  # type: ignore[operator]
            head.shift(start, rest)
            start += size


class PaperStage(PdFgcStage):
    """Preset "paper": whole frames at 224 px, and StyleGAN2 as G."""

    side: int
    model_type = PaperModel
    prefix, painter_name = "pd_fgc_paper_", "generator"

    def new_appearance(self) -> tuple[nn.Module, int]:
        network = Appearance(**self.config.model.get("appearance", {}))
        return network, network.model.channels

    def appearance_of(self, photos: Tensor) -> tuple[Tensor, Tensor]:
        vector, start = self.appearance(photos)
        return vector.float(), start

    def new_motion(self) -> Motion:
        faces = Motion(**self.config.model.get("motion", {}))
        self.side = self.picture_side = int(faces.config["side"])  # type: ignore[call-overload]
        return faces

    def new_painter(self, latent: int) -> nn.Module:
        return StyleGenerator(latent, **self.config.model.get("style", {}))

    def photo_features(self, clip: Clip, frame: int, rng: np.random.Generator, train: bool) -> Tensor:
        """The whole photo [1 3 side side]: E_app's map is too large to be cached."""
        return tensor(resized(clip.moments([frame]).images, self.side))

    def frame_views(self, rng: np.random.Generator, moments: Moments, augmented: bool) -> Tensor:
        """Whole frames [n 3 side side]. Augmented ones are warped and have other colours."""
        small, warp = resized(moments.images, self.side), self.augmentation.warp
        views = tensor([warp(rng, image) for image in small] if augmented and warp else small)
        return jittered(rng, views) if augmented else views

    def decode(self, painter: nn.Module, codes: Codes, batch: Batch) -> Drawn:
        """The picture of the target's latents. Nothing is decoded if the batch asks for no pictures."""
        if "full_t" not in batch:
            return Drawn()
        assert codes.start is not None
        count = len(batch["full_t"])
        return Drawn(picture=torch.tanh(painter(codes.target[:count], codes.start[:count]).float()))

    def picture_views(self, pictures: Tensor, keypoints: Tensor) -> Tensor:
        return F.interpolate(pictures, size=(self.side, self.side), mode="area")
