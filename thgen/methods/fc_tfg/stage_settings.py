"""Settings under `data:` and `model:` of the stages of FC-TFG."""

from __future__ import annotations

from typing import Annotated

from thgen.methods.fc_tfg.compact_networks import FaceCodes, IndexHeads
from thgen.methods.fc_tfg.networks import LatentFusion
from thgen.nn.psp import InversionEncoder
from thgen.nn.stylegan2 import StyleGAN2
from thgen.nn.stylegan2_discriminator import StyleDiscriminator
from thgen.nn.wav2lip import AudioEncoder, SyncExpert
from thgen.training.clip_task import CachedData, ClipData, PictureData
from thgen.training.settings import Count, Positive, Real, Share, arguments_of, networks_of, one_of

# What depends on the generator is no setting: its latent, its style indices, its channels.
PaperModel = networks_of(
    generator=arguments_of(StyleGAN2), discriminator=arguments_of(StyleDiscriminator, given=("channels", "start")),
    encoder=arguments_of(InversionEncoder, given=("side", "latent", "indices")), voice=arguments_of(AudioEncoder),
    fusion=arguments_of(LatentFusion, given=("latent", "voice", "indices")), sync=arguments_of(SyncExpert),
)  # fmt: skip
# Of the compact preset. Style indices, voices and codes must fit one another, so their sizes are named once.
CompactModel = networks_of(
    encoder=arguments_of(FaceCodes, given=("inputs", "indices")), voice=arguments_of(AudioEncoder),
    fusion=arguments_of(LatentFusion, given=("latent", "voice", "indices", "count_from")),
    heads=arguments_of(IndexHeads, given=("latent", "coarse", "lips", "eyes")),
    discriminator=arguments_of(StyleDiscriminator, given=("start",)),
)  # fmt: skip


class AdversarialData(ClipData):
    """data: of stages with a discriminator."""

    r1_every: Positive = 16  # steps from one R1 penalty to the next (StyleGAN2)


class GeneratorData(AdversarialData):
    """data: of stage 1."""

    mixing: Share = 0.9  # of the steps, which mix two latents (StyleGAN2)
    path_every: Positive = 4  # steps from one penalty of path lengths to the next (StyleGAN2)


class PriorData(ClipData):
    """data: of stages 2 and 3."""

    prior: str = "auto"  # of the loss perceptual: auto, vgg19 or analyser
    identity: str = "auto"  # weights name of the identity network, or auto (training.priors.IDENTITIES)
    identity_share: Share = 0.75  # of a picture's side, around its centre, that it sees (deviation 10)


class FusionData(PriorData, AdversarialData):
    """data: of stage 3."""

    ortho: Annotated[str, one_of("product", "cosine")] = "product"  # eq. 3, or the constraint of table 4
    silent_share: Share = 0.1  # of the rows, whose E_m gets no voice (deviation 7)
    versions: Positive = 1  # recordings of each voice, the first without augmentation


class CompactData(PriorData, PictureData, CachedData):
    """data: of the stages of the compact preset."""


class CompactFusionData(CompactData):
    """data: of stage 3 of the compact preset."""

    ortho: Annotated[str, one_of("product", "cosine")] = "product"  # eq. 3, or the constraint of table 4
    silent_share: Share = 0.5  # of the rows, whose E_m gets no voice (deviation 7)
    silent: str = ""  # folder of clips of these rows, in random states; "" = they are of `train`, too
    silent_val: str = ""  # the same for the validation
    elsewhere: Share = 1.0  # of the rows with a voice, whose z_d at its indices is of another moment (deviation 23)
    window: Positive = 3  # frames of a track on steps without pictures; those with pictures have 5
    versions: Positive = 3  # recordings of each voice, the first without augmentation


class LipsAndVoices(CachedData):
    """data: of stages whose batches are those of `sync_stage.Sync`. Cached features are those of the face encoder, for
    the loss guide."""

    warmup: Count = 0  # first steps, which train with the loss guide alone
    lips_kept: Count = 0  # clips whose lips stay in memory; 75 frames take 1 MB
    moments: Positive = 9  # windows of a clip that are contrasted with one another
    min_gap: Positive = 3  # frames between two of them, at least
    versions: Positive = 3  # recordings of each voice, the first without augmentation


class SyncData(LipsAndVoices):
    """data: of the stage of the sync expert."""

    temperature: Real = 0.1  # of InfoNCE
