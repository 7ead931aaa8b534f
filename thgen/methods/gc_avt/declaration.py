"""Declaration of GC-AVT's preset "paper"."""

from dataclasses import replace

from thgen.declare import Declaration, Factor
from thgen.schema import FACTORS

PHOTOS = 8  # K of section 4.1
SIZES = {"lip": 256, "pose": 12, "expression": 256}  # section 4.1
# deviation 18
ZERO = {
    "lip": "the lips of silence",
    "pose": "the mean of all clips, a frontal head",
    "expression": "the mean of all clips",
}


def _latent(name: str) -> Factor:
    """A common factor as a latent: no unit, no relative motion, no idle motion."""
    return replace(
        FACTORS[name], size=SIZES[name], unit=None, dims=(), limits=(), relative=False, rest=None, idle=False,
        zero=ZERO[name],
    )  # fmt: skip


# Its generator has no input besides the latents, so sliders and idle motion are impossible.
GC_AVT_PAPER = Declaration(
    name="gc_avt.paper",
    label="GC-AVT (paper)",
    about="Expressive Talking Head Generation with Granular Audio-Visual Control (Liang et al., CVPR 2022), with the "
    "networks of the paper, at 256 px.",
    method="thgen.methods.gc_avt.paper:PaperGcAvt",
    factors=(
        replace(_latent("lip"), info="from a voice, or from the mouth of a clip"),
        replace(_latent("pose"), info="of the head; at zero the face is frontal"),
        replace(_latent("expression"), info="brows, eyes, cheeks, and the mood of the mouth"),
    ),
    controls=(),
    weights=("analyser", *(f"gc_avt_paper_{name}" for name in (
        "identity", "pose", "expression", "content", "voice", "generator"))),
    weights_from="train it: python -m thgen train gc_avt --preset paper",
    max_photos=PHOTOS,
)  # fmt: skip
