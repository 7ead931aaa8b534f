"""Rotation matrices, Euler angles and similarity fits. `thgen.schema` defines the angles and axes."""

from __future__ import annotations

import torch
from torch import Tensor

# Image axes (x right, y down, z away) <-> head axes (x right, y up, z towards the viewer).
_FLIP = (1.0, -1.0, -1.0)


def rotation_matrix(angles: Tensor) -> Tensor:
    """Angles (yaw, pitch, roll) in degrees [... 3] -> rotation [... 3 3] = Rz(roll) Ry(yaw) Rx(pitch), head axes.

    >>> nose = torch.tensor([0.0, 0.0, 1.0])  # towards the viewer
    >>> (rotation_matrix(torch.tensor([90.0, 0.0, 0.0])) @ nose).abs().round().tolist()  # to the right
    [1.0, 0.0, 0.0]
    """
    yaw, pitch, roll = torch.deg2rad(angles).unbind(-1)
    pitch, roll = -pitch, -roll  # positive pitch is up, positive roll is clockwise on the screen
    one, zero = torch.ones_like(yaw), torch.zeros_like(yaw)

    def stack(*rows: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        return torch.stack([torch.stack(row, -1) for row in rows], -2)

    ry = stack((yaw.cos(), zero, yaw.sin()), (zero, one, zero), (-yaw.sin(), zero, yaw.cos()))
    rx = stack((one, zero, zero), (zero, pitch.cos(), -pitch.sin()), (zero, pitch.sin(), pitch.cos()))
    rz = stack((roll.cos(), -roll.sin(), zero), (roll.sin(), roll.cos(), zero), (zero, zero, one))
    return rz @ ry @ rx


def euler_angles(rotation: Tensor) -> Tensor:
    """Inverse of `rotation_matrix` for |yaw| < 90 degrees: [... 3 3] -> (yaw, pitch, roll) in degrees [... 3]."""
    yaw = torch.asin((-rotation[..., 2, 0]).clamp(-1, 1))
    pitch = torch.atan2(rotation[..., 2, 1], rotation[..., 2, 2])
    roll = torch.atan2(rotation[..., 1, 0], rotation[..., 0, 0])
    return torch.rad2deg(torch.stack([yaw, -pitch, -roll], -1))


def to_head_axes(keypoints: Tensor) -> Tensor:
    """Keypoints [... K 3] from image axes to head axes. The function is its own inverse."""
    return keypoints * keypoints.new_tensor(_FLIP)


def fit_similarity(source: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Similarity transform with target ~ scale * source @ R^T + shift, by weighted least squares (Umeyama 1991).

    source, target [B K 3] in head axes; weight [K] >= 0. Returns scale [B], R [B 3 3], shift [B 3]. R is a rotation,
    never a reflection.
    """
    w = (weight / weight.sum())[None, :, None]
    mean_s, mean_t = (source * w).sum(1, keepdim=True), (target * w).sum(1, keepdim=True)
    s, t = source - mean_s, target - mean_t
    u, singular, vh = torch.linalg.svd((t * w).transpose(1, 2) @ s)
    sign = torch.linalg.det(u @ vh).sign()
    fix = torch.stack([torch.ones_like(sign), torch.ones_like(sign), sign], -1)
    rotation = (u * fix[:, None, :]) @ vh
    scale = (singular * fix).sum(-1) / (s.pow(2) * w).sum((1, 2)).clamp_min(1e-12)
    shift = mean_t[:, 0] - scale[:, None] * (rotation @ mean_s.transpose(1, 2))[..., 0]
    return scale, rotation, shift
