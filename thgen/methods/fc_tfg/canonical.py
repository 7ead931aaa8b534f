"""How alike faces are: their poses, lids and mouths. Canonical faces of one person should be one face (figure 5 b)."""

from __future__ import annotations

import torch
from torch import Tensor

from thgen.compact.frozen_generator import groups_of, relative
from thgen.compact.keypoint_rig import KeypointRig
from thgen.nn.geometry import euler_angles

MILLIMETRES = 10.0  # per cm, the unit of the rig


def spread_of(rig: KeypointRig, keypoints: Tensor) -> dict[str, float]:
    """Keypoints [B K 3] of faces of one person -> "pose", standard deviation of yaw, pitch and roll, degrees; "mouth",
    "corners", "lids" and "brows", of the points of each on the head without its pose, mm; "turned", mean size of yaw
    and pitch, degrees: 0 for frontal faces."""
    posed = rig.unpose(keypoints)
    angles = euler_angles(posed.rotation)
    found = {
        "pose": angles.std(0).mean(),
        "turned": angles[:, :2].abs().mean(),
    }
    groups = groups_of(rig)
    for name in ("mouth", "corners", "brows"):
        found[name] = MILLIMETRES * relative(posed.shape, groups[name]).std(0).mean()
    lids = [relative(posed.shape, groups[name]).std(0).mean() for name in groups if name.startswith("lids")]
    found["lids"] = MILLIMETRES * torch.stack(lids).mean()
    return {name: float(value) for name, value in found.items()}
