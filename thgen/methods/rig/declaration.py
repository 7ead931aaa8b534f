"""Declaration of Rig."""

from thgen.declare import Declaration
from thgen.schema import FACTORS, SLIDERS

RIG = Declaration(
    name="rig",
    label="Rig",
    about="Our own reference, supervised by the renderer. Every value has a unit.",
    method="thgen.methods.rig.method:Rig",
    factors=tuple(FACTORS.values()),
    controls=tuple(SLIDERS.values()),
    weights=("analyser", "face_encoder", "audio", "rig"),
)
