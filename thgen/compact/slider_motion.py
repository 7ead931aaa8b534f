"""Factors that have units: what the analyser reads off a photo, and what a change of them moves.

Rig has no others. In the methods with latents of their own they are what sliders and life add to a movement.
"""

from __future__ import annotations

import torch
from torch import Tensor

from thgen.analyser.network import Analysis
from thgen.compact.generator import EncodedPhoto, Movement
from thgen.compact.keypoint_rig import PARTING, KeypointRig
from thgen.methods.base import Factors
from thgen.nn.coefficients import blink_weights, gaze_shapes, pick, place
from thgen.nn.geometry import euler_angles, rotation_matrix
from thgen.schema import BLINK_COEFFICIENTS, EXPRESSION_COEFFICIENTS, LIP_COEFFICIENTS

MIN_OPENNESS = 30.0  # %; a photo with lids further closed than this counts as this far open, or opening would explode
LIGHT, FIRM = 0.05, 0.17  # weights of mouthPress from which lips begin to be, and are, pressed together
FIRMLY = 2.2  # how much further than meeting they go: of an open smile keypoints tell about half the gap
PRESS = 0.1  # how much further than touching a fully closed lid goes, so that no slit stays open


def own_factors(analysis: Analysis) -> Factors:
    """What pictures show, each [B D] in the units of schema.FACTORS; the head's shift is 0: it is where it is."""
    coefficients = analysis.coefficients.clamp(0, 1.2)
    return {
        "lip": pick(coefficients, LIP_COEFFICIENTS),
        "pose": torch.cat([analysis.pose, torch.zeros_like(analysis.pose)], 1),
        "gaze": analysis.gaze.mean(1),
        "blink": analysis.openness.clamp(0, 130),
        "expression": pick(coefficients, EXPRESSION_COEFFICIENTS),
    }


def unit_movement(rig: KeypointRig, photo: EncodedPhoto, own: Factors, target: Factors) -> Movement:
    """What target factors, each [T D], change about a photo whose own are `own`, each [1 D]."""
    count = len(target["pose"])
    own = {name: values.to(target[name]).expand(count, -1) for name, values in own.items()}
    change, gaze = _change(rig, photo, own, target)
    turn = euler_angles(rotation_matrix(target["pose"][:, :3]) @ rotation_matrix(own["pose"][:, :3]).mT)
    shift = target["pose"][:, 3:] - own["pose"][:, 3:]
    shut = (1 - target["blink"] / own["blink"].clamp_min(MIN_OPENNESS)).clamp(0, 1)
    return Movement(change, _canonical(own, target), gaze, turn, shift, shut)


def _canonical(own: Factors, target: Factors) -> Tensor:
    """Change of coefficients [T 57] as the network was taught it: blink 1 = closed."""
    gaze = [x["gaze"][:, None].expand(-1, 2, -1) for x in (own, target)]
    return (
        place(target["lip"] - own["lip"], LIP_COEFFICIENTS)
        + place(target["expression"] - own["expression"], EXPRESSION_COEFFICIENTS)
        + place(blink_weights(target["blink"]) - blink_weights(own["blink"]), BLINK_COEFFICIENTS)
        + gaze_shapes(gaze[1])
        - gaze_shapes(gaze[0])
    )


def _change(rig: KeypointRig, photo: EncodedPhoto, own: Factors, target: Factors) -> tuple[Tensor, Tensor]:
    """Change of coefficients [T 57] for the keypoints, lids scaled to this person's eyes; of gaze [T 2 2]."""
    change = _canonical(own, target)
    share = 1 - target["blink"] / own["blink"].clamp_min(MIN_OPENNESS)  # of the photo's own opening
    share = share * (1 + PRESS * share.clamp(0, 1))
    change = change + place(share * photo.lid_scale - pick(change, BLINK_COEFFICIENTS), BLINK_COEFFICIENTS)
    press = (pressed(target["lip"]) - pressed(own["lip"])).clamp_min(0)
    change = change + place(-FIRMLY * press * apart(rig, photo.posed.shape, own["lip"][:1]), PARTING)
    gaze = (target["gaze"] - own["gaze"])[:, None].expand(-1, 2, -1)
    return change, gaze


def pressed(lip: Tensor) -> Tensor:
    """How far lips [T D] are meant to be pressed together, [T 1] from 0 to 1: on b, m and p."""
    press = pick(place(lip, LIP_COEFFICIENTS), ("mouthPress_L", "mouthPress_R")).mean(1, keepdim=True)
    return ((press - LIGHT) / (FIRM - LIGHT)).clamp(0, 1)


def apart(rig: KeypointRig, shape: Tensor, lip: Tensor) -> Tensor:
    """Weight [1 4] of PARTING by which the photo's lips, in `shape` [1 K 3], are apart beyond what its coefficients
    [1 D] tell, as those of an open smile: b, m and p have to take it back."""
    rest = shape + torch.einsum("bc,ckj->bkj", place(-lip, LIP_COEFFICIENTS), rig.basis)
    gap = (rig.lip_gap(rest) - rig.lip_gap(rig.canonical[None])) / rig.parting().clamp_min(1e-3)
    return gap.clamp(0, 1)[:, None].expand(-1, len(PARTING))
