"""Networks of GC-AVT (section 4.1) that are not whole in `thgen.nn`: identity, content of mouths and of voices."""

from __future__ import annotations

from torch import Tensor, nn

from thgen.methods.gc_avt.latents import IDENTITY_SIZE, LIP, SIZES
from thgen.nn.resnet_se import PictureResNetSE, ResNetSE
from thgen.nn.resnext import ResNeXt

CHANNELS, DEPTHS = (32, 64, 128, 256), (3, 4, 6, 3)  # of ResNetSE34 (Chung et al. 2020)


class Identity(ResNeXt):
    """E_i: ResNeXt-50 32x4d, pictures [B 3 H W] in [-1, 1] -> embeddings [B features]. Names: torchvision's, as in the
    parent latent-pose. depths, groups, group_width, base: see ResNeXt."""

    def __init__(
        self, features: int = IDENTITY_SIZE, depths: tuple[int, ...] = (3, 4, 6, 3), groups: int = 32,
        group_width: int = 4, base: int = 64,
    ):  # fmt: skip
        super().__init__(tuple(depths), groups, group_width, base)
        self.config = {
            "class": "gc_avt_identity", "features": features, "depths": list(depths), "groups": groups,
            "group_width": group_width, "base": base,
        }  # fmt: skip
        self.fc = nn.Linear(self.channels, features)

    def forward(self, x: Tensor) -> Tensor:
        embedding: Tensor = self.fc(super().forward(x).mean((2, 3)))
        return embedding

    def of_person(self, photos: Tensor) -> Tensor:
        """f_id: K pictures of each of B people [B K 3 H W] -> the mean of their embeddings [B features]. K is free."""
        rows, count = photos.shape[:2]
        return self(photos.flatten(0, 1)).float().unflatten(0, (rows, count)).mean(1)


class Content(PictureResNetSE):
    """E_c: mouth crops [B 3 112 112] in [-1, 1] -> f_c^v [B features] (deviation 9)."""

    def __init__(
        self, features: int = SIZES[LIP], channels: tuple[int, ...] = CHANNELS, depths: tuple[int, ...] = DEPTHS
    ):
        super().__init__(tuple(channels), tuple(depths), features)
        self.config = {
            "class": "gc_avt_content", "features": features, "channels": list(channels), "depths": list(depths)
        }  # fmt: skip


class Voice(ResNetSE):
    """E_a: mel windows [B 1 80 20] in [0, 1] -> f_c^a [B features]."""

    def __init__(
        self, features: int = SIZES[LIP], channels: tuple[int, ...] = CHANNELS, depths: tuple[int, ...] = DEPTHS,
        mels: int = 80, attention: int = 128,
    ):  # fmt: skip
        super().__init__(tuple(channels), tuple(depths), mels, features, attention)
        self.config = {
            "class": "gc_avt_voice", "features": features, "channels": list(channels), "depths": list(depths),
            "mels": mels, "attention": attention,
        }  # fmt: skip
