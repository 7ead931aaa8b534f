"""Settings under `data:` and `model:` of the stages of SPEAK's paper preset."""

from __future__ import annotations

from typing import Annotated

from thgen.methods.fc_tfg.stage_settings import LipsAndVoices
from thgen.methods.speak import equations as eq
from thgen.methods.speak.networks import Encoder, Reconstructor, TalkingGenerator, Voice
from thgen.nn.discriminators import MultiScaleDiscriminator
from thgen.nn.wav2lip import SyncExpert
from thgen.training.clip_task import ClipData
from thgen.training.settings import Positive, Real, Share, arguments_of, networks_of, one_of

# What depends on the other networks is no setting: lengths of codes, style indices, channels of E_i's map.
PaperModel = networks_of(
    encoder=arguments_of(Encoder), irfd=arguments_of(Reconstructor, given=("codes",)), voice=arguments_of(Voice),
    generator=arguments_of(TalkingGenerator, given=("codes", "photo")),
    discriminator=arguments_of(MultiScaleDiscriminator, given=("inputs",)), sync=arguments_of(SyncExpert),
)  # fmt: skip


class SyncData(LipsAndVoices):
    """data: of the stage of the sync expert."""

    margin: Real = eq.MARGIN  # of eq. 11


class IrfdData(ClipData):
    """data: of stage 1."""

    alpha: Real = eq.ALPHA  # of eq. 1
    same_share: Share = 0.25  # of the pairs that are of one clip (deviation 7)
    as_printed: bool = False  # eq. 1 and 3 to 6 as they are printed (deviations 4 to 6)


class HeadData(ClipData):
    """data: of stages 2a and 2b."""

    prior: str = "auto"  # of the loss vgg: auto, vgg19 or analyser
    wav2vec: Annotated[str, one_of("hub", "random")] = "random"  # what the wav2vec 2.0 of a new network starts from
    heard: Positive = 75  # frames of a clip whose voice E_a hears at a time
    sync: Annotated[str, one_of("audio", "video")] = "audio"  # what eq. 12 compares with I_g; video as printed
    margin: Real = eq.MARGIN  # of eq. 11
