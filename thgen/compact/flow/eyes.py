"""Inside an eye: how its ball turns behind the lids, and what shows where a photo has nothing to show."""

from __future__ import annotations

import torch
from torch import Tensor

from thgen.compact.flow.openings import MARGIN, polygon_distance
from thgen.compact.keypoint_rig import EYE_LAYERS, EYE_RINGS, KeypointRig
from thgen.nn.sampling import gaussians, resize, spread, warp

BALL = 0.03  # half-widths; kernels on an iris, narrow enough that its middle moves further than its rim
RIM = 0.008  # half-widths from the lids up to which what comes into sight may be taken from there
STEPS, ALONG = 3, 0.3  # of leading it there, and how gently where a lid runs along the eye


def ball_flow(rig: KeypointRig, source: Tensor, target: Tensor, eye: int, size: int) -> Tensor:
    """Flow [B 2 size size] of one eye (0 = the subject's left) from keypoints of photo and target [B K 3]: at the iris
    that of its keypoints, at the corners that of the lids. So the white between them is stretched and squeezed; moved
    as one piece, an eyeball would draw the skin beyond a corner into the eye."""
    ball, corners = _ball_and_corners(rig, eye)
    points = torch.cat([ball, corners])
    moved, total = spread((source - target)[:, points, :2], *gaussians(target[:, points], BALL, size))
    return moved / (total + 1e-6)


def behind_lids(rig: KeypointRig, source: Tensor, target: Tensor, flow: Tensor, now: Tensor) -> Tensor:
    """Flow [B 2 S S] inside the eyes, changed so that it takes what they show from between the photo's own lids.

    An iris that looks aside leaves white behind, more than the photo shows, and above it the corner's lid would come
    into the eye. Places inside an eye that lead outside the photo's are led back, along the eye, to where it is open.
    Keypoints of photo and target [B K 3]; now: signed distance to the target's lids of either eye [B 2 H W].
    """
    small = led = resize(flow.detach(), now.shape[-1])  # led at the size of `now`: four times as fast, and smooth
    move = (target - source)[..., :2].detach()  # where places are led to teaches nothing
    for eye, (outline, sense) in enumerate(rig.openings(source)[:2]):
        ball, corners = _ball_and_corners(rig, eye)
        first, last = source[:, corners, :2].unbind(1)
        along = _unit(last - first)
        turn = _unit(move[:, ball].mean(1) - move[:, corners].mean(1))
        step, share = along[:, :, None, None], (turn * along).sum(1)[:, None, None, None].square()  # 0 for up and down
        inside = polygon_distance(outline, sense, now.shape[-1])
        slope = _unit(torch.cat([inside.roll(-1, k) - inside.roll(1, k) for k in (3, 2)], 1))
        toward = (slope * step).sum(1, keepdim=True)
        maps = torch.cat([inside, toward / (toward.square() + ALONG)], 1)
        least = now[:, eye : eye + 1].clamp_max(RIM)  # the rim may show the photo's rim
        for _ in range(STEPS):
            found, gain = warp(maps, led).split(1, 1)
            short = (least - found).clamp(0, MARGIN) * (found > -MARGIN) * (least > 0)
            led = led + share * step * gain * short
    eyes = (resize(now, flow.shape[-1]) > 0).any(1, keepdim=True)
    return flow + eyes * resize(led - small, flow.shape[-1])


def _ball_and_corners(rig: KeypointRig, eye: int) -> tuple[Tensor, Tensor]:
    """Numbers of the keypoints on an eyeball, and of its two corners."""
    ring = EYE_RINGS[eye]
    return (rig.layer == EYE_LAYERS[eye]).nonzero()[:, 0], torch.tensor([ring[0], ring[3]], device=rig.layer.device)


def _unit(x: Tensor) -> Tensor:
    """Vectors [B 2 ...] at length 1; 0 where they have none."""
    return x / x.square().sum(1, keepdim=True).sqrt().clamp_min(1e-6)  # `norm` over channels takes ten times as long
