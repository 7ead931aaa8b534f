"""Declarations of PD-FGC and its preset "paper"."""

from dataclasses import replace

from thgen.declare import Declaration, Factor
from thgen.schema import FACTORS, SLIDERS

# Sizes of the latents (section 4.1). The eye's six entries are split into blink and gaze (deviation 4).
SIZES = {"lip": 500, "pose": 6, "gaze": 2, "blink": 4, "expression": 30}
COMPACT_LIP = 60  # size of the lip latent of the compact preset


def _latents(lip: int) -> tuple[Factor, ...]:
    """The common factors as latents: no units, no relative motion. Zero has a meaning (section B.2, figure 3)."""
    return tuple(
        replace(
            FACTORS[name],
            size=size,
            unit=None,
            dims=(),
            limits=(),
            relative=False,
            rest=None,
            zero="the canonical position",
        )
        for name, size in (SIZES | {"lip": lip}).items()
    )


PD_FGC = Declaration(
    name="pd_fgc",
    label="PD-FGC",
    about="Progressive Disentangled Representation Learning for Fine-Grained Controllable Talking Head Synthesis "
    "(Wang et al., CVPR 2023), at the size of two CPU cores.",
    method="thgen.methods.pd_fgc.method:PdFgc",
    factors=_latents(COMPACT_LIP),
    controls=tuple(SLIDERS.values()),
    weights=("analyser", "rig", "face_encoder", "pd_fgc_appearance", "pd_fgc_motion", "pd_fgc_audio", "pd_fgc_head"),
)

# Its generator has no input besides the latents, so sliders and idle motion are impossible.
PD_FGC_PAPER = Declaration(
    name="pd_fgc.paper",
    label="PD-FGC (paper)",
    about="PD-FGC with the networks and weights that its authors released, at 224 px.",
    method="thgen.methods.pd_fgc.paper:PaperPdFgc",
    factors=tuple(replace(f, idle=False) for f in _latents(SIZES["lip"])),
    controls=(),
    weights=("analyser", "rig", "pd_fgc_paper_appearance", "pd_fgc_paper_motion", "pd_fgc_paper_audio",
             "pd_fgc_paper_generator"),
    weights_from="convert the authors' files: python -m thgen weights convert pd_fgc FOLDER",
    released="thgen.methods.pd_fgc.released",
)  # fmt: skip
