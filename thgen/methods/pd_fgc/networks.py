"""Networks of PD-FGC: appearance, motion with a head per factor, voice. As released, but for the compact preset's
`FaceAppearance` and `FaceMotion`. Backbones: `thgen.nn`."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from thgen.compact.face_feature import FaceFeature
from thgen.nn.fan import FanEncoder
from thgen.nn.resnet_se import ResNetSE
from thgen.nn.resnext import ResNeXt


class Appearance(nn.Module):
    """Appearance of a photo [B 3 H W] in [-1, 1]: vector [B C] and map [B map_channels side side].

    PD-FGC (Wang et al. 2023, section 3.2) as released. The vector is the average of ResNeXt-50 32x4d's last map. The
    map, after a 1x1 convolution, is the generator's first input. identities: classes of the identity head, for training
    only.
    """

    def __init__(
        self, depths: tuple[int, ...] = (3, 4, 6, 3), groups: int = 32, group_width: int = 4, base: int = 64,
        map_channels: int = 512, side: int = 7, identities: int = 0,
    ):  # fmt: skip
        super().__init__()
        self.config = {
            "class": "pd_fgc_appearance", "depths": list(depths), "groups": groups, "group_width": group_width,
            "base": base, "map_channels": map_channels, "side": side, "identities": identities,
        }  # fmt: skip
        self.model, self.side = ResNeXt(tuple(depths), groups, group_width, base), side
        self.conv1x1 = nn.Conv2d(self.model.channels, map_channels, 1)
        if identities:
            self.fc = nn.Linear(self.model.channels, identities)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x [B 3 H W] -> vector [B C], map [B map_channels side side]."""
        features = self.model(x)
        return features.mean((2, 3)), F.adaptive_avg_pool2d(self.conv1x1(features), self.side)

    def identify(self, vector: Tensor) -> Tensor:
        """Logits [B identities] of a vector [B C]."""
        logits: Tensor = self.fc(vector)
        return logits


def head(features: int) -> nn.Sequential:
    """[B features] -> [B features]. The batch norm follows the ReLU, as released."""
    return nn.Sequential(
        nn.Linear(features, features), nn.ReLU(), nn.BatchNorm1d(features), nn.Linear(features, features)
    )


def embedding(features: int, size: int) -> nn.Sequential:
    """Feature [B features] -> latent [B size]."""
    return nn.Sequential(nn.ReLU(), nn.Linear(features, size))


class MotionBase(nn.Module):
    """The unified motion feature of a frame, with a head per factor (PD-FGC, section 3.2 and figure 2).

    model: the backbone E_mot, input -> feature [B features]. lip, pose, eye, expression: sizes of the latents.
    """

    config: dict[str, object]

    def __init__(self, model: nn.Module, features: int, lip: int, pose: int, eye: int, expression: int) -> None:
        super().__init__()
        self.model = model
        self.to_mouth, self.mouth_embed = head(features), embedding(features, lip)
        self.to_headpose, self.headpose_embed = head(features), embedding(features, pose)
        self.to_eye, self.eye_embed = head(features), embedding(features, eye)
        self.to_emo, self.emo_embed = head(features), embedding(features, expression)

    def forward(self, x: Tensor) -> Tensor:
        """The backbone's input -> unified feature [B features]."""
        feature: Tensor = self.model(x)
        return feature

    def lip_feature(self, feature: Tensor) -> Tensor:
        """Lip feature [B features], which eq. 2 and 3 align with the voice's feature."""
        out: Tensor = self.to_mouth(feature)
        return out

    def pose(self, feature: Tensor) -> Tensor:
        """Pose latent [B pose]."""
        out: Tensor = self.headpose_embed(self.to_headpose(feature))
        return out

    def eye(self, feature: Tensor) -> Tensor:
        """Eye latent [B eye]."""
        out: Tensor = self.eye_embed(self.to_eye(feature))
        return out

    def expression(self, feature: Tensor) -> Tensor:
        """Expression latent [B expression]."""
        out: Tensor = self.emo_embed(self.to_emo(feature))
        return out


class Motion(MotionBase):
    """As released: frames [B 3 side side] in [-1, 1] -> feature.

    width, side, features, maps, squeeze, dropout: see FanEncoder; lip, pose, eye, expression: sizes of the latents.
    """

    def __init__(
        self, width: int = 256, side: int = 224, features: int = 512, maps: int = 68, lip: int = 500, pose: int = 6,
        eye: int = 6, expression: int = 30, dropout: float = 0.5, squeeze: int = 1,
    ):  # fmt: skip
        super().__init__(
            FanEncoder(width, side, features, maps, dropout, squeeze), features, lip, pose, eye, expression
        )
        self.config = {
            "class": "pd_fgc_motion", "width": width, "side": side, "features": features, "maps": maps, "lip": lip,
            "pose": pose, "eye": eye, "expression": expression, "dropout": dropout, "squeeze": squeeze,
        }  # fmt: skip


class FaceAppearance(FaceFeature):
    """Of the compact preset (deviation 11): `encoder.inputs.encoder_input` of photos [B inputs] -> vector [B features].

    inputs: of the face encoder on which it is trained. hidden, layers, features: see FaceFeature.
    """

    def __init__(self, inputs: int, hidden: int = 256, layers: int = 1, features: int = 64) -> None:
        super().__init__(inputs, hidden, layers, features)
        self.config = {
            "class": "pd_fgc_face_appearance", "inputs": inputs, "hidden": hidden, "layers": layers,
            "features": features,
        }  # fmt: skip


class FaceMotion(MotionBase):
    """Of the compact preset (deviation 11): `encoder.inputs.encoder_input` of frames [B inputs] -> feature.

    inputs: of the face encoder on which it is trained; it fits no other. hidden, layers, features: see FaceFeature.
    """

    def __init__(
        self, inputs: int, hidden: int = 256, layers: int = 2, features: int = 128, lip: int = 60, pose: int = 6,
        eye: int = 6, expression: int = 30,
    ):  # fmt: skip
        super().__init__(FaceFeature(inputs, hidden, layers, features), features, lip, pose, eye, expression)
        self.config = {
            "class": "pd_fgc_face_motion", "inputs": inputs, "hidden": hidden, "layers": layers, "features": features,
            "lip": lip, "pose": pose, "eye": eye, "expression": expression,
        }  # fmt: skip


class AudioLip(nn.Module):
    """Lip feature [B features] (eq. 2, 3) and lip latent [B lip] of a mel window of a voice.

    unit: features are scaled to length sqrt(features) before the embedding. The cosines of eq. 2 and 3 do not train
    their length. False: as in the released network.
    """

    def __init__(
        self, channels: tuple[int, ...] = (32, 64, 128, 256), depths: tuple[int, ...] = (3, 4, 6, 3), mels: int = 80,
        features: int = 512, attention: int = 128, lip: int = 500,
        unit: bool = False,
    ):  # fmt: skip
        super().__init__()
        self.config = {
            "class": "pd_fgc_audio", "channels": list(channels), "depths": list(depths), "mels": mels,
            "features": features, "attention": attention, "lip": lip, "unit": unit,
        }  # fmt: skip
        self.model = ResNetSE(tuple(channels), tuple(depths), mels, features, attention)
        self.mouth_embed = nn.Sequential(nn.ReLU(), nn.Linear(features, lip))
        self.unit = unit

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x [B 1 mels frames] in [0, 1] -> feature, latent."""
        feature: Tensor = self.model(x)
        return feature, self.embed(feature)

    def embed(self, feature: Tensor) -> Tensor:
        """Lip feature [B features] of a voice or of a picture -> lip latent [B lip]."""
        if self.unit:
            feature = F.normalize(feature, dim=1) * feature.shape[1] ** 0.5
        latent: Tensor = self.mouth_embed(feature)
        return latent
