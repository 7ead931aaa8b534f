"""Rig: our supervised reference. Its latents are the renderer's own coefficients, so every control has a unit.

No paper: the ceiling that the five papers' methods are compared with. In the order of the path:
  source   the analyser gives the photo's 3-D keypoints, pose, gaze, lids and coefficients, once
  motion   pose out, a linear rig moves the keypoints by the change of coefficients, new pose in (networks.keypoint_rig)
  flow     the keypoints' displacement, spread in layers, corrected by a small network (networks.flow)
  picture  the photo's own pixels are warped at full resolution; the network paints what the photo does not show

All motion is a change from the photo: factors equal to the photo's own give the photo back.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from thgen import hub
from thgen.methods.base import Decoded, Factors, Identity, Method
from thgen.methods.guided import Guide, Movement
from thgen.networks.analyser import Analyser, Analysis
from thgen.networks.audio_encoder import AudioToLip, encode_lips
from thgen.networks.coefficients import blink_weights, gaze_shapes, pick, place
from thgen.networks.flow import GuidedFlow
from thgen.networks.geometry import euler_angles, rotation_matrix
from thgen.networks.keypoint_rig import PARTING
from thgen.preprocess.track import smooth
from thgen.schema import BLINK_COEFFICIENTS, EXPRESSION_COEFFICIENTS, LIP_COEFFICIENTS

MIN_OPENNESS = 30.0  # %; a photo with lids further closed than this counts as this far open, or opening would explode
LIGHT, FIRM = 0.05, 0.17  # weights of mouthPress from which lips begin to be, and are, pressed together
FIRMLY = 2.2  # how much further than meeting they go: of an open smile keypoints tell about half the gap
PRESS = 0.1  # how much further than touching a fully closed lid goes, so that no slit stays open
CLIP_BATCH = 32
SMOOTHING = {"lip": 0.12, "pose": 0.28, "gaze": 0.16, "blink": 0.08, "expression": 0.28}  # seconds, symmetric


class Rig(Method):
    """See the head of the file. Networks: analyser, audio, rig."""

    name = "rig"
    factors = ("lip", "pose", "gaze", "blink", "expression")
    weights_name = "rig"
    networks = ("analyser", "audio", "rig")

    def __init__(self, analyser: Analyser, audio: AudioToLip, generator: GuidedFlow, device: torch.device) -> None:
        self.guide, self.audio, self.device = Guide(analyser, generator, device), audio, device

    @classmethod
    def load(cls, device: torch.device) -> Rig:
        """Verified weights on `device`. Raises WeightsError."""
        analyser, audio, generator = (hub.load_network(name, device) for name in cls.networks)
        return cls(analyser, audio, generator, device)  # type: ignore[arg-type]

    # ---- encode
    def encode_photo(self, crop: np.ndarray) -> Identity:
        """crop uint8 RGB [S S 3], framed by preprocess.face."""
        photo, seen = self.guide.read(crop)
        own = self._factors(seen)
        return Identity(photo.image, own, {"photo": photo, "apart": self._apart(photo.posed.shape, own["lip"])})

    def encode_audio(self, samples: np.ndarray, frames: int) -> Factors:
        """Lips from a voice, [frames 21]; zero, which is closed, in silence."""
        return {"lip": encode_lips(self.audio, samples, frames, self.device)}

    @torch.inference_mode()
    def encode_clip(self, crops: Iterable[np.ndarray]) -> Factors:
        """Every factor of a clip, smoothed without lag. The crop follows the head, so its shift (x, y, z) is 0."""
        rows: list[Factors] = []
        batch: list[np.ndarray] = []
        for crop in crops:
            batch.append(crop)
            if len(batch) == CLIP_BATCH:
                rows.append(self._factors(self.guide.look_twice(self.guide.image(np.stack(batch)))[0]))
                batch = []
        if batch:
            rows.append(self._factors(self.guide.look_twice(self.guide.image(np.stack(batch)))[0]))
        joined = {name: torch.cat([r[name] for r in rows]) for name in self.factors}
        return {
            name: torch.from_numpy(smooth(values.cpu().numpy(), SMOOTHING[name])).float()
            for name, values in joined.items()
        }

    def _factors(self, analysis: Analysis) -> Factors:
        coefficients = analysis.coefficients.clamp(0, 1.2)
        return {
            "lip": pick(coefficients, LIP_COEFFICIENTS),
            "pose": torch.cat([analysis.pose, torch.zeros_like(analysis.pose)], 1),
            "gaze": analysis.gaze.mean(1),
            "blink": analysis.openness.clamp(0, 130),
            "expression": pick(coefficients, EXPRESSION_COEFFICIENTS),
        }

    # ---- decode
    @torch.inference_mode()
    def decode(self, identity: Identity, factors: Factors) -> Decoded:
        """Frames [T 3 S S] and mask for target factors, each [T D]."""
        out = self.guide.render(identity.state["photo"], self.movement(identity, factors))
        return Decoded(out.image.clamp(-1, 1), (1.1 * out.mask - 0.05).clamp(0, 1), out.flow)

    def movement(self, identity: Identity, factors: Factors) -> Movement:
        """What target factors, each [T D], change about the photo."""
        count = len(factors["pose"])
        target = {name: values.to(self.device).float() for name, values in factors.items()}
        own = {name: values.to(self.device).float().expand(count, -1) for name, values in identity.own.items()}
        change, gaze = self._change(identity, own, target)
        turn = euler_angles(rotation_matrix(target["pose"][:, :3]) @ rotation_matrix(own["pose"][:, :3]).mT)
        shift = target["pose"][:, 3:] - own["pose"][:, 3:]
        shut = (1 - target["blink"] / own["blink"].clamp_min(MIN_OPENNESS)).clamp(0, 1)
        return Movement(change, self._canonical(own, target), gaze, turn, shift, shut)

    def _canonical(self, own: Factors, target: Factors) -> Tensor:
        """Change of coefficients [T 57] as the network was taught it: blink 1 = closed."""
        gaze = [x["gaze"][:, None].expand(-1, 2, -1) for x in (own, target)]
        return (
            place(target["lip"] - own["lip"], LIP_COEFFICIENTS)
            + place(target["expression"] - own["expression"], EXPRESSION_COEFFICIENTS)
            + place(blink_weights(target["blink"]) - blink_weights(own["blink"]), BLINK_COEFFICIENTS)
            + gaze_shapes(gaze[1])
            - gaze_shapes(gaze[0])
        )

    def _change(self, identity: Identity, own: Factors, target: Factors) -> tuple[Tensor, Tensor]:
        """Change of coefficients [T 57] for the keypoints, lids scaled to this person's eyes; of gaze [T 2 2]."""
        change = self._canonical(own, target)
        share = 1 - target["blink"] / own["blink"].clamp_min(MIN_OPENNESS)  # of the photo's own opening
        share = share * (1 + PRESS * share.clamp(0, 1))
        change = change + place(
            share * identity.state["photo"].lid_scale - pick(change, BLINK_COEFFICIENTS), BLINK_COEFFICIENTS
        )
        press = (self._pressed(target["lip"]) - self._pressed(own["lip"])).clamp_min(0)
        change = change + place(-FIRMLY * press * identity.state["apart"], PARTING)
        gaze = (target["gaze"] - own["gaze"])[:, None].expand(-1, 2, -1)
        return change, gaze

    @staticmethod
    def _pressed(lip: Tensor) -> Tensor:
        """How far lips [T D] are meant to be pressed together, [T 1] from 0 to 1: on b, m and p."""
        press = pick(place(lip, LIP_COEFFICIENTS), ("mouthPress_L", "mouthPress_R")).mean(1, keepdim=True)
        return ((press - LIGHT) / (FIRM - LIGHT)).clamp(0, 1)

    def _apart(self, shape: Tensor, lip: Tensor) -> Tensor:
        """Weight [1 4] of PARTING by which the photo's lips are apart beyond what its coefficients [1 D] tell, as those
        of an open smile: b, m and p have to take it back."""
        rig = self.guide.rig
        rest = shape + torch.einsum("bc,ckj->bkj", place(-lip, LIP_COEFFICIENTS), rig.basis)
        gap = (rig.lip_gap(rest) - rig.lip_gap(rig.canonical[None])) / rig.parting().clamp_min(1e-3)
        return gap.clamp(0, 1)[:, None].expand(-1, len(PARTING))
