"""The methods by name, as they declare themselves. Listing them imports no torch."""

from thgen.declare import Declaration
from thgen.errors import MethodError, shown
from thgen.methods.fc_tfg.declaration import FC_TFG, FC_TFG_PAPER
from thgen.methods.pd_fgc.declaration import PD_FGC, PD_FGC_PAPER
from thgen.methods.rig.declaration import RIG

METHODS: dict[str, Declaration] = {d.name: d for d in (RIG, PD_FGC, PD_FGC_PAPER, FC_TFG, FC_TFG_PAPER)}


def declaration_of(name: str) -> Declaration:
    """Raises MethodError."""
    if name not in METHODS:
        raise MethodError(f"There is no method {shown(name)}; choose one of: {', '.join(METHODS)}.")
    return METHODS[name]
