"""Declaration of LIA, with the weights of its authors."""

from thgen.declare import CLIP, Declaration, Factor, Slider

MOTION = "motion"  # its only factor: pose, gaze, lips and expression together
DIRECTIONS = 20  # of the released dictionary
# Largest offset of a slider, in units of alpha. A choice: the released weights were not at hand when this was written.
REACH = 5.0

LIA_RELEASED = Declaration(
    name="lia",
    label="LIA",
    about="Latent Image Animator: Learning to Animate Images via Latent Space Navigation (Wang et al., ICLR 2022), "
    "with the networks and weights that its authors released, at 256 px.",
    method="thgen.methods.lia.method:Lia",
    factors=(
        Factor(
            MOTION, "Motion", DIRECTIONS, sources=(CLIP,), blends=True,
            info="the whole motion of a clip: head, gaze, lips and expression cannot be separated",
        ),
    ),
    controls=tuple(
        Slider(f"lia.d{number}", f"Direction {number}", MOTION, "", -REACH, REACH, 0.0, 0.1,
               "learned without supervision; what it moves is found by trying")
        for number in range(1, DIRECTIONS + 1)
    ),
    weights=("analyser", "lia"),
    weights_from="convert the authors' file: python -m thgen weights convert lia FILE",
)  # fmt: skip
