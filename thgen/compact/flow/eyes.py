"""Eyes: how the iris moves behind the lids, and where uncovered white comes from."""

from __future__ import annotations

import torch
from torch import Tensor

from thgen.compact.flow.openings import MARGIN, polygon_distance
from thgen.compact.keypoint_rig import EYE_LAYERS, EYE_RINGS, KeypointRig
from thgen.nn.sampling import gaussians, resize, spread, warp

KERNEL = 0.03  # half-widths: kernel width at the iris; so narrow that the centre of the iris moves more than its rim
RIM = 0.008  # half-widths: the target's rim of lids may be sampled from a rim of this width in the photo
STEPS = 3  # Newton steps that move a sampling position between the photo's lids
DAMPING = 0.3  # of these steps: limits them where the lid runs along the eye, so that the slope is near 0


def ball_flow(rig: KeypointRig, source: Tensor, target: Tensor, eye: int, size: int) -> Tensor:
    """Flow [B 2 size size] of one eye (0 = the subject's left) from keypoints of photo and target [B K 3].

    At the iris it is the motion of the iris, at the corners that of the lids. Between them the white of the eye
    stretches. If the eyeball moved as one piece, it would pull skin from beyond a corner into the eye.
    """
    ball, corners = _ball_and_corners(rig, eye)
    points = torch.cat([ball, corners])
    moved, total = spread((source - target)[:, points, :2], *gaussians(target[:, points], KERNEL, size))
    return moved / (total + 1e-6)


def sample_between_lids(rig: KeypointRig, source: Tensor, target: Tensor, flow: Tensor, distance: Tensor) -> Tensor:
    """Flow [B 2 S S] in which every place inside an eye samples the photo between the photo's own lids.

    An iris that looks aside uncovers more white than the photo shows. Without this step the lid at the corner would be
    sampled there. Positions inside an eye that sample outside the photo's lids move along the eye to where it is open.
    source, target: keypoints [B K 3] of photo and target. distance [B 2 H W]: signed distance to the target's lids,
    left eye and right eye. The change has no gradient.
    """
    small = led = resize(flow.detach(), distance.shape[-1])  # at the size of `distance`: 4 times as fast, and smooth
    move = (target - source)[..., :2].detach()
    for eye, (outline, orientation) in enumerate(rig.openings(source)[:2]):
        ball, corners = _ball_and_corners(rig, eye)
        first, last = source[:, corners, :2].unbind(1)
        along = _unit(last - first)
        turn = _unit(move[:, ball].mean(1) - move[:, corners].mean(1))
        step, share = along[:, :, None, None], (turn * along).sum(1)[:, None, None, None].square()  # 0: up or down
        inside = polygon_distance(outline, orientation, distance.shape[-1])
        slope = _unit(torch.cat([inside.roll(-1, k) - inside.roll(1, k) for k in (3, 2)], 1))
        toward = (slope * step).sum(1, keepdim=True)
        maps = torch.cat([inside, toward / (toward.square() + DAMPING)], 1)
        least = distance[:, eye : eye + 1].clamp_max(RIM)
        for _ in range(STEPS):
            sampled, gain = warp(maps, led).split(1, 1)
            short = (least - sampled).clamp(0, MARGIN) * (sampled > -MARGIN) * (least > 0)
            led = led + share * step * gain * short
    eyes = (resize(distance, flow.shape[-1]) > 0).any(1, keepdim=True)
    return flow + eyes * resize(led - small, flow.shape[-1])


def _ball_and_corners(rig: KeypointRig, eye: int) -> tuple[Tensor, Tensor]:
    """Indices of the keypoints on an eyeball [n], and of the two corners of the eye [2]."""
    ring = EYE_RINGS[eye]
    return (rig.layer == EYE_LAYERS[eye]).nonzero()[:, 0], torch.tensor([ring[0], ring[3]], device=rig.layer.device)


def _unit(x: Tensor) -> Tensor:
    """Vectors [B 2 ...] scaled to length 1; vectors of length 0 stay 0."""
    return x / x.square().sum(1, keepdim=True).sqrt().clamp_min(1e-6)  # `norm` over channels takes 10 times as long
