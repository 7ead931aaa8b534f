"""The files that the authors of PD-FGC released, and the tensors that their loader, and so ours, ignores."""

from __future__ import annotations

from thgen.methods.pd_fgc.networks import Appearance, AudioLip, Motion
from thgen.nn.stylegan2 import StyleGenerator
from thgen.weights.convert import Part

HEADS = r"^(?!.*model).*fc"  # the released loader's rule: names with "fc" and without "model"
FILES: dict[str, Part] = {
    "pd_fgc_paper_appearance": Part("appearance_model.pth", Appearance, rf"{HEADS}|^model\.fc\."),
    "pd_fgc_paper_motion": Part(
        "motion_model.pth", Motion, "mouth_fc|headpose_fc|classifier|to_feature|to_embed", others=True
    ),
    "pd_fgc_paper_audio": Part(
        "audio_model.pth", AudioLip, rf"{HEADS}|model\.layer4_exp|model\.attention_exp|model\.fc_exp|exp_embed"
    ),
    "pd_fgc_paper_generator": Part("generator_model.pth", StyleGenerator, others=True),
}
