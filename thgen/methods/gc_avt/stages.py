"""Stages of GC-AVT's paper preset: "sync", the pair of mouth and voice, then "joint", everything (section 3.3).

A stage sees pictures, landmarks and backgrounds of clips, and their voices. Landmarks and backgrounds place crops and
masks of the inputs. No true factor supervises a latent.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from thgen.audio.mel import CENTRED, mel_spectrogram, mel_windows
from thgen.face.crop import face_window, resized
from thgen.face_parts.background import enlarged
from thgen.face_parts.mouth_swap import other_moment
from thgen.methods.gc_avt import equations as eq
from thgen.methods.gc_avt.inputs import Seen, content_input, expression_input, identity_input, pose_input
from thgen.methods.gc_avt.latents import EXPRESSION, LIP, POSE, Latents
from thgen.methods.gc_avt.networks import Content, Identity, Voice
from thgen.methods.gc_avt.stage_settings import JointData, PaperModel, SyncData
from thgen.nn.adain_generator import AdaINGenerator
from thgen.nn.discriminators import MultiScaleDiscriminator
from thgen.nn.mobilenet import MobileNetV2
from thgen.schema import FPS, SAMPLE_RATE
from thgen.synth.head import facekit as fk
from thgen.training.clip_task import ClipTask
from thgen.training.config import StageConfig
from thgen.training.data.pixelwise import Colours, Look, colours_of, sample_look, transfer
from thgen.training.data.samples import Clip, Moments, Voices, spaced_frames, tensor
from thgen.training.data.store import ClipStore
from thgen.training.export import folder_of
from thgen.training.priors import IdentityPrior, Prior, choose_face_prior, choose_identity_prior, choose_prior, use_of
from thgen.training.task import Batch
from thgen.weights.manifest import HIGHER

REST_CLIPS = 64  # clips whose frames give the means of pose and expression (deviation 18)
REST_FRAMES = 8  # of each of them
REST_BATCH = 16  # frames per pass
PREFIX = "gc_avt_paper_"  # of weights names
centred_windows = partial(mel_windows, ahead=CENTRED)


class Row:
    """One row of a batch: a clip, its frames as `Seen`, and how its views are augmented.

    side: px of whole frames. wanted: the colours that augmented views may get; None = no augmentation.
    """

    def __init__(self, clip: Clip, rng: np.random.Generator, side: int, turn: float, wanted: Colours | None) -> None:
        self.clip, self.rng, self.side, self.turn, self.wanted = clip, rng, side, turn, wanted
        (parts,) = clip.store.truth(clip.number, ("segmentation",)).values()
        self.keep = parts != fk.BACKGROUND
        self.own: Colours | None = None

    def seen(self, frames: list[int]) -> list[Seen]:
        """Frames of the clip at `side`."""
        moments = self.clip.moments(frames)
        rows = zip(resized(moments.images, self.side), moments.keypoints[:, :68, :2], frames, strict=True)
        return [Seen(image, points, enlarged(self.keep[t], self.side)) for image, points, t in rows]

    def look(self, seen: Seen) -> Look:
        """A random look; none without augmentation."""
        if self.wanted is None:
            return Look()
        self.own = self.own or colours_of(seen.image, seen.keep)
        return sample_look(self.rng, transfer(self.own, self.wanted))

    def degrees(self) -> float:
        """A random turn; 0 without augmentation."""
        return 0.0 if self.wanted is None else float(self.rng.uniform(-self.turn, self.turn))

    def mouths(self, frames: list[int]) -> list[np.ndarray]:
        """Input of E_c of consecutive frames, all with one turn and one look."""
        shown, degrees = self.seen(frames), self.degrees()
        look = self.look(shown[0])
        return [content_input(seen, degrees, look) for seen in shown]


class GcAvtStage(ClipTask):
    """A stage of GC-AVT. Its checkpoints have some of these modules:

        identity  E_i    pose  E_p    expression  E_e    content  E_c    voice  E_a    generator  G    discriminator  D

    updates: modules of the optimizer "generator";  trains: modules whose weights are exported
    """

    updates: ClassVar[tuple[str, ...]]
    trains: ClassVar[tuple[str, ...]]
    model_type = PaperModel
    data_type = SyncData
    better: ClassVar[Mapping[str, str]] = {"accuracy": HIGHER, **ClipTask.better}
    data: SyncData
    side = 256  # px of whole frames
    content: Content
    voice: Voice

    def __init__(self, config: StageConfig) -> None:
        super().__init__(config)
        self.optimizers = self.adversarial_optimizers(list(self.updates))
        self.exports = tuple(PREFIX + name for name in self.trains)
        self.voices = Voices(cut=centred_windows)

    def build_pair(self) -> dict[str, nn.Module]:
        model = self.config.model
        self.content, self.voice = Content(**model.get("content", {})), Voice(**model.get("voice", {}))
        return {"content": self.content, "voice": self.voice}

    def named(self, modules: Mapping[str, nn.Module]) -> dict[str, tuple[dict[str, Tensor], dict[str, Any]]]:
        return {
            PREFIX + name: (modules[name].state_dict(), dict(modules[name].config))  # type: ignore[arg-type]
            for name in self.trains
        }

    def networks(self) -> dict[str, tuple[dict[str, Tensor], dict[str, Any]]]:
        return self.named(self.modules)

    # ---- data
    def photo_features(self, clip: Clip, frame: int, rng: np.random.Generator, train: bool) -> Tensor:
        return tensor(resized(clip.moments([frame]).images, self.side))

    def frame_views(self, rng: np.random.Generator, moments: Moments, augmented: bool) -> Tensor:
        return tensor(resized(moments.images, self.side))

    def row(self, store: ClipStore, rng: np.random.Generator, train: bool) -> Row:
        """A random clip. In training its views may get the colours of a random frame of another one."""
        wanted = None
        if train:
            lender = Row(Clip(store, store.draw(rng)), rng, self.side, 0.0, None)
            (seen,) = lender.seen([int(rng.integers(len(lender.clip)))])
            wanted = colours_of(seen.image, seen.keep)
        return Row(Clip(store, store.draw(rng)), rng, self.side, self.data.turn, wanted)

    def pair(self, row: Row, train: bool) -> Batch:
        """Of M moments of a clip, T consecutive frames each: "lips" [M T 3 112 112] and "mel" [M T 1 80 20]."""
        data, rng = self.data, row.rng
        starts = spaced_frames(rng, len(row.clip) - data.frames + 1, data.moments, data.min_gap)
        windows = [list(range(start, start + data.frames)) for start in starts]
        version = int(rng.integers(data.versions)) if train else 0
        mels = self.voices.windows(row.clip, [t for window in windows for t in window], version)
        shape = (data.moments, data.frames)
        return {
            "lips": torch.stack([tensor(row.mouths(window)) for window in windows]),
            "mel": torch.from_numpy(mels).unflatten(0, shape),
        }

    def batch(self, store: ClipStore, rng: np.random.Generator, train: bool, pictures: int = 0) -> Batch:
        """`pair` of B clips: "lips" [B M T 3 112 112] and "mel" [B M T 1 80 20]."""
        return stacked([self.pair(self.row(store, rng, train), train) for _ in range(self.config.batch_size)])

    # ---- L_c
    def pair_features(self, batch: Batch, audio_alone: bool) -> tuple[Tensor, Tensor]:
        """Features of the mouths and of the voices of a batch, those of consecutive frames joined: both [B M T F]."""
        shape = batch["lips"].shape[:3]
        with torch.set_grad_enabled(torch.is_grad_enabled() and not audio_alone):
            video = self.content(batch["lips"].flatten(0, 2)).float().unflatten(0, shape)
        audio = self.voice(batch["mel"].flatten(0, 2)).float().unflatten(0, shape)
        return video.flatten(2), audio.flatten(2)

    def contrast(self, batch: Batch, audio_alone: bool) -> Tensor:
        """L_c of a batch (eq. 1)."""
        return eq.contrast(*self.pair_features(batch, audio_alone), self.data.temperature, audio_alone)

    def pair_scores(self, batch: Batch) -> dict[str, float]:
        """contrast, L_c; accuracy: % of voices that are nearer to their own mouth than to those of other moments."""
        video, audio = self.pair_features(batch, audio_alone=True)
        right = eq.likeness(video, audio).argmax(2) == torch.arange(video.shape[1], device=video.device)
        loss = eq.contrast(video, audio, self.data.temperature)
        return {"contrast": float(loss), "accuracy": 100 * float(right.float().mean())}


def stacked(rows: list[Batch]) -> Batch:
    """Rows with the same tensors -> a batch."""
    return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}


class Sync(GcAvtStage):
    """The voice learns which of a clip's mouths belongs to it. Losses: contrast (eq. 1)."""

    updates: ClassVar[tuple[str, ...]] = ("voice",)
    trains = ("content", "voice")

    def __init__(self, config: StageConfig) -> None:
        super().__init__(config)
        if not self.data.audio_alone:  # deviation 12
            self.optimizers = self.adversarial_optimizers(["content", "voice"])

    def build(self) -> dict[str, nn.Module]:
        return self.build_pair()

    def losses(self, optimizer: str, batch: Batch) -> dict[str, Tensor]:
        return {"contrast": self.contrast(batch, self.data.audio_alone)}

    def scores(self, batch: Batch) -> dict[str, float]:
        return self.pair_scores(batch)


@dataclass(frozen=True)
class Made:
    """What G makes of a batch, I_k^v and I_k^a, both [B 3 S S]: with the content of the mouth, and of the voice."""

    video: Tensor
    audio: Tensor

    @property
    def both(self) -> Tensor:
        """[2B 3 S S]."""
        return torch.cat([self.video, self.audio])


class Joint(GcAvtStage):
    """All networks learn to make a frame again from its mouth or its voice, its face with another mouth, its head
    without organs, and K other frames. Losses: those of eq. 5 by the names of `equations.LAMBDAS`; identity;
    discriminator."""

    updates = trains = ("identity", "pose", "expression", "content", "voice", "generator")
    data_type = JointData
    data: JointData

    def build(self) -> dict[str, nn.Module]:
        model = self.config.model
        self.identity = Identity(**model.get("identity", {}))
        self.pose, self.expression = MobileNetV2(**model["pose"]), MobileNetV2(**model["expression"])
        pair = self.build_pair()
        sizes = [int(net.config[key]) for net, key in (  # type: ignore[call-overload]
            (self.identity, "features"), (self.pose, "outputs"), (self.expression, "outputs"),
            (self.content, "features"))]  # fmt: skip
        self.latents = Latents(*sizes)
        self.generator = AdaINGenerator(self.latents.size, **model.get("generator", {}))
        self.side = self.generator.size
        self.judge = MultiScaleDiscriminator(**model.get("discriminator", {}))
        return {"identity": self.identity, "pose": self.pose, "expression": self.expression, **pair,
                "generator": self.generator, "discriminator": self.judge}  # fmt: skip

    def build_helpers(self) -> dict[str, nn.Module]:
        """The priors of the losses "vgg", "vggface" and "identity". A loss without its prior is 0, and the manifest
        says so."""
        wanted, weights = self.config.losses, self.config.weights
        self.face_prior: Prior | None = None
        self.identities: IdentityPrior | None = None
        if "vgg" in wanted:
            self.prior = choose_prior(self.data.prior, folder_of("analyser", weights))
            self.summary.append(f"perceptual loss {use_of(self.prior)}")
        if "vggface" in wanted:
            self.face_prior = choose_face_prior(self.data.face_prior, weights)
            self.summary.append(f"VGG-face loss {use_of(self.face_prior)}")
        if "identity" in wanted:
            self.identities = choose_identity_prior(self.data.identity, self.data.identity_share, weights)
            self.summary.append(f"identity loss {use_of(self.identities)}")
        found = {"prior": self.prior, "face_prior": self.face_prior, "identities": self.identities}
        return {name: network for name, network in found.items() if network is not None}

    # ---- data
    def batch(self, store: ClipStore, rng: np.random.Generator, train: bool, pictures: int = 0) -> Batch:
        """Of each of B clips: "photos" [B K 3 S S], random frames; of one more frame "picture" [B 3 S S], the target,
        "pose" and "expression" [B 3 S S], "mouth" [B 3 112 112] and "heard" [B 1 80 20]; and `pair`."""
        rows = []
        for _ in range(self.config.batch_size):
            row = self.row(store, rng, train)
            total = len(row.clip)
            target, *photos = rng.permutation(total)[: self.data.photos + 1].tolist()
            photos += [photos[i % len(photos)] for i in range(self.data.photos - len(photos))]  # a short clip
            version = int(rng.integers(self.data.versions)) if train else 0
            rows.append(self.pair(row, train) | self.driving(row, target, train) | {
                "photos": tensor([identity_input(seen) for seen in row.seen(photos)]),
                "heard": torch.from_numpy(self.voices.windows(row.clip, [target], version)[0]),
            })  # fmt: skip
        return stacked(rows)

    def driving(self, row: Row, target: int, train: bool) -> Batch:
        """The target of a row, and its three complementary parts (section 3.2)."""
        data, rng = self.data, row.rng
        shift = int(rng.integers(data.nearest, data.farthest + 1)) * int(rng.choice((-1, 1)))
        seen, other = row.seen([target, other_moment(target, shift, len(row.clip))])
        margin = data.margin * (float(rng.uniform(0.5, 1.5)) if train else 1.0)
        views = {
            "picture": identity_input(seen),
            "pose": pose_input(seen, margin, row.look(seen)),
            "expression": expression_input(
                seen, other if data.mouth == "shifted" else None, row.degrees(), row.look(seen), data.shrink
            ),
            "mouth": row.mouths([target])[0],
        }
        return {name: tensor([view])[0] for name, view in views.items()}

    # ---- losses
    def made(self, batch: Batch) -> Made:
        """I_k^v and I_k^a of a batch."""
        person = self.identity.of_person(batch["photos"])
        pose, expression = self.pose(batch["pose"]).float(), self.expression(batch["expression"]).float()
        mouth, voice = self.content(batch["mouth"]).float(), self.voice(batch["heard"]).float()
        codes = [self.latents.join(person, pose, expression, lip) for lip in (mouth, voice)]
        video, audio = self.generator(torch.cat(codes)).float().chunk(2)
        return Made(video, audio)

    def losses(self, optimizer: str, batch: Batch) -> dict[str, Tensor]:
        true = batch["picture"]
        if optimizer == "discriminator":
            with torch.no_grad():
                fake = self.made(batch).both
            return {"discriminator": eq.gan_discriminator(self.judge(true), self.judge(fake))}
        made, twice = self.made(batch).both, torch.cat([true, true])
        terms = {"image": eq.reconstruction(made, twice), "adversarial": eq.gan_generator(self.judge(made))}
        if "contrast" in self.config.losses:
            terms["contrast"] = self.contrast(batch, audio_alone=True)
        return terms | self.prior_losses(made, twice)

    def prior_losses(self, made: Tensor, true: Tensor) -> dict[str, Tensor]:
        """Eq. 3 and the identity loss of pictures [B 3 S S], as far as the config names them."""
        wanted, zero, terms = self.config.losses, made.new_zeros(()), {}
        if "vgg" in wanted:
            terms["vgg"] = eq.vgg(self.prior(made), self.prior(true)) if self.prior else zero
        if "vggface" in wanted:
            net, (rows, columns) = self.face_prior, face_window(made.shape[-1])
            faces = [x[..., rows, columns] for x in (made, true)]
            terms["vggface"] = eq.vgg(net(faces[0]), net(faces[1])) if net else zero
        if "identity" in wanted:
            who = self.identities
            terms["identity"] = eq.identity(who(made).float(), who(true).float()) if who else zero
        return terms

    def scores(self, batch: Batch) -> dict[str, float]:
        """L1 of both reconstructions; "copy", L1 of a photo; those of `pair_scores`."""
        made, true = self.made(batch), batch["picture"]
        found = {
            "image_video": eq.reconstruction(made.video, true), "image_audio": eq.reconstruction(made.audio, true),
            "copy": eq.reconstruction(batch["photos"][:, 0], true),
        }  # fmt: skip
        return {name: float(value) for name, value in found.items()} | self.pair_scores(batch)

    # ---- export
    @torch.no_grad()
    def rests(self) -> dict[str, Tensor]:
        """Latents that count as zero (deviation 18): means of pose and expression over clips, content of silence."""
        rng = np.random.default_rng(0)
        views: dict[str, list[np.ndarray]] = {POSE: [], EXPRESSION: []}
        for number in range(min(REST_CLIPS, len(self.store))):
            clip = Clip(self.store, number)
            row = Row(clip, rng, self.side, 0.0, None)
            frames = rng.permutation(len(clip))[:REST_FRAMES].tolist()
            for seen in row.seen(frames):
                views[POSE].append(pose_input(seen, self.data.margin))
                views[EXPRESSION].append(expression_input(seen, None))
        silence = centred_windows(mel_spectrogram(np.zeros(SAMPLE_RATE, np.float32)), FPS)[FPS // 2 :][:1]
        means = {}
        for name, shown in views.items():
            parts = tensor(shown).split(REST_BATCH)
            means[name] = torch.cat([self.modules[name](part.to(self.device)).float() for part in parts]).mean(0)
        return means | {LIP: self.voice(torch.from_numpy(silence).to(self.device)).float()[0]}

    def export(self) -> dict[str, tuple[dict[str, Tensor], dict[str, Any]]]:
        """The networks, with latents that are 0 at rest. What they make of a frame stays the same."""
        networks = copy.deepcopy({name: self.modules[name] for name in self.trains})
        generator = networks["generator"]
        assert isinstance(generator, AdaINGenerator)
        for name, rest in self.rests().items():
            generator.shift(self.latents.start(name), rest)
            for encoder in ("content", "voice") if name == LIP else (name,):
                net = networks[encoder]
                last = net.classifier[1] if isinstance(net, MobileNetV2) else net.fc
                with torch.no_grad():
                    last.bias -= rest  # type: ignore[operator,union-attr]
        return self.named(networks)
