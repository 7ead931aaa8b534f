"""Settings under `data:` and `model:` of the stages of PD-FGC."""

from __future__ import annotations

from thgen.compact.motion_head import MotionHead
from thgen.methods.pd_fgc.equations import BANK, WINDOW
from thgen.methods.pd_fgc.networks import Appearance, AudioLip, FaceAppearance, FaceMotion, Motion
from thgen.nn.stylegan2 import StyleGenerator
from thgen.training.clip_task import CachedData, ClipData, PictureData
from thgen.training.settings import Positive, Real, Share, arguments_of, networks_of

CompactModel = networks_of(
    appearance=arguments_of(FaceAppearance, given=("inputs",)), motion=arguments_of(FaceMotion, given=("inputs",)),
    audio=arguments_of(AudioLip), head=arguments_of(MotionHead, given=("latent",)),
)  # fmt: skip
PaperModel = networks_of(
    appearance=arguments_of(Appearance), motion=arguments_of(Motion), audio=arguments_of(AudioLip),
    style=arguments_of(StyleGenerator, given=("latent",)),
)  # fmt: skip


class PdFgcData(ClipData):
    """data: of all stages."""

    bank: Positive = BANK  # latents in the memory bank of eq. 6; the same in all stages, as one initialises the next


class EncoderData(PdFgcData, CachedData):
    """data: of stage 2c, and of 2a and 2b with their own."""


class AppearanceData(PdFgcData, PictureData):
    """data: of stage 1."""

    motion_prior: str = "auto"  # of eq. 1 and 8: auto, analyser, or an unpublished one, with which both are off


class CompactAppearanceData(AppearanceData, CachedData):
    """data: of stage 1 of the compact preset, whose photos and frames are features of the frozen face encoder."""


class LipData(EncoderData):
    """data: of stage 2a."""

    temperature: Real = 0.1  # of eq. 2 and 3
    min_gap: Positive = 3  # frames between two contrasted moments of a clip, at least
    versions: Positive = 3  # recordings of each voice, the first without augmentation


class EyeData(EncoderData):
    """data: of stage 2b."""

    temperature: Real = 0.1  # of eq. 4


class ExpressionData(AppearanceData, CachedData):
    """data: of stages 3 and 3b."""

    window: Positive = WINDOW  # frames over which the expression is averaged
    versions: Positive = 3  # recordings of each voice, the first without augmentation
    lip_from_video_share: Share = 0.3  # of the rows, whose lip latent comes from the frame and not from the voice
    freeze: bool = False  # leave E_exp as it is, as the paper does after 40,000 steps (stage 3b)
