"""Gaze of a driving clip, each eye by itself: what the analyser reads, and where the irises lie between the lids."""

from __future__ import annotations

import torch
from torch import Tensor

from thgen.compact.keypoint_rig import EYE_LAYERS, EYE_RINGS, KeypointRig, Posed
from thgen.nn.geometry import to_head_axes

# Degrees (yaw, pitch) by which a straight gaze may be misread in a clip; at most so much of its median is removed.
BIAS = ((-6.0, 6.0), (-4.0, 14.0))
APART = 2.0  # degrees from the mean of both eyes that may be noise; what is more counts as crossed or wandering eyes
STEADY = 1e-6  # cm^2 per squared degree: keeps the solution finite where an eye is seen from the side


def clip_gaze(rig: KeypointRig, keypoints: Tensor, posed: Posed, read: Tensor) -> Tensor:
    """Gaze [T 4] in degrees: yaw and pitch of the left eye, then of the right eye. 0 is straight ahead.

    keypoints [T K 3] of the face encoder, and the same without pose; read [T 4]: gaze of the analyser. Both eyes look
    where the mean of the two readings says. An eye that looks elsewhere is known from its iris alone, since the
    analyser hardly tells the eyes apart.
    """
    irises = centred(iris_gaze(rig, keypoints, posed).flatten(1)).unflatten(1, (2, 2))
    both = (centred(read).unflatten(1, (2, 2)).mean(1, keepdim=True) + irises.mean(1, keepdim=True)) / 2
    apart = irises - irises.mean(1, keepdim=True)
    return (both + apart.sign() * (apart.abs() - APART).clamp_min(0)).flatten(1)


def iris_gaze(rig: KeypointRig, keypoints: Tensor, posed: Posed) -> Tensor:
    """Gaze [T 2 2] in degrees (left, right eye; yaw, pitch) that puts each iris where it is seen between the corners of
    its eye. It uses the picture alone, not the depth of keypoints, which is a guess."""
    seen = to_head_axes(keypoints)[..., :2] / posed.scale[:, None, None]
    project = posed.rotation[:, :2]
    eyes = []
    for layer, ring in zip(EYE_LAYERS, EYE_RINGS, strict=True):
        ball, corners = (rig.layer == layer).nonzero()[:, 0], [ring[0], ring[3]]
        straight = rig.canonical[ball] - rig.canonical[corners].mean(0)
        off = seen[:, ball] - seen[:, corners].mean(1, keepdim=True) - torch.einsum("tij,kj->tki", project, straight)
        turn = torch.einsum("tij,akj->tkia", project, rig.gaze_basis[:, ball]).flatten(1, 2)  # cm per degree
        system = turn.mT @ turn + STEADY * torch.eye(2).to(turn)
        eyes.append(torch.linalg.solve(system, turn.mT @ off.flatten(1)[..., None])[..., 0])
    return torch.stack(eyes, 1)


def centred(gaze: Tensor) -> Tensor:
    """Gaze [T 4] without the bias of its reading: the clip's median, as far as it can be one (BIAS)."""
    low, high = gaze.new_tensor(BIAS).T.repeat(1, 2)
    middle = gaze.contiguous().median(0).values  # torch 2.13 returns garbage for the median of an expanded tensor
    return gaze - torch.minimum(torch.maximum(middle, low), high)
