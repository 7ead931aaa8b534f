"""The generator of all compact methods. It encodes a photo once and moves it by coefficients, gaze, turn and shift.

Each method converts its latents into such a `Movement`. Rig's latents are coefficients already; a paper's latents pass
through a motion head.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from thgen.analyser.network import INPUT_SIZE, Analyser, Analysis
from thgen.compact.eye_patch import Patch, Seen, cut_patches
from thgen.compact.feature_fit import fit_features
from thgen.compact.flow.coarse import FLOW_SIZE
from thgen.compact.flow.compositing import PhotoLayers
from thgen.compact.flow.dentition import Bite, bite_lift
from thgen.compact.flow.irises import IrisLayers
from thgen.compact.flow.lids import EyeLayers
from thgen.compact.flow.network import BASE, Generated, GuidedFlow, motion_code
from thgen.compact.flow.openings import EDGE, open_share, polygon_distance
from thgen.compact.iris_layers import cut_irises
from thgen.compact.keypoint_rig import EYE_LAYERS, LID_FOLLOWS, PARTING, KeypointRig, Posed
from thgen.compact.lid_layers import cut_eyes
from thgen.compact.motion_head import FaceState
from thgen.compact.photo_layers import behind, grow_head, teeth_light
from thgen.nn.coefficients import pick, place
from thgen.nn.geometry import euler_angles, rotation_matrix
from thgen.nn.sampling import smoothstep
from thgen.schema import BLINK_COEFFICIENTS, COEFFICIENTS, SEGMENTS

if TYPE_CHECKING:
    from thgen.face.finder import FaceCrop

T = TypeVar("T")

# Gamma values under which the photo is segmented; the results are averaged. 0.5 separates dark hair from a dark wall.
GAMMAS = (1.0, 0.5)
BATCH = 32  # frames of a clip per pass of an encoder
MIN_OPENING = 0.25  # opening of the photo's eyes, parts of the canonical eye, at least: limits the factor of a blink
# Travel of a lid per weight, in units of the canonical eye: more or less belongs to keypoints that are wrong.
LID_TRAVEL = (0.4, 2.0)
# Weight of a blink coefficient, at most. 1 closes the lid; much more would push the lids through each other.
MAX_CLOSURE = 1.1
# Norm of the change of all other coefficients, at most. Random states of the training have a median distance of 1.8.
MAX_CHANGE = 2.0
PARTED = (0.4, 0.65)  # lip gap of the photo, cm: below the first no teeth are visible, above the second they are
SHUT = 0.4  # gap between closed lips, at most, as a part of the soft rim of an opening
SURE = 6.0  # logit of the trust in the photo's pixels if nothing moves


@dataclass(frozen=True)
class EncodedPhoto:
    """Input of the generator: one photo, or T photos as T rows.

    image [1 3 S S] and small [1 3 256 256] in [-1, 1]; keypoints [1 K 3] in crop coordinates; posed: the same without
    pose; lid_scale [1 2], see `KeypointRig.lid_scale`; coefficients [1 57]; gaze [1 2 2] degrees; layers: the layers of
    the photo, None if it was not segmented.
    """

    image: Tensor
    small: Tensor
    keypoints: Tensor
    posed: Posed
    lid_scale: Tensor
    coefficients: Tensor
    gaze: Tensor
    layers: PhotoLayers | None


@dataclass(frozen=True)
class Movement:
    """Differences of T frames from a photo.

    change [T 57]: of the coefficients, for the keypoints; lids scaled so that they close this person's eyes
    coefficient_change [T 57]: the same with unscaled lids (blink 1 = closed), as the network's condition
    gaze [T 2 2] and turn [T 3]: degrees; shift [T 3]: see `KeypointRig.repose`
    shut [T 2]: closing of each lid, as a part of the photo's own opening, 0 to 1
    """

    change: Tensor
    coefficient_change: Tensor
    gaze: Tensor
    turn: Tensor
    shift: Tensor
    shut: Tensor

    def and_then(self, other: Movement) -> Movement:
        """Both movements; this one turns the head first."""
        turn = euler_angles(rotation_matrix(other.turn) @ rotation_matrix(self.turn))
        return Movement(
            self.change + other.change, self.coefficient_change + other.coefficient_change, self.gaze + other.gaze,
            turn, self.shift + other.shift, (self.shut + other.shut).clamp(0, 1),
        )  # fmt: skip

    @staticmethod
    def none(photo: EncodedPhoto) -> Movement:
        """One frame without any change."""
        still = photo.image.new_zeros(1, len(COEFFICIENTS))
        return Movement(still, still, still[:, :4].reshape(1, 2, 2), still[:, :3], still[:, :3], still[:, :2])


def in_batches(items: Iterable[T], size: int = BATCH) -> Iterator[list[T]]:
    """Lists of `size` items in order; the last list may be shorter."""
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch


def photo_of(rig: KeypointRig, image: Tensor, keypoints: Tensor, coefficients: Tensor, gaze: Tensor) -> EncodedPhoto:
    """Encodes photos [B 3 S S] with known keypoints [B K 3], coefficients [B 57] and gaze [B 2 2], without layers."""
    small = F.interpolate(image, size=(BASE, BASE), mode="area" if image.shape[-1] >= BASE else "bilinear")
    return replace(face_of(rig, keypoints, coefficients, gaze), image=image, small=small)


def face_of(rig: KeypointRig, keypoints: Tensor, coefficients: Tensor, gaze: Tensor) -> EncodedPhoto:
    """As `photo_of`, without a picture: for keypoints alone, whose cost is a fraction of that of a picture."""
    none, posed = keypoints.new_zeros(len(keypoints), 3, 0, 0), rig.unpose(keypoints)
    return EncodedPhoto(none, none, keypoints, posed, rig.lid_scale(posed), coefficients, gaze, layers=None)


def lid_travel(lid_scale: Tensor, opening: Tensor) -> Tensor:
    """Travel of lids per change of the blink weight by 1, [B 2], in units of the canonical eye's opening.

    A lid closes the eye as it is in the photo, so a change counts as a part of the photo's own opening. lid_scale
    [B 2]: height of that opening; opening [B 2]: 1 minus the photo's own weight, so 1 is an open eye.
    """
    return (lid_scale / opening.clamp_min(MIN_OPENING)).clamp(*LID_TRAVEL)


def movement(source: FaceState, target: FaceState, lid_scale: Tensor) -> Movement:
    """The movement from state `source` to state `target`, each [B ...]; lid_scale [B 2] of the photo."""
    coefficient_change = target.coefficients - source.coefficients
    lids = pick(coefficient_change, BLINK_COEFFICIENTS)
    opening = 1 - pick(source.coefficients, BLINK_COEFFICIENTS)
    change = coefficient_change + place(lids * (lid_travel(lid_scale, opening) - 1), BLINK_COEFFICIENTS)
    turn = euler_angles(rotation_matrix(target.turn) @ rotation_matrix(source.turn).mT)
    gaze, shift = target.gaze - source.gaze, target.place - source.place
    shut = (lids / opening.clamp_min(MIN_OPENING)).clamp(0, 1)
    return Movement(change, coefficient_change, gaze, turn, shift, shut)


def clamp_target(source: FaceState, target: FaceState, own: Tensor) -> FaceState:
    """Clamp a target [T ...]: lid closure <= MAX_CLOSURE, norm of the change of all other coefficients <= MAX_CHANGE.

    Otherwise latents at twice their strength tear the mouth and push the lids through each other. own: coefficients
    of the photo, [1 57].
    """
    change = target.coefficients - source.coefficients
    lids = pick(change, BLINK_COEFFICIENTS)
    others = change - place(lids, BLINK_COEFFICIENTS)
    others = others * (MAX_CHANGE / others.norm(dim=1, keepdim=True).clamp_min(MAX_CHANGE))
    lids = torch.minimum(lids, (MAX_CLOSURE - pick(own, BLINK_COEFFICIENTS)).clamp_min(0))
    return replace(target, coefficients=source.coefficients + others + place(lids, BLINK_COEFFICIENTS))


def targets(rig: KeypointRig, photo: EncodedPhoto, move: Movement) -> Tensor:
    """Keypoints [T K 3] of a photo after a movement."""
    return rig.targets(_repeat(photo.posed, len(move.change)), move.change, move.gaze, move.turn, move.shift)


def render(generator: GuidedFlow, photo: EncodedPhoto, move: Movement) -> Generated:
    """T frames of the crop at its own resolution. The layers are for inference only: in training they must be None."""
    count, rig = len(move.change), generator.rig
    source, eyes = (x.expand(count, *x.shape[1:]) for x in (photo.coefficients, photo.gaze))
    rotation = photo.posed.rotation.expand(count, -1, -1)
    layers = None if photo.layers is None else photo.layers.expand(count)
    change, conditions, shut = move.change, move.coefficient_change, move.shut
    turn = torch.zeros_like(move.gaze)
    if photo.layers is not None:  # they close the lids and turn the eyes; keypoints and network do the rest
        lowered = rig.lowered_lids(conditions)
        change, conditions = (_with_open_lids(x, lowered > 0) for x in (change, conditions))
        shut = 1 - (1 - shut) * (1 - lowered)
        turn = turn if photo.layers.irises is None else move.gaze
    gaze, target = move.gaze - turn, (source + conditions).clamp(-0.2, 1.4)
    motion = motion_code(source, target, rotation, move.turn, eyes, eyes + gaze)
    change = _past_the_rim(rig, photo, change)
    drawn = targets(rig, photo, replace(move, change=change, gaze=gaze))
    return generator(
        photo.small.expand(count, -1, -1, -1), photo.keypoints.expand(count, -1, -1), drawn, motion,
        photo.image.expand(count, -1, -1, -1), layers=layers, shut=shut, turn=turn,
    )  # fmt: skip


def _past_the_rim(rig: KeypointRig, photo: EncodedPhoto, change: Tensor) -> Tensor:
    """The change of coefficients [T 57], with lips that part by as much more as the soft rim of an opening hides.

    Otherwise a small gap is not seen at all, and each opening is smaller by the rim. A gap below SHUT is noise.
    """
    rim = 2 * EDGE / photo.posed.scale  # cm; of both lips
    closed = rig.lip_gap(rig.canonical[None])
    before = rig.lip_gap(photo.posed.shape) - closed
    after = before + rig.lip_gap(rig.displaced(change))
    hidden = [rim * (1 - (SHUT - gap / rim).clamp_max(0).exp()) for gap in (before, after)]
    wider = (hidden[1] - hidden[0]) / rig.parting()
    return change + place(wider[:, None].expand(-1, len(PARTING)), PARTING)


def _with_open_lids(change: Tensor, lowered: Tensor) -> Tensor:
    """A change of coefficients [T 57] that closes no lid: the layers of the photo close them. lowered bool [T 2]: which
    eyes (left, right) look down, so that their lids follow by layers too."""
    change = change - place(pick(change, BLINK_COEFFICIENTS).clamp_min(0), BLINK_COEFFICIENTS)
    return change - sum(place(pick(change, names) * lowered, names) for names in LID_FOLLOWS)


class Generator:
    """Encodes photos, which the analyser segments, and renders movements with the flow network."""

    def __init__(self, analyser: Analyser, flow: GuidedFlow, device: torch.device) -> None:
        self.analyser, self.flow, self.device = analyser, flow, device

    @property
    def rig(self) -> KeypointRig:
        return self.flow.rig

    def image(self, crops: np.ndarray) -> Tensor:
        """uint8 [B S S 3] -> [B 3 S S] in [-1, 1] on the device."""
        return torch.tensor(crops, device=self.device).permute(0, 3, 1, 2).float() / 127.5 - 1

    @torch.inference_mode()
    def read(self, crop: FaceCrop) -> tuple[EncodedPhoto, Analysis]:
        """Encode a crop. Returns the photo and its analysis on the device."""
        image, analysis = self.image(crop.image[None]), crop.analysis.to(self.device)
        segments = self._segments(image)
        seen = Seen.of(crop.size, segments("hair", "background"), segments("worn"), segments("eyes"))
        patches = cut_patches(crop.image, crop.keypoints[:68], seen)
        eyes, lift = cut_eyes(patches, crop.size)
        seen_at = fit_features(crop.image, crop.keypoints, self.rig.in_front().cpu().numpy())
        keypoints = self._lift_lids(torch.from_numpy(seen_at)[None].to(self.device), lift)
        photo = photo_of(self.rig, image, keypoints, analysis.coefficients, analysis.gaze)
        layers = self._layers(crop.image, photo, segments, eyes.to(self.device))
        layers = replace(layers, irises=self._irises(crop, photo, [true for _, true in patches]))
        return self.with_rest_error(replace(photo, layers=layers)), analysis

    @torch.inference_mode()
    def with_rest_error(self, photo: EncodedPhoto) -> EncodedPhoto:
        """The photo, whose layers note the network's output without movement: the error that frames subtract."""
        if photo.layers is None:
            return photo
        drift, doubt = _unknown(photo.image)
        layers = replace(photo.layers, drift=drift, doubt=doubt)
        rest = self.render(replace(photo, layers=layers), Movement.none(photo))
        return replace(photo, layers=replace(layers, drift=rest.flow, doubt=(SURE - rest.keep).clamp_min(0)))

    @torch.inference_mode()
    def render(self, photo: EncodedPhoto, move: Movement) -> Generated:
        """T frames of the crop at its own resolution."""
        return render(self.flow, photo, move)

    def _lift_lids(self, keypoints: Tensor, lift: np.ndarray) -> Tensor:
        """Keypoints [1 K 3] whose upper lids are raised to the margins that the photo shows. lift: see `cut_eyes`."""
        posed = self.rig.unpose(keypoints)
        still = keypoints.new_zeros(1, 3)
        height = torch.from_numpy(lift)[None].to(keypoints) * self.rig.lid_scale(posed)
        return self.rig.targets(posed, place(-height, BLINK_COEFFICIENTS), still.new_zeros(1, 2, 2), still, still)

    def _segments(self, image: Tensor) -> Callable[..., np.ndarray]:
        """A function: names of segments -> probability [H W] of any of them in the photo [1 3 S S]."""
        small = F.interpolate(image, size=(INPUT_SIZE, INPUT_SIZE), mode="area")
        views = [((small + 1) / 2).clamp(0, 1) ** gamma * 2 - 1 for gamma in GAMMAS]
        segments = self.analyser.segment(torch.cat([*views, *(view.flip(3) for view in views)])).softmax(1)
        count = len(views)
        mean = ((segments[:count] + segments[count:].flip(3)) / 2).mean(0)  # a mirrored face has the same segments

        def probability(*names: str) -> np.ndarray:
            return mean[[SEGMENTS.index(name) for name in names]].sum(0).float().cpu().numpy()

        return probability

    def _layers(
        self, crop: np.ndarray, photo: EncodedPhoto, probability: Callable[..., np.ndarray], eyes: EyeLayers
    ) -> PhotoLayers:
        """Masks of head, hair and mouth of the photo, the background behind them, eyes and teeth."""
        image, keypoints = photo.image, photo.keypoints
        head = 1 - probability("background", "body")
        moving = grow_head(crop, head, probability("neck", "body"))
        hair = np.maximum(probability("hair", "worn"), moving - head)

        def tensor(values: np.ndarray) -> Tensor:
            return torch.from_numpy(values).to(image)[None, None]

        lips, sense = self.rig.openings(keypoints)[2]
        mouth = open_share(polygon_distance(lips, sense, BASE))
        gap = self.rig.lip_gap(photo.posed.shape)
        parted = smoothstep(gap, *PARTED)
        mouth = mouth * parted[:, None, None, None]
        lift = bite_lift(self.rig, photo.posed, photo.coefficients)
        light = tensor(teeth_light(crop, probability("face"), probability("eyes"))).reshape(1, 3, 1, 1)
        bite = Bite(light, lift, 1 - parted, gap)

        plate = F.interpolate(self.image(behind(crop, moving)[None]), size=image.shape[-2:], mode="bilinear")
        return PhotoLayers(tensor(moving), tensor(hair), mouth, plate, eyes, bite, *_unknown(image))

    def _irises(self, crop: FaceCrop, photo: EncodedPhoto, patches: list[Patch]) -> IrisLayers:
        """Layers that turn the eyes."""
        balls = [(self.rig.layer == layer).nonzero()[:, 0].cpu().numpy() for layer in EYE_LAYERS]
        rotation, gaze = photo.posed.rotation[0].cpu().numpy(), photo.gaze[0].float().cpu().numpy()
        return cut_irises(patches, crop.size, crop.keypoints, balls, rotation, gaze).to(self.device)


def _unknown(image: Tensor) -> tuple[Tensor, Tensor]:
    """Drift and doubt of the layers before they are measured: zero."""
    return image.new_zeros(1, 2, FLOW_SIZE, FLOW_SIZE), image.new_zeros(1, 1, FLOW_SIZE, FLOW_SIZE)


def _repeat(posed: Posed, count: int) -> Posed:
    """One pose [1 ...], repeated for `count` frames."""
    fields = (posed.shape, posed.scale, posed.rotation, posed.shift)
    return Posed(*(x.expand(count, *x.shape[1:]) for x in fields))
