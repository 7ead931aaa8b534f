"""What may stand under `data:` and `model:` of the stages of PD-FGC."""

from __future__ import annotations

from thgen.compact.motion_head import MotionHead
from thgen.methods.pd_fgc.equations import BANK, WINDOW
from thgen.methods.pd_fgc.networks import Appearance, AudioLip, Motion
from thgen.nn.stylegan2 import StyleGenerator
from thgen.training.settings import Count, Positive, Real, Settings, Share, arguments_of, networks_of

# head: of the compact preset (a motion head), style: of the paper's
PdFgcModel = networks_of(
    appearance=arguments_of(Appearance),
    motion=arguments_of(Motion),
    audio=arguments_of(AudioLip),
    head=arguments_of(MotionHead, given=("latent",)),
    style=arguments_of(StyleGenerator, given=("latent",)),
)


class PdFgcData(Settings):
    """data: of all stages."""

    train: str  # folder of shards
    val: str
    head: str = "facekit"  # whose keypoints the clips show
    bank: Positive = BANK  # latents that eq. 6 looks at; the same in all stages, which hand it on


class KeptData(PdFgcData):
    """data: of the stages that leave E_mot as it is, 2a to 3b, and may cache its features."""

    keep: Count = 0  # views of each clip whose features are cached, the first unaugmented; 0: new ones each step
    kept: str = ""  # folder where the cache outlasts the process; "" = in memory


class PictureData(PdFgcData):
    """data: of the stages that draw pictures, 1 and 3."""

    pictures: Count = 0  # rows of a batch that are drawn
    pictures_from: Count = 0  # number of the first batch of which they are
    prior: str = "auto"  # of eq. 7: auto, vgg19 or analyser
    motion_prior: str = "auto"  # of eq. 1 and 8: auto, analyser, or one that nobody published, which turns them off


class LipData(KeptData):
    """data: of stage 2a."""

    temperature: Real = 0.1  # of eq. 2 and 3
    apart: Positive = 3  # frames, at least, from one of the moments that are contrasted to the next
    versions: Positive = 3  # recordings of each voice, the first unaugmented


class EyeData(KeptData):
    """data: of stage 2b."""

    temperature: Real = 0.1  # of eq. 4


class ExpressionData(PictureData, KeptData):
    """data: of stages 3 and 3b."""

    window: Positive = WINDOW  # frames over which the expression is averaged
    versions: Positive = 3  # recordings of each voice, the first unaugmented
    seen: Share = 0.3  # of the rows, whose lips come from the picture, as those of a driving clip do
    freeze: bool = False  # leave E_exp as it is; the paper does so after 40,000 steps, stage 3b
