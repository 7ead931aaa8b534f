"""Photo keypoints and a change of factors -> target keypoints: remove the pose, apply a linear rig, apply a new pose.

The rig is linear in the coefficients. Its basis comes from the layout and is refined by training. So every control has
a unit.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from thgen.nn.geometry import fit_similarity, rotation_matrix, to_head_axes
from thgen.nn.sampling import grid
from thgen.schema import COEFFICIENT_INDEX, COEFFICIENTS

NECK = (-17.0, -8.0)  # heights, cm: no head motion below the first (shoulders), full head motion above the second
# Values of `layer`: the subject's left and right eyeball. 0 is skin, 3 the inside of the mouth, 4 has no flow.
EYE_LAYERS = (1, 2)
# Landmarks around each eye: corner, two on the upper lid, corner, two on the lower lid; subject's left, right eye.
EYE_RINGS = ((42, 43, 44, 45, 46, 47), (36, 37, 38, 39, 40, 41))
BROWS = ((22, 23, 24, 25, 26), (17, 18, 19, 20, 21))  # landmarks of the subject's left and right brow
LID_PAIRS = (((43, 47), (44, 46)), ((37, 41), (38, 40)))
MOUTH_CORNERS = (60, 64)  # of the inner lips, left and right in the picture
LIP_PAIRS = ((61, 67), (62, 66), (63, 65))  # inner lips, upper and lower
# Coefficients that part the lips.
PARTING = ("mouthUpperUp_L", "mouthUpperUp_R", "mouthLowerDown_L", "mouthLowerDown_R")
# Shapes with which the lids follow a gaze up and down, left and right eye.
LID_FOLLOWS = (("eyeLookUp_L", "eyeLookUp_R"), ("eyeLookDown_L", "eyeLookDown_R"))
OUTLINE_STEPS = 8  # points of an eye's outline per lid
EVERY = slice(None)  # rows or columns of a crop


def lid_curve() -> Tensor:
    """Matrix [2 * OUTLINE_STEPS, 6]: six landmarks of an eye -> outline by Catmull-Rom splines, with sharp corners."""
    rows = []
    for lid in ((0, 1, 2, 3), (3, 4, 5, 0)):
        control = torch.eye(6)[list(lid)]
        ends = torch.cat([2 * control[:1] - control[1:2], control, 2 * control[-1:] - control[-2:-1]])
        for step in range(OUTLINE_STEPS):
            place = 3 * step / OUTLINE_STEPS
            i = min(int(place), 2)
            t = place - i
            a, b, c, d = ends[i : i + 4]
            rows.append(
                0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
            )
    return torch.stack(rows)


@dataclass(frozen=True)
class Posed:
    """Keypoints without pose, and the pose: shape [B K 3] cm in head axes; scale [B], rotation [B 3 3], shift [B 3]."""

    shape: Tensor
    scale: Tensor
    rotation: Tensor
    shift: Tensor


class KeypointRig(nn.Module):
    """Linear keypoint rig. Its buffers describe the layout (synth.head.keypoints.KeypointLayout).

    canonical [K 3], basis [57 K 3], follow [K], rigid [K], layer [K], pivot [3], gaze_basis [2 K 3];
    mouth_loop: keypoint numbers around the inner lips.
    """

    canonical: Tensor
    basis: Tensor
    follow: Tensor
    rigid: Tensor
    layer: Tensor
    pivot: Tensor
    gaze_basis: Tensor
    mouth_loop: Tensor
    outline: Tensor

    def __init__(self, keypoints: int, mouth_loop: int):
        super().__init__()
        self.register_buffer("canonical", torch.zeros(keypoints, 3))
        self.register_buffer("basis", torch.zeros(len(COEFFICIENTS), keypoints, 3))
        self.register_buffer("follow", torch.ones(keypoints))
        self.register_buffer("rigid", torch.ones(keypoints))
        self.register_buffer("layer", torch.zeros(keypoints))
        self.register_buffer("pivot", torch.zeros(3))
        self.register_buffer("gaze_basis", torch.zeros(2, keypoints, 3))  # cm per degree of yaw, of pitch
        self.register_buffer("mouth_loop", torch.zeros(mouth_loop))
        self.register_buffer("outline", lid_curve(), persistent=False)

    def unpose(self, keypoints: Tensor) -> Posed:
        """Fit the canonical head to keypoints [B K 3] (crop coordinates) and remove pose and scale."""
        with torch.autocast(keypoints.device.type, enabled=False):  # geometry needs full float32 precision
            points = to_head_axes(keypoints.float())
            canonical = self.canonical[None].expand_as(points)
            scale, rotation, shift = fit_similarity(canonical, points, self.rigid)
            shape = torch.einsum("bij,bki->bkj", rotation, points - shift[:, None]) / scale[:, None, None]
        return Posed(shape, scale, rotation, shift)

    def displaced(self, change: Tensor) -> Tensor:
        """Displacement of the keypoints [B K 3], cm in head axes, by a change of coefficients [B 57]."""
        return torch.einsum("bc,ckj->bkj", change, self.basis)

    def move(self, source: Posed, change: Tensor, gaze: Tensor) -> Tensor:
        """Shape [B K 3] after a change of coefficients [B 57] and of gaze [B 2 2] (left, right; yaw, pitch; degrees).

        A blink of weight 1 closes the canonical eye. Scaled by `lid_scale` it closes this person's eye.
        """
        shape = source.shape + self.displaced(change)
        for side, layer in enumerate(EYE_LAYERS):
            on_ball = (self.layer == layer).float()[None, :, None]
            turn = torch.einsum("ba,akj->bkj", gaze[:, side], self.gaze_basis)
            shape = shape + on_ball * turn
        return shape

    def lid_scale(self, source: Posed) -> Tensor:
        """Height of the eye openings [B 2] (left, right), relative to the canonical open eye, 0.1 to 3."""
        return (self._height(source.shape) / self._height(self.canonical[None])).clamp(0.1, 3.0)

    def lowered_lids(self, change: Tensor) -> Tensor:
        """Closing [T 2] (left, right eye) of lids that follow a lower gaze, as a part of the canonical eye, 0 to 1.

        change [T 57]: of coefficients, of which LID_FOLLOWS count.
        """
        opened = self._height(self.canonical[None])
        lost = torch.zeros_like(change[:, :2])
        for names in LID_FOLLOWS:
            numbers = [COEFFICIENT_INDEX[name] for name in names]
            shapes = self.canonical + self.basis[numbers]
            lost = lost + change[:, numbers] * (1 - self._height(shapes) / opened).diagonal()
        return lost.clamp(0, 1)

    def lip_gap(self, shape: Tensor) -> Tensor:
        """Mean height of the opening between the inner lips [B], cm, of shapes [B K 3] in head axes."""
        return torch.stack([shape[:, upper, 1] - shape[:, lower, 1] for upper, lower in LIP_PAIRS]).mean(0)

    def parting(self) -> Tensor:
        """Change of `lip_gap`, [] cm, when all coefficients of PARTING grow by 1."""
        wider = self.canonical + sum(self.basis[COEFFICIENT_INDEX[name]] for name in PARTING)
        return (self.lip_gap(wider[None]) - self.lip_gap(self.canonical[None]))[0]

    @staticmethod
    def _height(shape: Tensor) -> Tensor:
        """Mean distance between the lids' landmarks [B 2]."""
        sides = [[(shape[:, a] - shape[:, b]).norm(dim=-1) for a, b in pairs] for pairs in LID_PAIRS]
        return torch.stack([(one + two) / 2 for one, two in sides], 1)

    def lid_groups(self) -> tuple[Tensor, Tensor, Tensor]:
        """Masks [K] of the skin's keypoints: upper lids, lower lids, all others."""
        skin = self.layer == 0
        upper, lower = torch.zeros_like(skin), torch.zeros_like(skin)
        for side, ring in zip("LR", EYE_RINGS, strict=True):
            drop = -self.basis[COEFFICIENT_INDEX[f"eyeBlink_{side}"], :, 1]
            eye = self.canonical[list(ring)]
            away = (self.canonical[:, :2] - eye[:, :2].mean(0)) / (eye[:, 0].amax() - eye[:, 0].amin())
            near = (away[:, 0].abs() < 0.6) & (away[:, 1] > -0.6) & (away[:, 1] < 0.8)
            falls = drop > 0.25 * drop.amax()
            upper |= skin & near & falls
            lower |= skin & near & ~falls & (away[:, 1] < 0.05)
        return upper, lower, skin & ~upper & ~lower

    def in_front(self) -> Tensor:
        """Mask [K] of the keypoints in front: the skin, and the edges of the lids."""
        return (self.layer == 0) | (self.layer > 3)

    def lips(self) -> tuple[Tensor, Tensor]:
        """Masks [K] of the skin's keypoints on the upper and on the lower lip."""
        corners = self.canonical[list(MOUTH_CORNERS)]
        middle = corners.mean(0)
        away = (self.canonical[:, :2] - middle[:2]) / (corners[1, 0] - corners[0, 0]).abs()
        near = (self.layer == 0) & (away[:, 0].abs() < 0.6) & (away[:, 1].abs() < 0.35)
        drop = -self.basis[COEFFICIENT_INDEX["jawOpen"], :, 1]
        lower = drop > 0.5 * drop.amax()
        return near & ~lower & (drop < 0.25 * drop.amax()), near & lower

    def beyond_lips(self, keypoints: Tensor, size: int, softness: float) -> tuple[Tensor, Tensor]:
        """Masks [B 1 size size] of the regions below and above the line between the lips, near the mouth."""
        first, last = keypoints[:, MOUTH_CORNERS[0], :2], keypoints[:, MOUTH_CORNERS[1], :2]
        centre = keypoints[:, [LIP_PAIRS[1][0], LIP_PAIRS[1][1]], :2].mean(1)
        u, v, down, length = from_corners(first, last, size)
        depth = ((centre - (first + last) / 2) * down).sum(1)
        edge = 4 * u * (1 - u) * depth[:, None, None]  # a parabola through the middle of the lips
        within = ((u > 0.05) & (u < 0.95) & (v.abs() < 0.5)).float()
        below = torch.sigmoid((v - edge) * length / softness)
        return (within * below)[:, None], (within * (1 - below))[:, None]

    def below_lids(self, keypoints: Tensor, size: int, softness: float) -> Tensor:
        """[B 1 size size]: 1 below the lower lid's edge of either eye, 0 above it, 1 away from the eyes' columns."""
        below = keypoints.new_ones(len(keypoints), size, size)
        for ring in EYE_RINGS:
            first, _, _, last, inner, outer = keypoints[:, list(ring), :2].unbind(1)
            u, v, down, length = from_corners(first, last, size)
            depth = (((inner + outer) / 2 - first) * down).sum(1)
            edge = 4.5 * u * (1 - u) * depth[:, None, None]  # a parabola through both landmarks of the lower lid
            column = (u > -0.05) & (u < 1.05) & (v.abs() < 0.9)
            # A little below the landmarks: a white line under a closed lid would be very visible.
            below = torch.where(column, torch.sigmoid((v - edge) * length / softness - 1.5), below)
        return below[:, None]

    def closing_lids(self, source: Tensor, target: Tensor, size: int) -> Tensor:
        """[B 1 size size]: closing of the lids from photo to target, 0 to 1, around each eye; 0 elsewhere."""
        axis = grid(size, target.device)
        y, x = axis[None, :, None], axis[None, None, :]
        lids = target.new_zeros(len(target), size, size)
        share = 1 - self._height(target) / self._height(source).clamp_min(1e-4)
        for side, ring in enumerate(EYE_RINGS):
            first, last = target[:, ring[0], :2], target[:, ring[3], :2]
            centre, radius = (first + last) / 2, (last - first).norm(dim=1)[:, None, None] / 2
            away = (
                ((x - centre[:, 0, None, None]) / (1.25 * radius)) ** 2 + ((y - centre[:, 1, None, None]) / radius) ** 2
            ).sqrt()
            lids = torch.maximum(lids, share[:, side, None, None].clamp(0, 1) * torch.sigmoid((1 - away) * 12))
        return lids[:, None]

    def openings(self, keypoints: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Outlines [B n 2] of left eye, right eye and mouth, each with the sign of its area in the image when open.

        An outline with the opposite sign (lids pressed together) encloses nothing.
        """
        # The canonical mouth is closed, so its sign is taken with an open jaw.
        wide = to_head_axes(self.canonical + 0.5 * self.basis[COEFFICIENT_INDEX["jawOpen"]])[None]
        out = []
        for points in (keypoints, wide):
            eyes = [self.outline @ points[:, list(ring), :2] for ring in EYE_RINGS]
            out.append([*eyes, points[:, self.mouth_loop.long(), :2]])
        return [(outline, _area(still).sign()[0]) for outline, still in zip(*out, strict=True)]

    def repose(self, shape: Tensor, source: Posed, turn: Tensor, shift: Tensor) -> Tensor:
        """Shape [B K 3] -> keypoints [B K 3] in crop coordinates with a new pose. The neck bends; the shoulders stay.

        turn [B 3]: degrees about the axes of the image, after the photo's own pose; shift [B 3]: x right and y down in
        half-widths, z as a change of log scale.
        """
        own = torch.einsum("bij,bkj->bki", source.rotation, shape - self.pivot)
        turned = torch.einsum("bij,bkj->bki", rotation_matrix(turn), own) * shift[:, 2].exp()[:, None, None]
        follow = self.follow[None, :, None]
        moved = own + follow * (turned - own)
        base = torch.einsum("bij,j->bi", source.rotation, self.pivot)
        points = source.scale[:, None, None] * (moved + base[:, None]) + source.shift[:, None]
        flat = torch.cat([shift[:, :2], torch.zeros_like(shift[:, :1])], 1)
        return to_head_axes(points) + follow * flat[:, None]

    def targets(self, source: Posed, change: Tensor, gaze: Tensor, turn: Tensor, shift: Tensor) -> Tensor:
        """Target keypoints [B K 3]; see `move` and `repose`. Zero changes reproduce the source keypoints."""
        with torch.autocast(change.device.type, enabled=False):
            return self.repose(self.move(source, change, gaze), source, turn, shift)


def from_corners(
    first: Tensor, last: Tensor, size: int, rows: slice = EVERY, columns: slice = EVERY
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Coordinates of a crop's pixels relative to an opening with corners `first` and `last` [B 2].

    rows, columns: the pixels wanted. Returns u and v [B rows columns] in lengths of the opening: along it, 0 to 1 from
    corner to corner, and down from it. Also the gradient of v [B 2] and the length [B 1 1].
    """
    axis = grid(size, first.device)
    y, x = axis[None, rows, None], axis[None, None, columns]
    along = (last - first) / (last - first).pow(2).sum(1, keepdim=True).clamp_min(1e-6)
    down = torch.stack([-along[:, 1], along[:, 0]], 1)  # a quarter turn: down, when `last` lies to the right
    u, v = (
        w[:, 0, None, None] * (x - first[:, 0, None, None]) + w[:, 1, None, None] * (y - first[:, 1, None, None])
        for w in (along, down)
    )
    return u, v, down, (last - first).norm(dim=1)[:, None, None]


def _area(outline: Tensor) -> Tensor:
    """Signed area [B] of closed polygons [B n 2]."""
    x, y = outline.unbind(-1)
    return (x * y.roll(-1, 1) - x.roll(-1, 1) * y).sum(1) / 2
