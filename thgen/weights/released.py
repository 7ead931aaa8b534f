"""Single files that authors of cited works released: ArcFace's IR-SE-50 (as pSp passes it on) and Wav2Lip's.

    weights convert arcface model_ir_se50.pth       -> arcface: identity network of the losses (training.priors)
    weights convert wav2lip lipsync_expert.pth      -> wav2lip_sync: the expert of lip sync
    weights convert wav2lip wav2lip.pth             -> wav2lip_audio: the audio encoder of the generator

Nothing here loads or passes on such a file: the user has it, and its licence is between the user and its authors.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from thgen.nn.ir_se import UNITS, ArcFace
from thgen.nn.wav2lip import AudioEncoder, SyncExpert
from thgen.weights.convert import Part

# Layers of pSp's `Backbone` -> ours. Its residual units are numbered through all stages.
OUTER = {"input_layer.": "body.enter.", "output_layer.": "head."}
INNER = {"shortcut_layer.": "shortcut.", "res_layer.5.fc1.": "body.5.fc.0.", "res_layer.5.fc2.": "body.5.fc.2.",
         "res_layer.": "body."}  # fmt: skip
PARALLEL = "module."  # prefix of the names in checkpoints of several GPUs


def arcface_name(name: str, units: Sequence[int] = UNITS) -> str:
    """Name of a tensor of pSp's IR-SE-50 -> ours; an unknown name as it is.

    "body.3.res_layer.5.fc1.weight" -> "body.stages.1.0.body.5.fc.0.weight".
    """
    for theirs, ours in OUTER.items():
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    match = re.fullmatch(r"body\.(\d{1,4})\.(.+)", name)
    if match is None or int(match[1]) >= sum(units):
        return name
    unit, stage = int(match[1]), 0
    while unit >= units[stage]:
        unit, stage = unit - units[stage], stage + 1
    rest = next((ours + match[2].removeprefix(theirs) for theirs, ours in INNER.items() if match[2].startswith(theirs)),
                match[2])  # fmt: skip
    return f"body.stages.{stage}.{unit}.{rest}"


def wav2lip_name(name: str) -> str:
    """Name of a tensor of Wav2Lip, without the prefix of several GPUs; the rest is ours."""
    return name.removeprefix(PARALLEL)


# Word of the command -> (title, weights name -> possible content of the file)
SINGLE_FILES: dict[str, tuple[str, dict[str, Part]]] = {
    "arcface": (
        "ArcFace (IR-SE-50)",
        {"arcface": Part("", ArcFace, names=arcface_name, sign=r"^body\.\d+\.res_layer\.")},
    ),
    "wav2lip": (
        "Wav2Lip",
        {
            "wav2lip_sync": Part(
                "", SyncExpert, names=wav2lip_name, inside="state_dict", sign=r"^(module\.)?face_encoder\."
            ),
            "wav2lip_audio": Part(
                "", AudioEncoder, r"^(module\.)?(face_encoder_blocks|face_decoder_blocks|output_block)\.",
                names=wav2lip_name, inside="state_dict", sign=r"^(module\.)?face_decoder_blocks\.",
            ),
        },
    ),
}  # fmt: skip
