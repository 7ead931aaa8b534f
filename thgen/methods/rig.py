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
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from thgen import hub
from thgen.methods.base import Decoded, Factors, Identity, Method
from thgen.networks.analyser import INPUT_SIZE, Analyser, Analysis
from thgen.networks.audio_encoder import AudioToLip, encode_lips
from thgen.networks.coefficients import blink_weights, gaze_shapes, pick, place
from thgen.networks.flow import BASE, FLOW_SIZE, Generated, GuidedFlow, motion_code, open_share, polygon_distance
from thgen.networks.geometry import euler_angles, rotation_matrix
from thgen.networks.keypoint_rig import PARTING
from thgen.networks.layers import Scene
from thgen.preprocess.scene import behind, grow_head
from thgen.preprocess.track import smooth
from thgen.schema import BLINK_COEFFICIENTS, EXPRESSION_COEFFICIENTS, LIP_COEFFICIENTS, SEGMENTS

# The crop that preprocess.face gives has its landmarks' box centred at (0, 0.16) with extent 1 (half-widths).
FIRST_LOOK = (0.0, 0.064, 0.8)  # x, y, half-side of the square that the analyser sees first
LOOK_SCALE, LOOK_LIFT = 1.6, 0.06  # the analyser's framing, see preprocess.crop.ANALYSER
MIN_OPENNESS = 30.0  # %; a photo with lids further closed than this counts as this far open, or opening would explode
# Framings in which a photo is looked at: shifts of the centre and change of the half-side, in half-sides.
AROUND = tuple((x, y, z) for z in (-0.08, 0.0, 0.1) for x, y in ((0, 0), (0.05, 0.04), (-0.05, 0.04), (0, -0.06)))
GAMMAS = (1.0, 0.5)  # brightenings under which the photo's parts are told apart: dark hair before a dark wall
LIGHT, FIRM = 0.05, 0.17  # weights of mouthPress from which lips begin to be, and are, pressed together
FIRMLY = 2.2  # how much further than meeting they go: of an open smile keypoints tell about half the gap
LASHES = 0.4  # how far lashes hide the edge of the upper lid, in heights of the open eye
CREASE = 0.3  # how far above them a fully closed lid's skin is taken from: too near are lashes, too far is the brow
PRESS = 0.1  # how much further than touching a fully closed lid goes, so that no slit stays open
SURE = 6.0  # logit of trust in the photo's pixels where nothing moves
CLIP_BATCH = 32
SMOOTHING = {"lip": 0.12, "pose": 0.28, "gaze": 0.16, "blink": 0.08, "expression": 0.28}  # seconds, symmetric


class Rig(Method):
    """See the head of the file. Networks: analyser, audio, rig."""

    name = "rig"
    factors = ("lip", "pose", "gaze", "blink", "expression")
    weights_name = "rig"
    networks = ("analyser", "audio", "rig")

    def __init__(self, analyser: Analyser, audio: AudioToLip, generator: GuidedFlow, device: torch.device) -> None:
        self.analyser, self.audio, self.generator, self.device = analyser, audio, generator, device

    @classmethod
    def load(cls, device: torch.device) -> Rig:
        """Verified weights on `device`. Raises WeightsError."""
        analyser, audio, generator = (hub.load_network(name, device) for name in cls.networks)
        return cls(analyser, audio, generator, device)  # type: ignore[arg-type]

    # ---- encode
    @torch.inference_mode()
    def encode_photo(self, crop: np.ndarray) -> Identity:
        """crop uint8 RGB [S S 3], framed by preprocess.face."""
        image = self._image(crop[None])
        analysis, keypoints = self._look_around(image)
        own = self._factors(analysis)
        rig = self.generator.rig
        keypoints = self._lift_lids(keypoints)
        posed = rig.unpose(keypoints)
        state = {
            "keypoints": keypoints, "posed": posed, "analysis": analysis, "lid_scale": rig.lid_scale(posed),
            "apart": self._apart(posed.shape, own["lip"]),
            "small": F.interpolate(image, size=(BASE, BASE), mode="area" if crop.shape[0] >= BASE else "bilinear"),
        }  # fmt: skip
        state["scene"] = scene = self._scene(crop, image, keypoints)
        rest = self._generate(Identity(image, own, state), own)
        state["scene"] = replace(scene, drift=rest.flow, doubt=(SURE - rest.keep).clamp_min(0))
        return Identity(image, own, state)

    def _scene(self, crop: np.ndarray, image: Tensor, keypoints: Tensor) -> Scene:
        """Head, hair and parted lips of the photo, and what may stand behind them."""
        small = F.interpolate(image, size=(INPUT_SIZE, INPUT_SIZE), mode="area")
        looks = [((small + 1) / 2).clamp(0, 1) ** gamma * 2 - 1 for gamma in GAMMAS]
        seen = self.analyser.segment(torch.cat([*looks, *(look.flip(3) for look in looks)])).softmax(1)
        count = len(looks)
        sure = ((seen[:count] + seen[count:].flip(3)) / 2).mean(0)  # a mirrored face has the same parts

        def among(*names: str) -> np.ndarray:
            return sure[[SEGMENTS.index(name) for name in names]].sum(0).float().cpu().numpy()

        seen_moving = 1 - among("background", "body")
        moving = grow_head(crop, seen_moving, among("neck", "body"))
        hair = np.maximum(among("hair", "worn"), moving - seen_moving)
        lips, sense = self.generator.rig.openings(keypoints)[2]
        mouth = open_share(polygon_distance(lips, sense, BASE))

        def tensor(values: np.ndarray) -> Tensor:
            return torch.from_numpy(values).to(image)[None, None]

        plate = F.interpolate(self._image(behind(crop, moving)[None]), size=image.shape[-2:], mode="bilinear")
        drift, doubt = image.new_zeros(1, 3, FLOW_SIZE, FLOW_SIZE).split((2, 1), 1)  # not known yet
        return Scene(tensor(moving), tensor(hair), mouth, plate, drift, doubt)

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
                rows.append(self._factors(self._look_twice(self._image(np.stack(batch)))[0]))
                batch = []
        if batch:
            rows.append(self._factors(self._look_twice(self._image(np.stack(batch)))[0]))
        joined = {name: torch.cat([r[name] for r in rows]) for name in self.factors}
        return {
            name: torch.from_numpy(smooth(values.cpu().numpy(), SMOOTHING[name])).float()
            for name, values in joined.items()
        }

    def _image(self, crops: np.ndarray) -> Tensor:
        return torch.tensor(crops, device=self.device).permute(0, 3, 1, 2).float() / 127.5 - 1

    def _look_twice(self, image: Tensor) -> tuple[Analysis, Tensor]:
        """Analyse crops [B 3 S S]: once where the face should be, again where its landmarks are. Also the keypoints in
        coordinates of the crop [B K 3]."""
        square = image.new_tensor(FIRST_LOOK).expand(len(image), 3)
        _, keypoints = self._look(image, square)
        return self._look(image, self._framing(keypoints))

    def _look_around(self, image: Tensor) -> tuple[Analysis, Tensor]:
        """Analyse one crop [1 3 S S] in several framings and average: a photo is looked at once, it may cost more."""
        _, keypoints = self._look_twice(image)
        square = self._framing(keypoints)
        moved = square + square[:, 2:] * square.new_tensor(AROUND)
        analysis, keypoints = self._look(image.expand(len(AROUND), -1, -1, -1), moved)
        mean = {n: getattr(analysis, n).mean(0, keepdim=True) for n in analysis.__dataclass_fields__}
        return Analysis(**mean), keypoints.mean(0, keepdim=True)

    def _lift_lids(self, keypoints: Tensor) -> Tensor:
        """Keypoints [1 K 3] with the upper lids' edge above the lashes, which hide it in photos and not in renders."""
        rig = self.generator.rig
        posed = rig.unpose(keypoints)
        still = keypoints.new_zeros(1, 3)
        lift = place(-LASHES * rig.lid_scale(posed), BLINK_COEFFICIENTS)
        return rig.targets(posed, lift, keypoints.new_zeros(1, 2, 2), still, still)

    @staticmethod
    def _framing(keypoints: Tensor) -> Tensor:
        """The analyser's own square (x, y, half-side) around landmarks, [B 3]."""
        xy = keypoints[:, :68, :2]
        low, high = xy.amin(1), xy.amax(1)
        half = (high - low).amax(1) * LOOK_SCALE / 2
        centre = (low + high) / 2
        return torch.stack([centre[:, 0], centre[:, 1] - 2 * LOOK_LIFT * half, half], 1)

    def _look(self, image: Tensor, square: Tensor) -> tuple[Analysis, Tensor]:
        """Analyse squares [B 3] (x, y, half-side) of crops."""
        x, y, half = square.unbind(1)
        zero = torch.zeros_like(x)
        matrix = torch.stack([torch.stack([half, zero, x], 1), torch.stack([zero, half, y], 1)], 1)
        fine = 2 * INPUT_SIZE  # sampled finely, then averaged: no aliasing
        grid = F.affine_grid(matrix, [len(image), 3, fine, fine], align_corners=False)
        view = F.avg_pool2d(F.grid_sample(image, grid, padding_mode="border", align_corners=False), 2)
        analysis = self.analyser(view)
        keypoints = analysis.keypoints * half[:, None, None]
        keypoints = torch.cat([keypoints[..., :2] + square[:, None, :2], keypoints[..., 2:]], -1)
        return analysis, keypoints

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
        out = self._generate(identity, factors)
        return Decoded(out.image.clamp(-1, 1), (1.1 * out.mask - 0.05).clamp(0, 1), out.flow)

    def _generate(self, identity: Identity, factors: Factors) -> Generated:
        count = len(factors["pose"])
        target = {name: values.to(self.device).float() for name, values in factors.items()}
        own = {name: values.to(self.device).float().expand(count, -1) for name, values in identity.own.items()}
        change, gaze = self._change(identity, own, target)
        turn = euler_angles(rotation_matrix(target["pose"][:, :3]) @ rotation_matrix(own["pose"][:, :3]).mT)
        shift = target["pose"][:, 3:] - own["pose"][:, 3:]
        posed = identity.state["posed"]
        rig = self.generator.rig
        keypoints = rig.targets(_repeat(posed, count), change, gaze, turn, shift)
        analysis = identity.state["analysis"]
        source = analysis.coefficients.expand(count, -1)
        eyes = analysis.gaze.expand(count, -1, -1)
        motion = motion_code(
            source, (source + self._canonical(own, target)).clamp(-0.2, 1.4), posed.rotation.expand(count, -1, -1),
            turn, eyes, eyes + gaze,
        )  # fmt: skip
        source_points = self._lid_skin(identity, own, target)
        scene = identity.state["scene"]
        return self.generator(
            identity.state["small"].expand(count, -1, -1, -1), source_points, keypoints, motion,
            identity.image.expand(count, -1, -1, -1), scene=None if scene is None else scene.expand(count),
        )  # fmt: skip

    def _lid_skin(self, identity: Identity, own: Factors, target: Factors) -> Tensor:
        """The photo's keypoints [T K 3], those of upper lids raised to where the skin of a closing lid comes from."""
        shut = (1 - target["blink"] / own["blink"].clamp_min(MIN_OPENNESS)).clamp(0, 1)
        count = len(shut)
        raised = place(-CREASE * shut * identity.state["lid_scale"], BLINK_COEFFICIENTS)
        still = shut.new_zeros(count, 3)
        rig = self.generator.rig
        return rig.targets(_repeat(identity.state["posed"], count), raised, shut.new_zeros(count, 2, 2), still, still)

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
            share * identity.state["lid_scale"] - pick(change, BLINK_COEFFICIENTS), BLINK_COEFFICIENTS
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
        rig = self.generator.rig
        rest = shape + torch.einsum("bc,ckj->bkj", place(-lip, LIP_COEFFICIENTS), rig.basis)
        gap = (rig.lip_gap(rest) - rig.lip_gap(rig.canonical[None])) / rig.parting().clamp_min(1e-3)
        return gap.clamp(0, 1)[:, None].expand(-1, len(PARTING))


def _repeat(posed, count: int):
    """The same pose for each of `count` frames."""
    fields = (posed.shape, posed.scale, posed.rotation, posed.shift)
    return type(posed)(*(x.expand(count, *x.shape[1:]) for x in fields))
