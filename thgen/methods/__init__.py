"""The methods by name. Values are import paths, so that listing methods imports no network."""

METHODS = {
    "rig": "thgen.methods.rig.method:Rig",
    "pd_fgc": "thgen.methods.pd_fgc.method:PdFgc",
    "pd_fgc.paper": "thgen.methods.pd_fgc.paper:PaperPdFgc",
}
