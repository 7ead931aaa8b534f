"""The methods by name. Values are import paths, so that listing methods imports no network."""

METHODS = {
    "rig": "thgen.methods.rig:Rig",
    "pd_fgc": "thgen.methods.pd_fgc:PdFgc",
    "pd_fgc.paper": "thgen.methods.pd_fgc:PaperPdFgc",
}
