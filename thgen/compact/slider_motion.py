"""Factors with units: their values in a photo, and the movement that a change of them causes.

All factors of Rig have units. Methods with latents use them for sliders and idle motion, whose movement is added.
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

MIN_OPENNESS = 30.0  # opening of the photo's eyes, %, at least: limits the factor by which lids open or close
PRESS_START, PRESS_FULL = 0.05, 0.17  # weights of mouthPress at which the lips begin to press and press fully (b, m, p)
PRESS_GAIN = 2.2  # gain with which pressed lips close a gap: in an open smile the keypoints show about half of it
LID_OVERLAP = 0.1  # additional travel of a fully closed lid, as a part of its way, so that no slit stays open


def own_factors(analysis: Analysis) -> Factors:
    """Factors of analysed pictures, each [B D] in the units of schema.FACTORS. The head's shift is 0 by definition."""
    coefficients = analysis.coefficients.clamp(0, 1.2)
    return {
        "lip": pick(coefficients, LIP_COEFFICIENTS),
        "pose": torch.cat([analysis.pose, torch.zeros_like(analysis.pose)], 1),
        "gaze": analysis.gaze.flatten(1),
        "blink": analysis.openness.clamp(0, 130),
        "expression": pick(coefficients, EXPRESSION_COEFFICIENTS),
    }


def with_units(
    move: Movement, rig: KeypointRig, photo: EncodedPhoto, measured: Factors | None, target: Factors | None
) -> Movement:
    """A movement of T frames, and after it that of common sliders and idle motion.

    measured, target: `Identity.measured` [1 D] and what sliders and idle motion make of it [T D]; None: there are none.
    """
    if not target or measured is None:
        return move
    wanted = {name: values.to(move.change.device).float() for name, values in target.items()}
    return move.and_then(unit_movement(rig, photo, measured, wanted))


def unit_movement(rig: KeypointRig, photo: EncodedPhoto, own: Factors, target: Factors) -> Movement:
    """The movement of a photo from its own factors, each [1 D], to target factors, each [T D]."""
    count = len(target["pose"])
    own = {name: values.to(target[name]).expand(count, -1) for name, values in own.items()}
    change, gaze = _change(rig, photo, own, target)
    turn = euler_angles(rotation_matrix(target["pose"][:, :3]) @ rotation_matrix(own["pose"][:, :3]).mT)
    shift = target["pose"][:, 3:] - own["pose"][:, 3:]
    shut = (1 - target["blink"] / own["blink"].clamp_min(MIN_OPENNESS)).clamp(0, 1)
    return Movement(change, _canonical(own, target), gaze, turn, shift, shut)


def _canonical(own: Factors, target: Factors) -> Tensor:
    """Change of coefficients [T 57] as the network's condition; blink 1 = closed."""
    gaze = [x["gaze"].unflatten(1, (2, 2)) for x in (own, target)]
    return (
        place(target["lip"] - own["lip"], LIP_COEFFICIENTS)
        + place(target["expression"] - own["expression"], EXPRESSION_COEFFICIENTS)
        + place(blink_weights(target["blink"]) - blink_weights(own["blink"]), BLINK_COEFFICIENTS)
        + gaze_shapes(gaze[1])
        - gaze_shapes(gaze[0])
    )


def _change(rig: KeypointRig, photo: EncodedPhoto, own: Factors, target: Factors) -> tuple[Tensor, Tensor]:
    """Changes for the keypoints: coefficients [T 57] with lids scaled to this person's eyes, gaze [T 2 2] degrees."""
    change = _canonical(own, target)
    share = 1 - target["blink"] / own["blink"].clamp_min(MIN_OPENNESS)  # of the photo's own opening
    share = share * (1 + LID_OVERLAP * share.clamp(0, 1))
    change = change + place(share * photo.lid_scale - pick(change, BLINK_COEFFICIENTS), BLINK_COEFFICIENTS)
    press = (lip_press(target["lip"]) - lip_press(own["lip"])).clamp_min(0)
    change = change + place(-PRESS_GAIN * press * unexplained_gap(rig, photo.posed.shape, own["lip"][:1]), PARTING)
    return change, (target["gaze"] - own["gaze"]).unflatten(1, (2, 2))


def lip_press(lip: Tensor) -> Tensor:
    """How strongly the lips [T D] press together, [T 1], 0 to 1. They do on b, m and p."""
    press = pick(place(lip, LIP_COEFFICIENTS), ("mouthPress_L", "mouthPress_R")).mean(1, keepdim=True)
    return ((press - PRESS_START) / (PRESS_FULL - PRESS_START)).clamp(0, 1)


def unexplained_gap(rig: KeypointRig, shape: Tensor, lip: Tensor) -> Tensor:
    """Lip gap that the coefficients do not explain (open smiles), as weights of PARTING, [1 4], 0 to 1.

    It must be closed on b, m and p. shape [1 K 3]: keypoints of the photo without pose; lip [1 D]: its coefficients.
    """
    rest = shape + rig.displaced(place(-lip, LIP_COEFFICIENTS))
    gap = (rig.lip_gap(rest) - rig.lip_gap(rig.canonical[None])) / rig.parting().clamp_min(1e-3)
    return gap.clamp(0, 1)[:, None].expand(-1, len(PARTING))
