"""Eyes: how the iris moves behind the lids where a photo has no layers, as in training."""

from __future__ import annotations

import torch
from torch import Tensor

from thgen.compact.keypoint_rig import EYE_LAYERS, EYE_RINGS, KeypointRig
from thgen.nn.sampling import gaussians, spread

KERNEL = 0.03  # half-widths: kernel width at the iris; so narrow that the centre of the iris moves more than its rim


def ball_flow(rig: KeypointRig, source: Tensor, target: Tensor, eye: int, size: int) -> Tensor:
    """Flow [B 2 size size] of one eye (0 = the subject's left) from keypoints of photo and target [B K 3].

    At the iris it is the motion of the iris, at the corners that of the lids. Between them the white of the eye
    stretches. If the eyeball moved as one piece, it would pull skin from beyond a corner into the eye.
    """
    ball, corners = _ball_and_corners(rig, eye)
    points = torch.cat([ball, corners])
    moved, total = spread((source - target)[:, points, :2], *gaussians(target[:, points], KERNEL, size))
    return moved / (total + 1e-6)


def _ball_and_corners(rig: KeypointRig, eye: int) -> tuple[Tensor, Tensor]:
    """Indices of the keypoints on an eyeball [n], and of the two corners of the eye [2]."""
    ring = EYE_RINGS[eye]
    return (rig.layer == EYE_LAYERS[eye]).nonzero()[:, 0], torch.tensor([ring[0], ring[3]], device=rig.layer.device)
