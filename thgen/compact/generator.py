"""The generator that all compact methods share: a photo read once, then moved by coefficients, gaze, turn and shift.

What a method adds is how its latents become these: Rig's are them already, a paper's pass through a motion head.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from thgen.analyser.network import INPUT_SIZE, Analyser, Analysis
from thgen.compact.flow.compositing import PhotoLayers
from thgen.compact.flow.dentition import Bite, bite_lift
from thgen.compact.flow.network import BASE, FLOW_SIZE, Generated, GuidedFlow, motion_code
from thgen.compact.flow.openings import open_share, polygon_distance
from thgen.compact.keypoint_rig import KeypointRig, Posed
from thgen.compact.motion_head import FaceState
from thgen.compact.photo_layers import behind, grow_head, teeth_light, without_eyes
from thgen.nn.coefficients import pick, place
from thgen.nn.geometry import euler_angles, rotation_matrix
from thgen.nn.sampling import smoothstep
from thgen.schema import BLINK_COEFFICIENTS, COEFFICIENTS, SEGMENTS

if TYPE_CHECKING:
    from thgen.face.finder import FaceCrop

T = TypeVar("T")

GAMMAS = (1.0, 0.5)  # brightenings under which the photo's parts are told apart: dark hair before a dark wall
BATCH = 32  # frames of a clip that are looked at together
LASHES = 0.4  # how far lashes hide the edge of the upper lid, in heights of the open eye
CREASE = 0.3  # how far above them a fully closed lid's skin is taken from: too near are lashes, too far is the brow
LEAST_OPEN = 0.25  # of the canonical eye: a photo with lids further closed than this counts as this far open
SHUT = 1.1  # weight at which lids are
FURTHEST = 2.0  # norm of a change of all other coefficients; random states of the training are 1.8 apart (median)
PARTED = (0.4, 0.65)  # cm between the lips from which a photo may show teeth, and does
IRIS = 1.2  # a flow of so many keypoints moves an iris by as much less; found on renders (docs/measured.md, 1)
SURE = 6.0  # logit of trust in the photo's pixels where nothing moves


@dataclass(frozen=True)
class EncodedPhoto:
    """A photo as the generator needs it. image [1 3 S S] and small [1 3 256 256] in [-1, 1]; keypoints [1 K 3] and
    posed, what of them is pose; lid_scale [1 2]; coefficients [1 57] and gaze [1 2 2]; scene: None if nobody
    told its parts apart. All may have T rows in place of one."""

    image: Tensor
    small: Tensor
    keypoints: Tensor
    posed: Posed
    lid_scale: Tensor
    coefficients: Tensor
    gaze: Tensor
    scene: PhotoLayers | None


@dataclass(frozen=True)
class Movement:
    """What T frames change about a photo: change [T 57] of coefficients for the keypoints, lids in units of the
    canonical eye; told [T 57], the same as the network was taught it (blink 1 = closed); gaze [T 2 2] and turn [T 3] in
    degrees; shift [T 3] (see KeypointRig.repose); shut [T 2] how far each lid closes, of its own opening, 0 to 1."""

    change: Tensor
    told: Tensor
    gaze: Tensor
    turn: Tensor
    shift: Tensor
    shut: Tensor

    def and_then(self, other: Movement) -> Movement:
        """Both, the head first turned by this one."""
        turn = euler_angles(rotation_matrix(other.turn) @ rotation_matrix(self.turn))
        return Movement(
            self.change + other.change, self.told + other.told, self.gaze + other.gaze, turn,
            self.shift + other.shift, (self.shut + other.shut).clamp(0, 1),
        )  # fmt: skip

    @staticmethod
    def none(photo: EncodedPhoto) -> Movement:
        """One frame in which nothing moves."""
        still = photo.image.new_zeros(1, len(COEFFICIENTS))
        return Movement(still, still, still[:, :4].reshape(1, 2, 2), still[:, :3], still[:, :3], still[:, :2])


def in_batches(items: Iterable[T], size: int = BATCH) -> Iterator[list[T]]:
    """`size` at a time, in order; the last may be fewer."""
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch


def photo_of(rig: KeypointRig, image: Tensor, keypoints: Tensor, coefficients: Tensor, gaze: Tensor) -> EncodedPhoto:
    """Photos [B 3 S S] whose keypoints [B K 3], coefficients [B 57] and gaze [B 2 2] are known; without a scene."""
    posed = rig.unpose(keypoints)
    small = F.interpolate(image, size=(BASE, BASE), mode="area" if image.shape[-1] >= BASE else "bilinear")
    return EncodedPhoto(image, small, keypoints, posed, rig.lid_scale(posed), coefficients, gaze, None)


def movement(source: FaceState, target: FaceState, lid_scale: Tensor) -> Movement:
    """What takes a photo [B ...] from one state to another; lid_scale [B 2] of the photo."""
    told = target.coefficients - source.coefficients
    lids = pick(told, BLINK_COEFFICIENTS)
    change = told + place(lids * (lid_scale - 1), BLINK_COEFFICIENTS)
    opening = (1 - pick(source.coefficients, BLINK_COEFFICIENTS)).clamp_min(LEAST_OPEN)
    turn = euler_angles(rotation_matrix(target.turn) @ rotation_matrix(source.turn).mT)
    gaze, shift = target.gaze - source.gaze, target.place - source.place
    return Movement(change, told, gaze, turn, shift, (lids / opening).clamp(0, 1))


def within_reach(source: FaceState, target: FaceState, own: Tensor) -> FaceState:
    """A target [T ...] that changes no face by more than expressions differ from one another, and closes lids no
    further than shut: latents at twice their strength would tear mouths and push lids through one another. own: what
    the photo shows of each coefficient, [1 57]."""
    told = target.coefficients - source.coefficients
    lids = pick(told, BLINK_COEFFICIENTS)
    others = told - place(lids, BLINK_COEFFICIENTS)
    others = others * (FURTHEST / others.norm(dim=1, keepdim=True).clamp_min(FURTHEST))
    lids = torch.minimum(lids, (SHUT - pick(own, BLINK_COEFFICIENTS)).clamp_min(0))
    return replace(target, coefficients=source.coefficients + others + place(lids, BLINK_COEFFICIENTS))


def targets(rig: KeypointRig, photo: EncodedPhoto, move: Movement) -> Tensor:
    """Keypoints [T K 3] that a movement leads to."""
    return rig.targets(_repeat(photo.posed, len(move.change)), move.change, move.gaze, move.turn, move.shift)


def render(generator: GuidedFlow, photo: EncodedPhoto, move: Movement) -> Generated:
    """T frames of the crop at its own resolution; a network in training mode must not be given a scene."""
    count, rig = len(move.change), generator.rig
    source, eyes = (x.expand(count, *x.shape[1:]) for x in (photo.coefficients, photo.gaze))
    rotation = photo.posed.rotation.expand(count, -1, -1)
    told = (source + move.told).clamp(-0.2, 1.4)
    motion = motion_code(source, told, rotation, move.turn, eyes, eyes + move.gaze)
    drawn = targets(rig, photo, replace(move, gaze=IRIS * move.gaze))
    return generator(
        photo.small.expand(count, -1, -1, -1), lid_skin(rig, photo, move.shut), drawn, motion,
        photo.image.expand(count, -1, -1, -1), scene=None if photo.scene is None else photo.scene.expand(count),
    )  # fmt: skip


def lid_skin(rig: KeypointRig, photo: EncodedPhoto, shut: Tensor) -> Tensor:
    """The photo's keypoints [T K 3], those of upper lids raised to where the skin of a closing lid comes from."""
    count = len(shut)
    raised = place(-CREASE * shut * photo.lid_scale, BLINK_COEFFICIENTS)
    still = shut.new_zeros(count, 3)
    return rig.targets(_repeat(photo.posed, count), raised, shut.new_zeros(count, 2, 2), still, still)


class Generator:
    """Encodes photos, whose parts the analyser segments, and renders movements with the flow generator."""

    def __init__(self, analyser: Analyser, generator: GuidedFlow, device: torch.device) -> None:
        self.analyser, self.generator, self.device = analyser, generator, device

    @property
    def rig(self) -> KeypointRig:
        return self.generator.rig

    def image(self, crops: np.ndarray) -> Tensor:
        """uint8 [B S S 3] -> [B 3 S S] in [-1, 1] on the device."""
        return torch.tensor(crops, device=self.device).permute(0, 3, 1, 2).float() / 127.5 - 1

    @torch.inference_mode()
    def read(self, crop: FaceCrop) -> tuple[EncodedPhoto, Analysis]:
        """The photo, ready to be moved, and its analysis on the device."""
        image, seen = self.image(crop.image[None]), crop.analysis.to(self.device)
        keypoints = self._lift_lids(torch.from_numpy(crop.keypoints)[None].to(self.device))
        photo = photo_of(self.rig, image, keypoints, seen.coefficients, seen.gaze)
        return self.settled(replace(photo, scene=self._scene(crop.image, photo))), seen

    @torch.inference_mode()
    def settled(self, photo: EncodedPhoto) -> EncodedPhoto:
        """The photo with what this generator answers at rest noted in its scene."""
        if photo.scene is None:
            return photo
        drift, doubt = _unknown(photo.image)
        scene = replace(photo.scene, drift=drift, doubt=doubt)
        rest = self.render(replace(photo, scene=scene), Movement.none(photo))
        return replace(photo, scene=replace(scene, drift=rest.flow, doubt=(SURE - rest.keep).clamp_min(0)))

    @torch.inference_mode()
    def render(self, photo: EncodedPhoto, move: Movement) -> Generated:
        """T frames of the crop at its own resolution."""
        return render(self.generator, photo, move)

    def _lift_lids(self, keypoints: Tensor) -> Tensor:
        """Keypoints [1 K 3] with the upper lids' edge above the lashes, which hide it in photos and not in renders."""
        posed = self.rig.unpose(keypoints)
        still = keypoints.new_zeros(1, 3)
        lift = place(-LASHES * self.rig.lid_scale(posed), BLINK_COEFFICIENTS)
        return self.rig.targets(posed, lift, keypoints.new_zeros(1, 2, 2), still, still)

    def _scene(self, crop: np.ndarray, photo: EncodedPhoto) -> PhotoLayers:
        """Head, hair and parted lips of the photo, and what may stand behind them."""
        image, keypoints = photo.image, photo.keypoints
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

        def tensor(values: np.ndarray) -> Tensor:
            return torch.from_numpy(values).to(image)[None, None]

        lips, sense = self.rig.openings(keypoints)[2]
        mouth = open_share(polygon_distance(lips, sense, BASE))
        gap = self.rig.lip_gap(photo.posed.shape)
        parted = smoothstep(gap, *PARTED)
        mouth = mouth * parted[:, None, None, None]
        lift = bite_lift(self.rig, photo.posed, photo.coefficients)
        bite = Bite(tensor(teeth_light(crop, among("face"), among("eyes"))).reshape(1, 3, 1, 1), lift, 1 - parted, gap)

        plate = F.interpolate(self.image(behind(crop, moving)[None]), size=image.shape[-2:], mode="bilinear")
        skin, eyes = without_eyes(crop, keypoints[0, :68].float().cpu().numpy(), among("face", "eyes"))
        eyes = cv2.resize(eyes, (BASE, BASE), interpolation=cv2.INTER_AREA)
        lids = self.image(skin[None])
        return PhotoLayers(tensor(moving), tensor(hair), mouth, plate, lids, tensor(eyes), bite, *_unknown(image))


def _unknown(image: Tensor) -> tuple[Tensor, Tensor]:
    """Drift and doubt of a scene before they are known: none."""
    return image.new_zeros(1, 2, FLOW_SIZE, FLOW_SIZE), image.new_zeros(1, 1, FLOW_SIZE, FLOW_SIZE)


def _repeat(posed: Posed, count: int) -> Posed:
    """The same pose for each of `count` frames."""
    fields = (posed.shape, posed.scale, posed.rotation, posed.shift)
    return Posed(*(x.expand(count, *x.shape[1:]) for x in fields))
