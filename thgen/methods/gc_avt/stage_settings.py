"""Settings under `data:` and `model:` of the stages of GC-AVT's paper preset."""

from __future__ import annotations

from typing import Annotated

from thgen.face_parts.mouth import LARGEST_TURN
from thgen.face_parts.mouth_swap import FARTHEST, NEAREST, SHRINK
from thgen.face_parts.organs import MARGIN
from thgen.methods.gc_avt.networks import Content, Identity, Voice
from thgen.nn.adain_generator import AdaINGenerator
from thgen.nn.discriminators import MultiScaleDiscriminator
from thgen.nn.mobilenet import MobileNetV2
from thgen.training.clip_task import ClipData
from thgen.training.settings import Positive, Real, Share, arguments_of, networks_of, one_of

# What depends on the other networks is no setting: the length of G's latent.
PaperModel = networks_of(
    identity=arguments_of(Identity), pose=arguments_of(MobileNetV2), expression=arguments_of(MobileNetV2),
    content=arguments_of(Content), voice=arguments_of(Voice),
    generator=arguments_of(AdaINGenerator, given=("latent",)), discriminator=arguments_of(MultiScaleDiscriminator),
)  # fmt: skip


class SyncData(ClipData):
    """data: of the sync pair, and of L_c in the joint stage."""

    temperature: Real = 0.1  # of eq. 1; 1 as printed (deviation 11)
    moments: Positive = 9  # of a clip that are contrasted: one positive and 8 negatives
    frames: Positive = 5  # consecutive frames whose features are joined
    min_gap: Positive = 3  # frames between two moments, at least
    versions: Positive = 3  # recordings of each voice, the first without augmentation
    turn: Real = LARGEST_TURN  # largest turn of mouths and faces, degrees
    audio_alone: bool = True  # L_c changes the audio branch alone (deviation 12); the joint stage always does


class JointData(SyncData):
    """data: of the joint stage."""

    photos: Positive = 8  # K, frames of the identity
    mouth: Annotated[str, one_of("shifted", "own")] = "shifted"  # of the expression input; own: table 3, w/o time-shift
    nearest: Positive = NEAREST  # frames to the other moment
    farthest: Positive = FARTHEST
    shrink: Share = SHRINK  # of the replaced lower face
    margin: Share = MARGIN  # mean margin of the cover of the organs; in training from half to one and a half of it
    prior: str = "auto"  # of the loss vgg: auto, vgg19 or analyser
    face_prior: str = "auto"  # weights name of the network of the loss vggface
    identity: str = "auto"  # weights name of the identity network, or auto (training.priors.IDENTITIES)
    identity_share: Share = 0.75  # of a picture's side, around its centre, that it sees
