"""Declarations of FC-TFG and its preset "paper"."""

from thgen.declare import AUDIO, CLIP, Declaration, Factor, View

CODE = 512  # channels of a code, of the voice and of each style index (section 4.1.2 and StyleGAN2)
COMPACT_CODE, COMPACT_VOICE = 32, 128  # the same of the compact preset: of each style index, and of the voice
CANONICAL = "the canonical face"  # of no motion (section 3.1, figure 5)

CANONICAL_FACES = View(
    "canonical",
    "Canonical faces",
    "Faces of several people, or of one clip, above what is left of each without motion (figure 5).",
    photos=(0, 12),  # finding a face takes about a second a photo
    frames=8,
)


def _factors(code: int, voice: int, idle: bool) -> tuple[Factor, ...]:
    """The factors for codes and voices of so many channels; their sizes: see latents. idle: they have idle motion."""
    return (
        Factor("coarse", "Head (coarse)", 4 * code, sources=(CLIP,), blends=True, relative=False,
               idle=idle, zero=CANONICAL, info="style indices 1 to 4: pose and shape of the whole head",
               moves=("pose",)),
        Factor("fine", "Face (fine)", 4 * code + 1, sources=(CLIP,), blends=True, relative=False,
               idle=idle, zero=CANONICAL, info="style indices 7 to 10: lips, brows, lids and gaze",
               moves=("lip", "gaze", "blink", "expression")),
        Factor("speech", "Lips (voice)", voice, sources=(AUDIO,), relative=False,
               info="the voice at style indices 7 and 8; without it a clip drives the lips"),
    )  # fmt: skip


# Idle motion is added to that of the codes. The page shows a slider beside its factor, and the common sliders belong to
# factors that this method lacks.
FC_TFG = Declaration(
    name="fc_tfg",
    label="FC-TFG",
    about="That's What I Said: Fully-Controllable Talking Face Generation (Jang et al., ACM MM 2023), at the size of "
    "two CPU cores.",
    method="thgen.methods.fc_tfg.method:FcTfg",
    factors=_factors(COMPACT_CODE, COMPACT_VOICE, idle=True),
    controls=(),
    weights=("analyser", "rig", "face_encoder", "fc_tfg_encoder", "fc_tfg_voice", "fc_tfg_fusion", "fc_tfg_heads"),
    weights_from="train it: python -m thgen train fc_tfg",
    views=(CANONICAL_FACES,),
)

# Its generator has no input besides the codes, so sliders and idle motion are impossible.
FC_TFG_PAPER = Declaration(
    name="fc_tfg.paper",
    label="FC-TFG (paper)",
    about="That's What I Said: Fully-Controllable Talking Face Generation (Jang et al., ACM MM 2023), with the "
    "networks of the paper, at 256 px.",
    method="thgen.methods.fc_tfg.paper:PaperFcTfg",
    factors=_factors(CODE, CODE, idle=False),
    controls=(),
    weights=("analyser", "fc_tfg_paper_generator", "fc_tfg_paper_encoder", "fc_tfg_paper_voice",
             "fc_tfg_paper_fusion"),
    weights_from="train it: python -m thgen train fc_tfg --preset paper",
    views=(CANONICAL_FACES,),
)  # fmt: skip
