"""The shared generator in the training of compact methods: frozen, it renders what a motion head's states mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from thgen.compact.flow.network import GuidedFlow
from thgen.compact.generator import EncodedPhoto, Movement, face_of, movement, photo_of, render, targets
from thgen.compact.generator_stage import fill_rig
from thgen.compact.keypoint_rig import EYE_LAYERS, EYE_RINGS, MOUTH_CORNERS, KeypointRig
from thgen.compact.motion_head import GAZE, PLACE, SHAPE, TURN, FaceState
from thgen.errors import TrainingError
from thgen.nn.coefficients import pick
from thgen.schema import BLINK_COEFFICIENTS
from thgen.synth.clip import head_mesh
from thgen.synth.head.keypoints import build_layout
from thgen.synth.head.performer import neck_weight
from thgen.training.data.store import ClipStore
from thgen.weights import hub

CLOSE = 4.0  # weight of keypoints on lids, irises and lips; all others weigh 1
DEPTH = 0.3  # weight of an error in depth; one in x or y weighs 1
CLIPS, FRAMES = 64, 8  # number of clips, and of frames of each, from which `group_spread` is measured
LEAST_SPREAD = 0.02  # cm: a group that hardly moves in the clips must not dominate `shape_error`
LIP_CORNERS = (48, 54, *MOUTH_CORNERS)  # landmarks: corners of the outer and of the inner lips
# Weights of groups in `shape_error`; all others weigh 1. With 1, encoders ignored irises, and the motion of the jaw hid
# smiles and frowns.
SHARES = {"iris_L": 2.0, "iris_R": 2.0, "mouth": 2.0, "corners": 4.0, "brows": 4.0}


def load_generator(data: dict[str, Any]) -> GuidedFlow:
    """The bundled generator, or, where `data["head"]` is not "facekit", an untrained one for that head's keypoints.

    Raises WeightsError.
    """
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


class FrozenGenerator(nn.Module):
    """The generator without gradients for its weights, and errors of the movements that it renders.

    net: the generator; weight [K]: of keypoints in `keypoint_distance`; groups, spread [groups]: of `group_errors`.
    """

    weight: Tensor
    spread: Tensor

    def __init__(self, head: str, store: ClipStore):
        """head: whose keypoints the clips in `store` have."""
        super().__init__()
        self.net = load_generator({"head": head})
        self.register_buffer("weight", keypoint_weight(self.net.rig), persistent=False)
        self.groups = groups_of(self.net.rig)
        self.register_buffer("spread", group_spread(self.net.rig, store), persistent=False)

    def check(self, keypoints: int) -> None:
        """Raises TrainingError if clips have another number of keypoints than the generator."""
        known = len(self.weight)
        if keypoints != known:
            raise TrainingError(
                f"The clips have {keypoints} keypoints, the generator knows {known}: render them with --head facekit, "
                "or name their head in data.head."
            )

    def photo(self, image: Tensor, keypoints: Tensor, coefficients: Tensor, gaze: Tensor) -> EncodedPhoto:
        """Photos [B 3 S S] with keypoints [B K 3], coefficients [B 57] and gaze [B 2 2]."""
        return photo_of(self.net.rig, image, keypoints, coefficients, gaze)

    def face(self, keypoints: Tensor, coefficients: Tensor, gaze: Tensor) -> EncodedPhoto:
        """As `photo`, without a picture."""
        return face_of(self.net.rig, keypoints, coefficients, gaze)

    def move(self, photo: EncodedPhoto, source: FaceState, target: FaceState) -> Movement:
        """The movement of photos from one state to another."""
        return movement(source, target, photo.lid_scale)

    def keypoint_distance(self, made: Tensor, true: Tensor) -> Tensor:
        """Mean distance [] between keypoints [B K 3] in hundredths of the crop's half-width, weighted by CLOSE and
        DEPTH."""
        error = (made - true).abs() * made.new_tensor([1.0, 1.0, DEPTH])
        return 100 * (error.sum(2) * self.weight).mean() / self.weight.mean()

    def keypoint_error(self, photo: EncodedPhoto, move: Movement, true: Tensor) -> Tensor:
        """`keypoint_distance` of a movement's keypoints from the true ones [B K 3]."""
        return self.keypoint_distance(targets(self.net.rig, photo, move), true)

    def shape_error(self, photo: EncodedPhoto, move: Movement, true: Tensor) -> Tensor:
        """Mean error [] of lids, irises, lips and brows on the head, weighted by SHARES; about 0.7 if nothing moves.

        In `keypoint_error` the pose hides these parts. Here it is removed, and the position of a group is relative to
        its neighbours, because a near camera distorts a face that turns. Unit: the group's mean motion in the clips.
        """
        return self.shape_of(self.group_errors(photo, move, true))

    @staticmethod
    def shape_of(groups: dict[str, Tensor]) -> Tensor:
        """`shape_error` from `group_errors`."""
        weight = {name: SHARES.get(name, 1.0) for name in groups}
        return sum(weight[name] * error for name, error in groups.items()) / sum(weight.values())  # type: ignore[return-value]

    def group_errors(self, photo: EncodedPhoto, move: Movement, true: Tensor) -> dict[str, Tensor]:
        """The terms [] of `shape_error` by name of the group."""
        rig = self.net.rig
        made, wanted = rig.move(photo.posed, move.change, move.gaze), rig.unpose(true).shape
        return {
            name: (relative(made, group) - relative(wanted, group)).abs().mean() / spread
            for (name, group), spread in zip(self.groups.items(), self.spread, strict=True)
        }

    def draw(self, photo: EncodedPhoto, move: Movement) -> Tensor:
        """Pictures [B 3 S S] of photos after a movement."""
        return render(self.net, photo, move).image


def keypoint_weight(rig: KeypointRig) -> Tensor:
    """Weights [K]: CLOSE on lids, irises and lips, 1 elsewhere, 0 for keypoints that move no flow."""
    close = torch.zeros_like(rig.layer, dtype=torch.bool)
    close[36:68] = True
    for group in (*rig.lid_groups()[:2], *rig.lips()):
        close |= group
    for layer in EYE_LAYERS:
        close |= rig.layer == layer
    return torch.where(close, CLOSE, 1.0) * (rig.layer <= 3)


Group = tuple[Tensor, Tensor]  # numbers of keypoints, and of the neighbours to which their positions are relative


def groups_of(rig: KeypointRig) -> dict[str, Group]:
    """Lids and iris of each eye, mouth, its corners, and brows. Neighbours are the points around that move least."""
    upper, lower, _ = rig.lid_groups()
    side = rig.canonical[:, 0] > 0
    lips = torch.stack(rig.lips()).any(0)
    out: dict[str, Group] = {}
    for eye, ring, layer in zip("LR", EYE_RINGS, EYE_LAYERS, strict=True):
        own = side == (rig.canonical[ring[0], 0] > 0)
        corners = torch.tensor([ring[0], ring[3]])
        lids = ((upper | lower) & own).nonzero()[:, 0]
        lids = torch.cat([lids, torch.tensor(ring)]).unique()
        out |= {f"lids_{eye}": (lids, corners), f"iris_{eye}": ((rig.layer == layer).nonzero()[:, 0], corners)}
    mouth = torch.cat([lips.nonzero()[:, 0], torch.arange(48, 68)]).unique()
    out["mouth"], out["corners"] = (mouth, torch.arange(31, 36)), (torch.tensor(LIP_CORNERS), torch.arange(31, 36))
    out["brows"] = torch.arange(17, 27), torch.tensor([36, 39, 42, 45])
    return {name: group for name, group in out.items() if len(group[0])}


def relative(shape: Tensor, group: Group) -> Tensor:
    """Shapes [B K 3] -> x and y of a group's keypoints relative to the mean of its neighbours, [B n 2]."""
    points, neighbours = group
    return shape[:, points, :2] - shape[:, neighbours, :2].mean(1, keepdim=True)


def group_spread(rig: KeypointRig, store: ClipStore) -> Tensor:
    """Motion of each group between two frames of a clip, [groups] cm, mean over its keypoints and both axes."""
    rng, spreads = np.random.default_rng(0), []
    groups = groups_of(rig).values()
    for number in rng.choice(len(store), min(CLIPS, len(store)), replace=False):
        points = store.truth(int(number), ("keypoints",))["keypoints"]
        frames = rng.choice(len(points), min(FRAMES, len(points)), replace=False)
        shape = rig.unpose(torch.from_numpy(points[frames].astype(np.float32))).shape
        moved = [relative(shape, group) for group in groups]
        spreads.append([(2**0.5 * (points - points.mean(0))).square().mean() for points in moved])
    return torch.tensor(spreads).mean(0).sqrt().clamp_min(LEAST_SPREAD)


def first_states(state: FaceState, count: int) -> FaceState:
    """The first `count` states."""
    return FaceState(*(getattr(state, n)[:count] for n in state.__dataclass_fields__))


def pose_difference(a: FaceState, b: FaceState) -> Tensor:
    """Mean difference [] of turn and place, in outputs of the motion head."""
    return (a.turn - b.turn).abs().mean() / TURN + (a.place - b.place).abs().mean() / PLACE


def eye_difference(a: FaceState, b: FaceState) -> Tensor:
    """Mean difference [] of gaze and lids, in outputs of the motion head."""
    lids = [pick(state.coefficients, BLINK_COEFFICIENTS) for state in (a, b)]
    return (a.gaze - b.gaze).abs().mean() / GAZE + (lids[0] - lids[1]).abs().mean() / SHAPE
