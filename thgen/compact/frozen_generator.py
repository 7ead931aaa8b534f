"""Pictures in the training of the compact presets: the shared generator, frozen, draws what a motion head says."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from thgen.compact.flow.network import GuidedFlow
from thgen.compact.generator import EncodedPhoto, Movement, movement, photo_of, render, targets
from thgen.compact.generator_stage import fill_rig
from thgen.compact.keypoint_rig import EYE_LAYERS, EYE_RINGS, MOUTH_CORNERS, KeypointRig
from thgen.compact.motion_head import GAZE, PLACE, SHAPE, TURN, FaceState
from thgen.errors import TrainingError
from thgen.nn.coefficients import pick
from thgen.schema import BLINK_COEFFICIENTS
from thgen.synth.clip import head_mesh
from thgen.synth.head.keypoints import build_layout
from thgen.synth.head.model import neck_weight
from thgen.training.data.store import ClipStore
from thgen.weights import hub

CLOSE = 4.0  # weight of keypoints on lids, irises and lips, beside 1 of all others
CLIPS, FRAMES = 64, 8  # from which the spread of keypoints is measured
LEAST = 0.02  # cm of it
LIP_CORNERS = (48, 54, *MOUTH_CORNERS)  # landmarks, of the outer lips and of the inner ones
DEPTH = 0.3  # of an error in depth, beside one in the picture
# Weight in `shape_error` beside 1 of other groups. With 1 an encoder never began to look at irises; smiles and frowns
# drowned in what the jaw does to a mouth.
SHARES = {"iris_L": 2.0, "iris_R": 2.0, "mouth": 2.0, "corners": 4.0, "brows": 4.0}


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


class FrozenGenerator(nn.Module):
    """The frozen generator with all that training asks of it."""

    weight: Tensor
    spread: Tensor

    def __init__(self, head: str, store: ClipStore):
        """head: whose keypoints the clips in `store` show."""
        super().__init__()
        self.net = load_generator({"head": head})
        self.register_buffer("weight", keypoint_weight(self.net.rig), persistent=False)
        self.groups = groups_of(self.net.rig)
        self.register_buffer("spread", group_spread(self.net.rig, store), persistent=False)

    def check(self, keypoints: int) -> None:
        """Raises TrainingError where clips have another layout of keypoints than the generator."""
        known = len(self.weight)
        if keypoints != known:
            raise TrainingError(
                f"The clips have {keypoints} keypoints, the generator knows {known}: render them with --head facekit, "
                "or name their head in data.head."
            )

    def photo(self, image: Tensor, keypoints: Tensor, coefficients: Tensor, gaze: Tensor) -> EncodedPhoto:
        """Photos [B 3 S S] of known keypoints; coefficients [B 57] and gaze [B 2 2] are the photo's own."""
        return photo_of(self.net.rig, image, keypoints, coefficients, gaze)

    def move(self, photo: EncodedPhoto, source: FaceState, target: FaceState) -> Movement:
        return movement(source, target, photo.lid_scale)

    def keypoint_error(self, photo: EncodedPhoto, move: Movement, true: Tensor) -> Tensor:
        """Weighted mean distance between the keypoints that a movement leads to and the true ones [B K 3], in
        hundredths of the crop's half-width."""
        found = targets(self.net.rig, photo, move)
        error = (found - true).abs() * found.new_tensor([1.0, 1.0, DEPTH])
        return 100 * (error.sum(2) * self.weight).mean() / self.weight.mean()

    def shape_error(self, photo: EncodedPhoto, move: Movement, true: Tensor) -> Tensor:
        """How far lids, irises, lips and brows are from where they truly are on the head, mean over these groups, each
        in units of how much it moves in the clips. In `keypoint_error` the pose drowns them; here it is taken out, and
        each group stands beside its own neighbours, as a near camera bends a face that turns. About 0.7 if nothing
        moves."""
        return self.shape_of(self.group_errors(photo, move, true))

    @staticmethod
    def shape_of(groups: dict[str, Tensor]) -> Tensor:
        """`shape_error` of `group_errors`."""
        weight = {name: SHARES.get(name, 1.0) for name in groups}
        return sum(weight[name] * error for name, error in groups.items()) / sum(weight.values())  # type: ignore[return-value]

    def group_errors(self, photo: EncodedPhoto, move: Movement, true: Tensor) -> dict[str, Tensor]:
        """The parts of `shape_error`, by the name of the group."""
        rig = self.net.rig
        found, wanted = rig.move(photo.posed, move.change, move.gaze), rig.unpose(true).shape
        return {
            name: (beside(found, group) - beside(wanted, group)).abs().mean() / spread
            for (name, group), spread in zip(self.groups.items(), self.spread, strict=True)
        }

    def draw(self, photo: EncodedPhoto, move: Movement) -> Tensor:
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


Group = tuple[Tensor, Tensor]  # numbers of keypoints, and of those that they are seen from


def groups_of(rig: KeypointRig) -> dict[str, Group]:
    """Lids and iris of either eye, mouth, its corners, brows, each beside what of the face moves least around it."""
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


def beside(shape: Tensor, group: Group) -> Tensor:
    """Shapes [B K 3] -> a group's keypoints, seen from their neighbours, from the front, [B n 2]."""
    points, neighbours = group
    return shape[:, points, :2] - shape[:, neighbours, :2].mean(1, keepdim=True)


def group_spread(rig: KeypointRig, store: ClipStore) -> Tensor:
    """[groups] cm: how far each moves from one frame of a clip to another, mean over keypoints and both axes."""
    rng, found = np.random.default_rng(0), []
    groups = groups_of(rig).values()
    for number in rng.choice(len(store), min(CLIPS, len(store)), replace=False):
        points = store.truth(int(number), ("keypoints",))["keypoints"]
        frames = rng.choice(len(points), min(FRAMES, len(points)), replace=False)
        shape = rig.unpose(torch.from_numpy(points[frames].astype(np.float32))).shape
        found.append([(2**0.5 * (b - b.mean(0))).square().mean() for b in (beside(shape, group) for group in groups)])
    return torch.tensor(found).mean(0).sqrt().clamp_min(LEAST)


def rows(photo: EncodedPhoto, count: int) -> EncodedPhoto:
    """The first `count` photos."""
    posed = type(photo.posed)(*(getattr(photo.posed, n)[:count] for n in photo.posed.__dataclass_fields__))
    own = ("image", "small", "keypoints", "lid_scale", "coefficients", "gaze")
    return EncodedPhoto(**{n: getattr(photo, n)[:count] for n in own}, posed=posed, scene=None)


def pose_difference(a: FaceState, b: FaceState) -> Tensor:
    """Mean difference of turn and place, in outputs of the head."""
    return (a.turn - b.turn).abs().mean() / TURN + (a.place - b.place).abs().mean() / PLACE


def eye_difference(a: FaceState, b: FaceState) -> Tensor:
    """Mean difference of gaze and lids, in outputs of the head."""
    lids = [pick(state.coefficients, BLINK_COEFFICIENTS) for state in (a, b)]
    return (a.gaze - b.gaze).abs().mean() / GAZE + (lids[0] - lids[1]).abs().mean() / SHAPE


def first(state: FaceState, count: int) -> FaceState:
    """The first `count` states."""
    return FaceState(*(getattr(state, n)[:count] for n in state.__dataclass_fields__))
