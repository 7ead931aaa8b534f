"""Pictures in the training of the compact presets: the shared generator, frozen, draws what a motion head says."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from thgen import hub
from thgen.errors import TrainingError
from thgen.methods.guided import GuidedPhoto, Movement, movement, photo_of, render, targets
from thgen.networks.flow import GuidedFlow
from thgen.networks.keypoint_rig import EYE_LAYERS, KeypointRig
from thgen.networks.motion_head import FaceState
from thgen.synth.clip import head_mesh
from thgen.synth.head import neck_weight
from thgen.synth.keypoints import build_layout
from thgen.training.data import ClipStore
from thgen.training.generator_stage import fill_rig

CLOSE = 4.0  # weight of keypoints on lids, irises and lips, beside 1 of all others
CLIPS, FRAMES = 64, 8  # from which the spread of keypoints is measured
LEAST = 0.02  # cm of it
DEPTH = 0.3  # of an error in depth, beside one in the picture


def load_generator(data: dict[str, Any]) -> GuidedFlow:
    """The bundled generator; for clips of another head (data.head) an untrained one. Raises WeightsError."""
    head = data.get("head", "facekit")
    if head == "facekit":
        network = hub.load_network("rig")
        assert isinstance(network, GuidedFlow)
        return network
    mesh = head_mesh(head)
    layout = build_layout(mesh, neck_weight)
    net = GuidedFlow(len(layout.index), len(layout.loops[2]), channels=(8, 16, 24, 32), fine=8, code=16)
    fill_rig(net.rig, layout, mesh.eye_centre)
    with torch.no_grad():
        net.coarse.log_width.copy_(torch.from_numpy(np.asarray(layout.width)).log())
    return net.requires_grad_(False).eval()


class Stand(nn.Module):
    """The frozen generator with all that training asks of it."""

    weight: Tensor
    spread: Tensor

    def __init__(self, data: dict[str, Any], store: ClipStore):
        super().__init__()
        self.net = load_generator(data)
        self.register_buffer("weight", keypoint_weight(self.net.rig), persistent=False)
        self.register_buffer("spread", keypoint_spread(self.net.rig, store), persistent=False)

    def check(self, keypoints: int) -> None:
        """Raises TrainingError where clips have another layout of keypoints than the generator."""
        known = len(self.weight)
        if keypoints != known:
            raise TrainingError(
                f"The clips have {keypoints} keypoints, the generator knows {known}: render them with --head facekit, "
                "or name their head in data.head."
            )

    def photo(self, image: Tensor, keypoints: Tensor, coefficients: Tensor, gaze: Tensor) -> GuidedPhoto:
        """Photos [B 3 S S] of known keypoints; coefficients [B 57] and gaze [B 2 2] are the photo's own."""
        return photo_of(self.net.rig, image, keypoints, coefficients, gaze)

    def move(self, photo: GuidedPhoto, source: FaceState, target: FaceState) -> Movement:
        return movement(source, target, photo.lid_scale)

    def keypoint_error(self, photo: GuidedPhoto, move: Movement, true: Tensor) -> Tensor:
        """Weighted mean distance between the keypoints that a movement leads to and the true ones [B K 3], in
        hundredths of the crop's half-width."""
        found = targets(self.net.rig, photo, move)
        error = (found - true).abs() * found.new_tensor([1.0, 1.0, DEPTH])
        return 100 * (error.sum(2) * self.weight).mean() / self.weight.mean()

    def shape_error(self, photo: GuidedPhoto, move: Movement, true: Tensor) -> Tensor:
        """Mean distance of keypoints whose pose was taken out, each in units of how much it moves in the clips: here a
        lid counts as much as a jaw, where in `keypoint_error` the pose drowns both. 1 or so if nothing moves."""
        rig = self.net.rig
        away = (rig.move(photo.posed, move.change, move.gaze) - rig.unpose(true).shape).abs()
        error = (away * away.new_tensor([1.0, 1.0, DEPTH])).sum(2) / self.spread
        return (error * (self.weight > 0)).mean() / (self.weight > 0).float().mean()

    def draw(self, photo: GuidedPhoto, move: Movement) -> Tensor:
        """Pictures [B 3 S S]."""
        return render(self.net, photo, move).image


def keypoint_weight(rig: KeypointRig) -> Tensor:
    """[K]: CLOSE where people look; 0 on points that move no flow."""
    close = torch.zeros_like(rig.layer, dtype=torch.bool)
    close[36:68] = True
    for group in (*rig.lid_groups()[:2], *rig.lips()):
        close |= group
    for layer in EYE_LAYERS:
        close |= rig.layer == layer
    return torch.where(close, CLOSE, 1.0) * (rig.layer <= 3)


def keypoint_spread(rig: KeypointRig, store: ClipStore) -> Tensor:
    """[K] cm: how far each keypoint moves on the head from one frame of a clip to another, root mean square."""
    rng, found = np.random.default_rng(0), []
    for number in rng.choice(len(store), min(CLIPS, len(store)), replace=False):
        points = store.truth(int(number), ("keypoints",))["keypoints"]
        frames = rng.choice(len(points), min(FRAMES, len(points)), replace=False)
        shape = rig.unpose(torch.from_numpy(points[frames].astype(np.float32))).shape
        found.append((shape - shape.mean(0)).square().mean(0))
    moved = torch.stack(found).mean(0) * torch.tensor([1.0, 1.0, DEPTH]) ** 2
    return (2 * moved.sum(1)).sqrt().clamp_min(LEAST)


def rows(photo: GuidedPhoto, count: int) -> GuidedPhoto:
    """The first `count` photos."""
    posed = type(photo.posed)(*(getattr(photo.posed, n)[:count] for n in photo.posed.__dataclass_fields__))
    own = ("image", "small", "keypoints", "lid_scale", "coefficients", "gaze")
    return GuidedPhoto(**{n: getattr(photo, n)[:count] for n in own}, posed=posed, scene=None)


def first(state: FaceState, count: int) -> FaceState:
    """The first `count` states."""
    return FaceState(*(getattr(state, n)[:count] for n in state.__dataclass_fields__))
