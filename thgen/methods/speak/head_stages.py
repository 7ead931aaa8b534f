"""Stages 2a and 2b of SPEAK's paper preset: the talking head (section 3.3), first with frozen encoders, then whole."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from thgen.audio import wav2lip_mel
from thgen.errors import TrainingError
from thgen.methods.fc_tfg.sync import choose_sync_expert, lip_windows
from thgen.methods.speak import equations as eq
from thgen.methods.speak.networks import EditingModule, TalkingGenerator, Voice
from thgen.methods.speak.pretrained import fill_pretrained
from thgen.methods.speak.stage_settings import HeadData
from thgen.methods.speak.stages import ENCODERS, SpeakStage
from thgen.methods.speak.sync_stage import SYNC
from thgen.nn.discriminators import MultiScaleDiscriminator
from thgen.nn.wav2lip import FRAMES, SyncExpert
from thgen.nn.wav2vec import normalised
from thgen.schema import FPS, SAMPLES_PER_FRAME
from thgen.training.config import StageConfig
from thgen.training.data.samples import Clip, Voices
from thgen.training.data.store import ClipStore
from thgen.training.export import folder_of
from thgen.training.priors import choose_prior, use_of
from thgen.training.task import Batch

MIDDLE = FRAMES // 2  # frame of a window on which the mel window of the whole window is centred
HEAD = ("voice", "editing", "generator")


class Head(SpeakStage):
    """Stage 2a: G_g learns to make windows of clips from a photo, a voice and the codes of encoders that stay as they
    are. Losses: those of eq. 13, by the names of `equations.HEAD`; discriminator, the part of D in eq. 10."""

    updates: ClassVar[tuple[str, ...]] = HEAD
    trains: ClassVar[tuple[str, ...]] = HEAD
    data_type = HeadData
    data: HeadData

    def __init__(self, config: StageConfig) -> None:
        super().__init__(config)
        self.mels = Voices(spectrogram=wav2lip_mel.mel_spectrogram, cut=wav2lip_mel.mel_windows)

    def build(self) -> dict[str, nn.Module]:
        encoders = self.new_encoders()
        codes = self.identity.features
        self.voice = self.new(Voice, "voice")
        self.generator = self.new(TalkingGenerator, "generator", codes=codes, photo=self.identity.channels)
        latent = self.generator.painter.latent
        self.editing = EditingModule(self.voice.features, codes, latent, self.generator.indices)
        self.side = self.generator.size
        self.judge = self.new(MultiScaleDiscriminator, "discriminator", inputs=6)
        return {**encoders, "voice": self.voice, "editing": self.editing, "generator": self.generator,
                "discriminator": self.judge}  # fmt: skip

    def build_helpers(self) -> dict[str, nn.Module]:
        """The prior of the loss "vgg" and the expert of the loss "sync". A loss without its network is 0, and the
        manifest says so. Fills wav2vec 2.0; raises WeightsError without its weights."""
        start = fill_pretrained(self.voice.wav2vec) if self.data.wav2vec == "hub" else ""
        if start:
            self.summary.append(f"wav2vec 2.0 from {start}")
        self.expert: SyncExpert | None = None
        if "vgg" in self.config.losses:
            self.prior = choose_prior(self.data.prior, folder_of("analyser", self.config.weights))
            self.summary.append(f"perceptual loss {use_of(self.prior)}")
        if "sync" in self.config.losses:
            self.expert = choose_sync_expert(self.config.weights, SYNC)
            self.summary.append("sync loss on the expert of the stage sync" if self.expert else "sync loss off")
        found = {"prior": self.prior, "expert": self.expert}
        return {name: network for name, network in found.items() if network is not None}

    # ---- data
    def batch(self, store: ClipStore, rng: np.random.Generator, train: bool, pictures: int = 0) -> Batch:
        """Of each of B random clips: "photo" [B 3 S S], a random frame; "window" [B 5 3 S S], consecutive frames;
        "sound" [B L], the voice of `heard` frames around them, in which they begin at frame "first" [B]; "mel"
        [B 1 80 16] of the window for the expert."""
        photos, windows, sounds, firsts, mels = [], [], [], [], []
        for _ in range(self.config.batch_size):
            clip = Clip(store, store.draw(rng))
            if len(clip) < FRAMES:
                raise TrainingError(f"The clips in {store.folder} have {len(clip)} frames, a window has {FRAMES}.")
            start = int(rng.integers(len(clip) - FRAMES + 1))
            shown = self.views(clip, [int(rng.integers(len(clip))), *range(start, start + FRAMES)])
            middle = start + MIDDLE - self.heard // 2
            begin = int(np.clip(middle, 0, max(0, len(clip) - self.heard)))
            photos.append(shown[0])
            windows.append(shown[1:])
            sounds.append(self.sound(clip, begin))
            firsts.append(start - begin)
            mels.append(self.mels.windows(clip, [start + MIDDLE], 0)[0])
        return {
            "photo": torch.stack(photos), "window": torch.stack(windows), "first": torch.tensor(firsts),
            "sound": torch.from_numpy(np.stack(sounds)), "mel": torch.from_numpy(np.stack(mels)),
        }  # fmt: skip

    @property
    def heard(self) -> int:
        """Frames that E_a hears, at least those of a window."""
        return max(FRAMES, self.data.heard)

    def sound(self, clip: Clip, begin: int) -> np.ndarray:
        """The voice of `heard` frames from `begin` on, normalised, with silence beyond the end of the clip: [L]."""
        length = self.heard * SAMPLES_PER_FRAME
        first = begin * SAMPLES_PER_FRAME
        found = normalised(clip.store.voice(clip.number)[first : first + length])
        return np.pad(found, (0, length - len(found)))

    # ---- losses
    def made(self, batch: Batch, fresh: bool) -> Tensor:
        """I_g of the windows of a batch, [B 5 3 S S]. fresh: noise of the editing module is drawn anew."""
        photo, window = batch["photo"], batch["window"]
        rows, frames = window.shape[:2]
        identity, found = self.identity.with_map(photo)
        begin = self.generator.begin(found).float()
        identity, begin = (x.float().repeat_interleave(frames, 0) for x in (identity, begin))
        seen = window.flatten(0, 1)
        pose, emotion = self.pose(seen).float(), self.emotion(seen).float()
        tracks = self.voice.at(batch["sound"], self.heard, FPS).float()
        places = batch["first"][:, None] + torch.arange(frames, device=tracks.device)
        voice = tracks[torch.arange(rows, device=tracks.device)[:, None], places].flatten(0, 1)
        edited = self.editing(voice, emotion, torch.cat([identity, pose, emotion], 1), fresh)
        picture: Tensor = self.generator(edited.float(), identity, pose, begin)
        return picture.float().unflatten(0, (rows, frames))

    def judged(self, batch: Batch, pictures: Tensor) -> list[Tensor]:
        """D(x, y) of pictures [B 5 3 S S] beside the photo of their row."""
        photos = batch["photo"][:, None].expand_as(pictures)
        logits: list[Tensor] = self.judge(torch.cat([photos, pictures], 2).flatten(0, 1))
        return logits

    def losses(self, optimizer: str, batch: Batch) -> dict[str, Tensor]:
        true = batch["window"]
        if optimizer == "discriminator":
            with torch.no_grad():
                fake = self.made(batch, fresh=True)
            return {"discriminator": eq.gan_discriminator(self.judged(batch, true), self.judged(batch, fake))}
        made = self.made(batch, fresh=True)
        terms = {"adversarial": eq.gan_generator(self.judged(batch, made))}
        if "vgg" in self.config.losses:
            pair = made.flatten(0, 1), true.flatten(0, 1)
            terms["vgg"] = eq.vgg(*(self.prior(x) for x in pair)) if self.prior else made.new_zeros(())
        if "sync" in self.config.losses:
            terms["sync"] = self.sync(made, batch)
        return terms

    def sync(self, made: Tensor, batch: Batch) -> Tensor:
        """Eq. 11 and 12 of windows [B 5 3 S S], all of them with what belongs to them; 0 without the expert."""
        if self.expert is None:
            return made.new_zeros(())
        seen = self.expert.video(lip_windows(made)).float()
        if self.data.sync == "video":
            other = self.expert.video(lip_windows(batch["window"])).float()
        else:
            other = self.expert.audio(batch["mel"]).float()
        apart = eq.distance(seen, other)
        return eq.synchronisation(apart, torch.ones_like(apart), self.data.margin)

    def scores(self, batch: Batch) -> dict[str, float]:
        """image, the mean absolute distance of pictures; copy, that of the photo; sync, where there is an expert."""
        made, true = self.made(batch, fresh=False), batch["window"]
        found = {"image": (made - true).abs().mean(), "copy": (batch["photo"][:, None] - true).abs().mean()}
        if self.expert is not None:
            found["sync"] = self.sync(made, batch)
        return {name: float(value) for name, value in found.items()}


class Whole(Head):
    """Stage 2b: as 2a, and the encoders learn, too."""

    updates = trains = (*ENCODERS, *HEAD)
