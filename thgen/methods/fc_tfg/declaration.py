"""Declaration of FC-TFG's preset "paper"."""

from thgen.declare import AUDIO, CLIP, Declaration, Factor, View

CODE = 512  # channels of a code, of the voice and of each style index (section 4.1.2 and StyleGAN2)
CANONICAL = "the canonical face"  # of no motion (section 3.1, figure 5)

CANONICAL_FACES = View(
    "canonical",
    "Canonical faces",
    "Faces of several people, or of one clip, above what is left of each without motion (figure 5).",
    photos=(0, 12),  # finding a face takes about a second a photo
    frames=8,
)

# Its generator has no input besides the codes, so sliders and idle motion are impossible. Sizes: see latents.
FC_TFG_PAPER = Declaration(
    name="fc_tfg.paper",
    label="FC-TFG (paper)",
    about="That's What I Said: Fully-Controllable Talking Face Generation (Jang et al., ACM MM 2023), with the "
    "networks of the paper, at 256 px.",
    method="thgen.methods.fc_tfg.paper:PaperFcTfg",
    factors=(
        Factor("coarse", "Head (style indices 1 to 4)", 4 * CODE, sources=(CLIP,), blends=True, relative=False,
               zero=CANONICAL, info="pose and shape of the whole head"),
        Factor("fine", "Face (style indices 7 to 10)", 4 * CODE + 1, sources=(CLIP,), blends=True, relative=False,
               zero=CANONICAL, info="lips, brows, lids and gaze"),
        Factor("speech", "Lips (voice at style indices 7 and 8)", CODE, sources=(AUDIO,), relative=False,
               info="without a voice the clip drives the lips, too"),
    ),
    controls=(),
    weights=("analyser", "fc_tfg_paper_generator", "fc_tfg_paper_encoder", "fc_tfg_paper_voice",
             "fc_tfg_paper_fusion"),
    weights_from="train it: python -m thgen train fc_tfg --preset paper",
    views=(CANONICAL_FACES,),
)  # fmt: skip
