"""Networks of FC-TFG's compact preset: E_inv on the face encoder, and the motion heads in the place of G."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from thgen.compact.face_feature import FaceFeature
from thgen.compact.motion_head import FaceState, MotionHead
from thgen.schema import COEFFICIENTS, LIP_COEFFICIENTS, stem_of

# What the codes with a voice move: lips and jaw, and what of an expression is at the mouth. The others move the rest.
AT_THE_MOUTH = ("mouthDimple", "mouthFrown", "mouthSmile", "cheekPuff", "noseSneer")


class FaceCodes(FaceFeature):
    """E_inv: `encoder.inputs.encoder_input` of frames [B inputs] -> codes z [B indices latent] (deviation 20).

    inputs: of the face encoder on which it is trained; it fits no other. hidden, layers: see FaceFeature.
    """

    def __init__(self, inputs: int, hidden: int = 256, layers: int = 2, latent: int = 32, indices: int = 8) -> None:
        super().__init__(inputs, hidden, layers, indices * latent)
        self.config = {
            "class": "fc_tfg_face_codes", "inputs": inputs, "hidden": hidden, "layers": layers, "latent": latent,
            "indices": indices,
        }  # fmt: skip
        self.latent, self.indices = latent, indices

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).unflatten(1, (self.indices, self.latent))


class IndexHeads(nn.Module):
    """In the place of G: codes of M style indices [B M*latent] -> face state, by a motion head for each kind of index.

    In StyleGAN2 it depends on its place what an index can move. Here it depends on its head (deviation 21):

        coarse     turn and place of the head
        with a voice   coefficients of lips and jaw, and AT_THE_MOUTH
        fine, without  all other coefficients (lids, brows, cheeks), and the gaze

    coarse, lips, eyes: numbers of indices of each kind, in this order. hidden, layers: of each head.
    """

    mouth: Tensor

    def __init__(
        self, latent: int = 32, coarse: int = 4, lips: int = 2, eyes: int = 2, hidden: int = 192, layers: int = 2
    ):  # fmt: skip
        super().__init__()
        self.config = {
            "class": "fc_tfg_heads", "latent": latent, "coarse": coarse, "lips": lips, "eyes": eyes, "hidden": hidden,
            "layers": layers,
        }  # fmt: skip
        self.sizes = [latent * count for count in (coarse, lips, eyes)]
        self.coarse, self.lips, self.eyes = (MotionHead(size, hidden, layers) for size in self.sizes)
        mouth = [name in LIP_COEFFICIENTS or stem_of(name) in AT_THE_MOUTH for name in COEFFICIENTS]
        self.register_buffer("mouth", torch.tensor(mouth), persistent=False)

    def forward(self, codes: Tensor) -> FaceState:
        coarse, lips, eyes = codes.split(self.sizes, 1)
        head, mouth, face = self.coarse(coarse), self.lips(lips), self.eyes(eyes)
        coefficients = torch.where(self.mouth, mouth.coefficients, face.coefficients)
        return FaceState(coefficients, face.gaze, head.turn, head.place)
