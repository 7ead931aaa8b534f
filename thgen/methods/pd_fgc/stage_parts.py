"""What all stages of PD-FGC share: the networks, split into what each stage moves, and pictures with their losses."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thgen.audio.mel import mel_spectrogram, mel_windows
from thgen.compact.frozen_generator import FrozenGenerator, first, rows
from thgen.compact.mosaic import frames_of, mosaic, shaken
from thgen.compact.motion_head import MotionHead
from thgen.face.crop import face_view, resized
from thgen.losses.adversarial import discriminator_hinge, feature_matching, generator_hinge
from thgen.losses.correlation import MemoryBank
from thgen.methods.pd_fgc.equations import consistency, motion_reconstruction, perceptual
from thgen.methods.pd_fgc.latents import Latents
from thgen.methods.pd_fgc.networks import Appearance, AudioLip, Motion
from thgen.methods.pd_fgc.stage_settings import KeptData, PdFgcData, PdFgcModel, PictureData
from thgen.nn.discriminators import PatchDiscriminator
from thgen.nn.stylegan2 import StyleGenerator
from thgen.schema import FPS, SAMPLE_RATE
from thgen.training.config import StageConfig
from thgen.training.data.batches import StepBatches
from thgen.training.data.feature_cache import FeatureCache
from thgen.training.data.samples import Moments, jittered, perspective, tensor
from thgen.training.data.store import ClipStore
from thgen.training.export import folder_of
from thgen.training.priors import MotionPrior, Prior, choose_motion_prior, choose_prior
from thgen.training.settings import Settings
from thgen.training.task import Batch, Task
from thgen.weights.manifest import HIGHER, LOWER, NEITHER

RESTS = 64  # clips over whose frames latents are averaged to give their zero a meaning
PICTURE = 256  # px at which the compact preset draws
VALIDATION = 6  # batches


def mean_scores(batches: list[dict[str, float]]) -> dict[str, float]:
    """Mean of each score over the batches."""
    return {name: float(np.mean([b[name] for b in batches])) for name in batches[0]}


class PdFgcStage(Task):
    """data, model: see pd_fgc_settings.

    modules: appearance; motion = E_mot; lip, eye, pose, expression = E_* on its feature; audio = E_aud and embed, which
    makes its feature the latent; painter0, painter = G_0, G; bank (eq. 6); discriminator.
    trains: which published networks a stage trains: "appearance", "motion", "audio", "painter".
    """

    trains: tuple[str, ...]
    data_type: ClassVar[type[Settings]] = PdFgcData
    model_type = PdFgcModel
    better: ClassVar[Mapping[str, str]] = {"found": HIGHER, "copy": NEITHER, "adversarial": NEITHER, "*": LOWER}
    data: PdFgcData

    def __init__(self, config: StageConfig) -> None:
        self.config, self.data, model = config, self.data_of(config), config.model
        self.appearance = Appearance(**model.get("appearance", {}))
        self.faces = Motion(**model.get("motion", {}))
        self.voice = AudioLip(**model.get("audio", {}))
        sizes = {name: value for name, value in self.faces.config.items() if isinstance(value, int)}
        self.latents = Latents(
            self.appearance.model.channels, sizes["lip"], sizes["expression"], sizes["eye"], sizes["pose"]
        )
        self.features, self.side = sizes["features"], sizes["side"]
        self.compact = "style" not in model
        faces, voice = self.faces, self.voice
        self.modules: dict[str, nn.Module] = {
            "appearance": self.appearance,
            "motion": faces.model,
            "lip": nn.ModuleList([faces.to_mouth, faces.mouth_embed]),
            "eye": nn.ModuleList([faces.to_eye, faces.eye_embed]),
            "pose": nn.ModuleList([faces.to_headpose, faces.headpose_embed]),
            "expression": nn.ModuleList([faces.to_emo, faces.emo_embed]),
            "audio": voice.model,
            "embed": voice.mouth_embed,
            "painter0": self._painter(self.latents.appearance + self.features),
            "painter": self._painter(self.latents.size),
            "bank": MemoryBank(self.data.bank, self.latents.expression, self.latents.lip),
            "discriminator": PatchDiscriminator(),
        }
        self.store, self.val_store = (ClipStore(folder) for folder in (self.data.train, self.data.val))
        self.stand = FrozenGenerator(self.data.head, self.store) if self.compact else None
        self.prior: Prior | None = None
        self.motions: MotionPrior | None = None
        self.keep = self.data.keep if isinstance(self.data, KeptData) else 0
        self.kept = self._kept() if self.keep else None
        self._choose_priors()
        self.helpers = {
            n: m for n, m in (("stand", self.stand), ("prior", self.prior), ("motions", self.motions)) if m is not None
        }

    def _painter(self, latent: int) -> nn.Module:
        model = self.config.model
        return MotionHead(latent, **model.get("head", {})) if self.compact else StyleGenerator(latent, **model["style"])

    def _choose_priors(self) -> None:
        """Those that the stage's losses look through; what cannot be had is named in the manifest."""
        told, losses, data = [self.config.about], self.config.losses, self.data
        folder = folder_of("analyser", self.config.weights)
        if isinstance(data, PictureData) and "vgg" in losses:
            self.prior = choose_prior(data.prior, folder)
            told.append(f"eq. 7 {self._seen(self.prior)}")
        if isinstance(data, PictureData) and {"motion", "consistency"} & losses.keys():
            self.motions = choose_motion_prior(data.motion_prior, folder)
            told.append(f"eq. 1 and 8 {self._seen(self.motions)}")
        self.data_summary = "; ".join(told)

    @staticmethod
    def _seen(prior: Prior | MotionPrior | None) -> str:
        return f"on {prior.name}, {prior.about}" if prior else "off, the prior could not be had"

    # ---- batches
    def batches(self, split: str, seed: int, rank: int, world: int) -> Iterator[Batch]:
        store = self.store if split == "train" else self.val_store

        def make(number: int) -> Batch:
            rng = np.random.default_rng((seed, rank, number))
            return self.batch(store, rng, split == "train", self.pictures_of(number))

        return StepBatches(make, self.config.workers)

    def pictures_of(self, number: int) -> int:
        """Rows of batch `number` that are drawn."""
        data = self.data
        return data.pictures if isinstance(data, PictureData) and number >= data.pictures_from else 0

    def batch(self, store: ClipStore, rng: np.random.Generator, train: bool, pictures: int = 0) -> Batch:
        """One batch, augmented if `train`, of which so many rows are to be drawn."""
        raise NotImplementedError

    def small(self, images: np.ndarray) -> Tensor:
        """What E_app sees of pictures uint8 [n S S 3]: [n 3 side side]."""
        return tensor((face_view if self.compact else resized)(images, self.side))

    def views(self, rng: np.random.Generator, found: Moments, train: bool, distort: bool = True) -> Tensor:
        """What E_mot sees of moments, [n 3 side side], augmented if `train`: in other colours and, if `distort`, from
        elsewhere (compact: in other framings, see compact.mosaic)."""
        if self.compact:
            frames = frames_of(torch.from_numpy(found.keypoints[:, :68].astype(np.float32)))
            frames = shaken(rng, frames, self.turn) if train else frames
            seen = mosaic(tensor(resized(found.images, PICTURE)), frames)
        else:
            small = resized(found.images, self.side)
            seen = tensor([self.distorted(rng, image) for image in small] if train and distort else small)
        return jittered(rng, seen) if train else seen

    turn = 4.0  # degrees, at most, by which the compact preset's views are turned
    distorted = staticmethod(perspective)  # the paper preset's augmentation of a frame

    def pairs(self, found: list[Moments], pictures: int) -> Batch:
        """Photo and target of each clip: moments whose first is the photo and whose second is the target. The first
        `pictures` of them at full size too."""
        count = min(pictures, len(found))
        full = [np.stack([resized(m.images[k : k + 1], self.picture_side)[0] for m in found[:count]]) for k in (0, 1)
                ] if count else []  # fmt: skip
        labels: Batch = {
            "keypoints_s": np.stack([m.keypoints[0] for m in found]),
            "keypoints_t": np.stack([m.keypoints[1] for m in found]),
            "coefficients_s": np.stack([m.coefficients[0] for m in found]),
            "gaze_s": np.stack([m.gaze[0] for m in found]),
        }
        if self.stand:
            self.stand.check(labels["keypoints_s"].shape[1])
        out: Batch = {n: torch.from_numpy(v.astype(np.float32)) for n, v in labels.items()}
        if self.kept is None:
            out["photo"] = self.small(np.stack([m.images[0] for m in found]))
        if count:
            out["full_s"], out["full_t"] = (tensor(images) for images in full)
        return out

    @property
    def picture_side(self) -> int:
        """px of the pictures that are drawn."""
        return PICTURE if self.compact else self.side

    # ---- pictures
    def draw(
        self, painter: nn.Module, own: Tensor, latent: Tensor, start: Tensor | None, batch: Batch
    ) -> dict[str, Any]:
        """Latents of photo and target [B D] -> {"made": pictures [P 3 S S] of P rows; "keypoints", "shape": errors;
        "state": where the target's lead}.

        Compact: a movement of the photo. Paper: the picture of the target's latents, from the appearance map `start`.
        """
        count = len(batch["full_s"]) if "full_s" in batch else 0
        if self.stand is None:
            assert start is not None
            return {"made": torch.tanh(painter(latent[:count], start[:count]).float())} if count else {}
        image = batch["full_s"] if count else latent.new_zeros(1, 3, 1, 1)
        with torch.autocast(latent.device.type, enabled=False):
            blank = image[:1].expand(len(latent), -1, -1, -1)
            photo = self.stand.photo(blank, batch["keypoints_s"], batch["coefficients_s"], batch["gaze_s"])
            states = painter(own.float()), painter(latent.float())
            move = self.stand.move(photo, *states)
            out: dict[str, Any] = {"state": states[1]}
            out["keypoints"] = self.stand.keypoint_error(photo, move, batch["keypoints_t"])
            out["groups"] = self.stand.group_errors(photo, move, batch["keypoints_t"])
            if "shape" in self.config.losses:
                out["shape"] = self.stand.shape_of(out["groups"])
            if "plain" in self.config.losses:
                out["plain"] = move.told.square().mean()
            if count:
                few = rows(photo, count)
                few = self.stand.photo(image, few.keypoints, few.coefficients, few.gaze)
                out["made"] = self.stand.draw(few, self.stand.move(few, *(first(s, count) for s in states)))
        return out

    def picture_losses(self, drawn: dict[str, Any], batch: Batch) -> dict[str, Tensor]:
        """Those of the stage's losses that look at pictures: image, vgg (eq. 7), motion (eq. 1), adversarial, matching.
        A loss whose prior is missing is 0."""
        wanted = self.config.losses
        terms: dict[str, Tensor] = {name: drawn[name] for name in ("keypoints", "shape", "plain") if name in drawn}
        made, true = drawn.get("made"), batch.get("full_t")
        zero = batch["keypoints_s"].new_zeros(())
        if made is None or true is None:
            return terms | {n: zero for n in ("image", "vgg", "motion", "adversarial", "matching") if n in wanted}
        made = made.float()
        terms["image"] = (made - true).abs().mean()
        if "vgg" in wanted:
            terms["vgg"] = perceptual(self.prior(made), self.prior(true)) if self.prior else zero
        if "motion" in wanted:
            terms["motion"] = self.motion_loss(made, true, batch)
        if "adversarial" in wanted:
            score, maps = self.modules["discriminator"](made)
            with torch.no_grad():
                _, real = self.modules["discriminator"](true)
            terms["adversarial"] = generator_hinge(score.float())
            terms["matching"] = feature_matching([m.float() for m in maps], real)
        return terms

    def motion_loss(self, made: Tensor, true: Tensor, batch: Batch) -> Tensor:
        """Eq. 1 through the motion prior, which frames both pictures by the true keypoints."""
        prior, where = self.motions, batch["keypoints_t"][: len(made)]
        if prior is None:
            return made.new_zeros(())
        return motion_reconstruction(made, true, lambda x: prior(x, where).geometry, lambda x: prior(x, where).emotion)

    def consistency_loss(self, made: Tensor, batch: Batch, voice: Tensor) -> Tensor:
        """Eq. 8 of pictures [P 3 S S]; voice [P D], features of what is said there."""
        where = batch["keypoints_t"][: len(made)]
        if self.compact:
            small = mosaic(made, frames_of(where[:, :68]))
        else:
            small = F.interpolate(made, size=(self.side, self.side), mode="area")
        lips = self.faces.lip_feature(self.faces(small))
        prior, true = self.motions, batch["full_t"]
        if prior is None:
            zero = made.new_zeros(())
            return consistency(lips, voice, zero, zero, zero)
        gaze = prior(made, where).gaze, prior(true, where).gaze
        return consistency(lips, voice, *gaze, self.motion_loss(made, true, batch))

    def judge(self, batch: Batch) -> dict[str, Tensor]:
        """The discriminator's own loss; 0 as long as nothing is drawn."""
        net = self.modules["discriminator"]
        if "full_t" not in batch:
            return {"discriminator": 0 * sum(p.sum() for p in net.parameters())}  # type: ignore[dict-item]
        with torch.no_grad():
            made = self.drawn(batch)["made"]
        return {"discriminator": discriminator_hinge(net(batch["full_t"])[0].float(), net(made)[0].float())}

    def drawn(self, batch: Batch) -> dict[str, Any]:
        """What the stage's latents lead to, see `draw`."""
        raise NotImplementedError

    # ---- codes
    @torch.no_grad()
    def see(self, frames: Tensor) -> Tensor:
        """E_mot, which only stage 1 moves, of frames [B 3 side side]: [B F]."""
        with self.autocast():
            frames = frames.to(self.device).contiguous(memory_format=torch.channels_last)  # half the time on a CPU
            return self.faces(frames).float()  # type: ignore[no-any-return]

    def autocast(self) -> torch.autocast:
        """Batches are made outside that of the loop."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16")

    def _kept(self) -> FeatureCache:
        folder = self.data.kept if isinstance(self.data, KeptData) else ""
        return FeatureCache(self.see, self.views, folder, (self.appearance, self.faces.model))

    def version(self, rng: np.random.Generator, train: bool) -> int:
        """Which view of a clip is looked at: 0 as it is, the others augmented."""
        return int(rng.integers(self.keep)) if train else 0

    def appearance_of(self, photo: Tensor) -> tuple[Tensor, Tensor]:
        """Vector [B A] and map of photos [B 3 side side]."""
        vector, start = self.appearance(photo)
        return vector.float(), start

    # ---- published networks
    def _named(self) -> dict[str, nn.Module]:
        return {"appearance": self.appearance, "motion": self.faces, "audio": self.voice,
                "painter": self.modules["painter"]}  # fmt: skip

    def _name(self, part: str) -> str:
        """Weights name of "appearance", "motion", "audio" or "painter"."""
        if part == "painter":
            part = "head" if self.compact else "generator"
        return ("pd_fgc_" if self.compact else "pd_fgc_paper_") + part

    @property
    def exports(self) -> tuple[str, ...]:  # type: ignore[override]
        """Weights names of `trains`."""
        return tuple(self._name(part) for part in self.trains)

    def networks(self) -> dict[str, tuple[dict[str, Tensor], dict[str, Any]]]:
        return {self._name(n): (net.state_dict(), dict(net.config)) for n, net in self._named().items()}  # type: ignore[arg-type]

    def export(self) -> dict[str, tuple[dict[str, Tensor], dict[str, Any]]]:
        """With the painter, the compact preset's latents get a zero that means something. Without it they stay as they
        are: the painter that is written by another stage would not know of the change."""
        nets = {n: net for n, net in self._named().items() if n in self.trains}
        if self.compact and "painter" in nets:
            nets = copy.deepcopy(nets)
            self._give_zero_a_meaning(nets["motion"], nets["audio"], nets["painter"])  # type: ignore[arg-type]
        return {self._name(n): (net.state_dict(), dict(net.config)) for n, net in nets.items()}  # type: ignore[arg-type]

    @torch.no_grad()
    def _give_zero_a_meaning(self, faces: Motion, voice: AudioLip, head: MotionHead) -> None:
        """Move the zero of lip, eye and expression to the mouth of silence and to the means of clips (deviation 14).
        What the networks make of a face together stays the same; pose has its zero from eq. 5."""
        kept = self.kept or self._kept()
        seen = torch.cat([kept.clip(self.store, n, 0) for n in range(min(RESTS, len(self.store)))]).to(self.device)
        silence = mel_windows(mel_spectrogram(np.zeros(SAMPLE_RATE, np.float32)), FPS)[FPS // 2 :][:1]
        rests = {
            "lip": voice(torch.from_numpy(silence).to(self.device))[1][0],
            "expression": faces.expression(seen).mean(0), "eye": faces.eye(seen).mean(0),
        }  # fmt: skip
        embeds = {"lip": voice.mouth_embed, "expression": faces.emo_embed, "eye": faces.eye_embed}
        first, start = head.body[0], self.latents.appearance
        for name in ("lip", "expression", "eye"):  # the order of Latents.join
            rest, size = rests[name].float(), getattr(self.latents, name)
            embeds[name][-1].bias -= rest  # type: ignore[operator]
            first.bias += first.weight[:, start : start + size] @ rest  # type: ignore[index,operator]
            start += size
