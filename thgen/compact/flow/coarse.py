"""The coarse flow: displacements of keypoints, spread over the crop in ordered layers.

The flow is backward and in half-widths of the crop: output(p) = photo(p + flow(p)).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from thgen.compact.flow.eyes import ball_flow
from thgen.compact.flow.hair_layer import HairLayer
from thgen.compact.flow.openings import EDGE, open_share, polygon_distance
from thgen.compact.keypoint_rig import BROWS, EYE_LAYERS, EYE_RINGS, KeypointRig, from_corners
from thgen.nn.sampling import gaussians, resize, smoothstep, spread

FLOW_SIZE = 128  # px: side of the flow
DEPTH_DECAY = 3.0  # per half-width: a keypoint's weight falls by exp(-DEPTH_DECAY x depth), so nearer keypoints win
EMPTY = 0.01  # kernel weight at which a place counts as half covered by keypoints
BEHIND = 0.1  # half-widths: a keypoint this far behind the mean of its neighbours counts for a third
SPACING, NEIGHBOURS = 0.65, 4  # least kernel width on the skin, in mean distances to the NEIGHBOURS nearest keypoints
WIDER, FAINT = 2.5, 0.1  # every skin keypoint has a second kernel, this much wider and fainter, which fills gaps
NARROWEST, INSIDE = 0.012, 0.05  # half-widths: least kernel width on the skin; kernel width on teeth
# Rise of a brow, as a part of its height above the lid, from which the skin between stretches evenly, and fully so.
# Kernels alone stretch it near the brow, and fold it when a brow rises far.
RAISED = (0.03, 0.25)
BROW_HALF = 0.2  # half-height of a brow, as a part of its height above the lid in the photo: it rises as a whole
LASHES = 0.15  # height of the lid with its lashes, likewise: it stays as it is. More makes streaks of the skin above it
ALONG_BROW = 0.15  # widths of an eye: a column takes its brow's height from landmarks up to about this far
BESIDE = 0.25  # widths of an eye: this skin ends so far beside it
HAIR_WEIGHT = 0.12  # kernel weight of the head's rigid motion where the photo shows hair or something worn
HAIR_YIELD = 0.1  # kernel weight of keypoints at which that weight is halved: ears lie in the middle of hair
WIDE_SIZE = 32  # px: side of the map for the wide kernels


@dataclass(frozen=True)
class Coarse:
    """Maps from keypoints. The openings are left eye, right eye and mouth.

    flow, skin [B 2 G G]: of everything, and of the skin as if nothing were open; cover [B 1 G G]: how well keypoints
    cover a place, 0 to 1; opening [B 3 G G]: see `open_share`; distance [B 3 G' G']: signed distance to the outlines of
    the openings.
    """

    flow: Tensor
    skin: Tensor
    cover: Tensor
    opening: Tensor
    distance: Tensor


def _radius(points: Tensor) -> Tensor:
    """Root mean square distance [B] of points [B n 3] from their centre."""
    return (points - points.mean(1, keepdim=True)).pow(2).sum(-1).mean(1).sqrt()


class CoarseFlow(nn.Module):
    """Flow from the displacements of keypoints, by Gaussian kernels of learned width and weight, in ordered layers.

    The skin lies in front. Eyeballs and teeth show only through the openings of lids and lips. A closing lid therefore
    moves as skin; it is not averaged with the iris behind it, which does not move.
    """

    def __init__(self, rig: KeypointRig, width: Tensor):
        super().__init__()
        self.rig = rig
        self.log_width = nn.Parameter(width.clamp_min(1e-3).log())
        self.log_weight = nn.Parameter(torch.zeros_like(width))

    def _spread(
        self, source: Tensor, target: Tensor, chosen: Tensor, size: int, least: Tensor, wider: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """Weighted sum of the displacements of the chosen keypoints [B 2 G G], and sum of the weights [B 1 G G].

        least: least kernel width [B K]. wider: factor on all widths, without effect on the weights.
        """
        width = torch.maximum(self.log_width.exp(), least)[:, chosen]
        s, t = source[:, chosen], target[:, chosen]
        depth = t[..., 2] - target[:, :, 2].amin(1, keepdim=True)
        weight = self._weights(width, self.log_weight[chosen], depth)
        columns, rows = gaussians(t, wider * width[..., None], size)
        return spread((s - t)[..., :2], columns, rows * weight[..., None])

    def sharpened(self, source: Tensor, target: Tensor, least: Tensor | None = None) -> Tensor:
        """Keypoints of the photo [B K 3] whose displacements, after averaging by the kernels, are those from `source`.

        A mean of neighbours is smaller than the displacement of a brow or of a corner of the mouth: on renders the flow
        at brows had 0.79 of it. One step of Landweber's iteration adds what each keypoint lacks. Those behind others do
        not count: there the flow is that of the keypoints before them. least: see `least_width`.
        """
        with torch.autocast(source.device.type, enabled=False):
            source, target = source.float(), target.float()
            least = self.least_width(source) if least is None else least
            skin = (self.rig.layer == 0).nonzero()[:, 0]
            width = torch.maximum(self.log_width.exp(), least)[:, skin]
            s, t = source[:, skin], target[:, skin]
            weight = self._weights(width, self.log_weight[skin], t[..., 2] - target[:, :, 2].amin(1, keepdim=True))
            across, down = ((t[:, :, None, k] - t[:, None, :, k]).square() for k in (0, 1))
            near = ((across + down) * (-0.5 / width[:, None].square())).exp() * self._mixing(skin)
            depth, moved = t[..., 2:], (s - t)[..., :2]
            sums = near @ (weight[..., None] * torch.cat([torch.ones_like(depth), depth, moved], 2))
            mean = sums[..., 1:] / (sums[..., :1] + EMPTY)
            seen = torch.exp(-(depth - mean[..., :1]).clamp_min(0) / BEHIND)
            out = source.clone()
            out[:, skin, :2] += seen * (moved - mean[..., 1:])
            return out

    def _mixing(self, skin: Tensor) -> Tensor:
        """[n n]: 0 where a keypoint of the skin has no effect on another, across the lids or the lips; else 1."""
        upper, lower, _ = self.rig.lid_groups()
        out = torch.ones(len(skin), len(skin), device=skin.device)
        for one, other in ((upper, lower), self.rig.lips()):
            a, b = one[skin].float(), other[skin].float()
            out = out - a[:, None] * b - b[:, None] * a
        return out

    @staticmethod
    def _weights(width: Tensor, log_weight: Tensor, depth: Tensor) -> Tensor:
        """Weights [B n] of kernels. width and depth [B n]; log_weight [n]."""
        # A narrow kernel outweighs a wide one, so that lids and lips win over the cheeks; width 0.03 weighs 1.
        return (log_weight - 2 * (width.log() - math.log(0.03)) - DEPTH_DECAY * depth).exp()

    def forward(
        self, source: Tensor, target: Tensor, size: int = FLOW_SIZE, distance: Tensor | None = None,
        hair: HairLayer | None = None, sharp: Tensor | None = None, least: Tensor | None = None,
    ) -> Coarse:  # fmt: skip
        """Keypoints of photo and target [B K 3] -> Coarse at size x size, in float32 also under autocast.

        distance: Coarse.distance of an earlier call for the same target, at any size, to save time.
        hair: motion of hair and worn things, which have no keypoints.
        sharp: the result of `sharpened`, which moves the skin instead of `source`.
        least: `least_width` of an earlier call for the same source, to save time.
        """
        with torch.autocast(source.device.type, enabled=False):
            source, target = source.float(), target.float()
            if distance is None:
                outlines = self.rig.openings(target)
                distance = torch.cat([polygon_distance(points, sign, size) for points, sign in outlines], 1)
            least = self.least_width(source) if least is None else least
            return self._layers(source, target, size, resize(distance, size), hair, sharp, least)

    def _layers(
        self, source: Tensor, target: Tensor, size: int, distance: Tensor, hair: HairLayer | None,
        sharp: Tensor | None, least: Tensor,
    ) -> Coarse:  # fmt: skip
        layer = self.rig.layer
        moved, total = self._skin(source if sharp is None else sharp, target, size, least)
        if hair is not None:
            weight = HAIR_WEIGHT * resize(hair.weight, size) / (1 + (total / HAIR_YIELD) ** 2)
            moved, total = moved + weight * resize(hair.flow, size), total + weight
        cover = total / (total + EMPTY)
        flow = moved / (total + EMPTY)
        if sharp is not None:
            flow = unfolded(flow, source, target)
        skin = flow
        opening = open_share(distance)
        for number in range(1, 4):
            chosen = (layer == number).nonzero()[:, 0]
            if len(chosen):
                inner = self._inside(source, target, number, chosen, size)
                flow = flow + opening[:, number - 1 : number] * (inner - flow)
        return Coarse(flow, skin, cover, opening, distance)

    def _inside(self, source: Tensor, target: Tensor, layer: int, chosen: Tensor, size: int) -> Tensor:
        """Flow [B 2 G G] behind an opening: of an eyeball, or of the inside of the mouth."""
        if layer in EYE_LAYERS:
            return ball_flow(self.rig, source, target, EYE_LAYERS.index(layer), size)
        moved, weight = self._spread(source, target, chosen, size, torch.full_like(source[..., 0], INSIDE))
        return moved / (weight + 1e-6)

    def least_width(self, source: Tensor) -> Tensor:
        """Least width of each kernel, [B K] in half-widths, at which neighbouring kernels overlap.

        Training alone would give narrower kernels, since the keypoints of renders are exact. Keypoints of photos are
        not: with a narrow kernel, a wrong one would move a small disc away from its surroundings.
        """
        with torch.autocast(source.device.type, enabled=False):
            skin = self.rig.layer == 0
            points = self.rig.canonical
            gaps = torch.cdist(points, points[skin], compute_mode="donot_use_mm_for_euclid_dist")
            gaps = torch.where(gaps > 0, gaps, math.inf)
            spacing = gaps.topk(min(NEIGHBOURS, gaps.shape[1] - 1), largest=False).values.mean(1)
            scale = _radius(source.float()[:, skin]) / _radius(points[None, skin]).clamp_min(1e-6)
            return (SPACING * scale[:, None] * spacing).nan_to_num(0, posinf=0).clamp_min(NARROWEST)

    def _skin(self, source: Tensor, target: Tensor, size: int, least: Tensor) -> tuple[Tensor, Tensor]:
        """Weighted sum of the displacements of the skin [B 2 G G], and sum of the weights [B 1 G G].

        Above the edge of the lower lid only the upper lid counts, below it only the lower lid. Otherwise the lower lid,
        which does not move, would hold back the upper lid that closes. The same holds for the lips.
        """
        below = self.rig.below_lids(target, size, EDGE)
        upper, lower, others = self.rig.lid_groups()
        upper_lip, lower_lip = self.rig.lips()
        lip_below, lip_above = self.rig.beyond_lips(target, size, EDGE)
        chosen = (others & ~upper_lip & ~lower_lip).nonzero()[:, 0]
        moved, total = self._spread(source, target, chosen, size, least)
        # On the side of the head that comes into view the keypoints lie far apart: narrow kernels leave gaps there.
        every = others.nonzero()[:, 0]
        wide, weight = (FAINT * resize(x, size) for x in self._spread(source, target, every, WIDE_SIZE, least, WIDER))
        moved, total = moved + wide, total + weight
        groups = ((upper, 1 - below), (lower, below), (upper_lip, 1 - lip_below), (lower_lip, 1 - lip_above))
        for group, share in groups:
            part, weight = self._spread(source, target, group.nonzero()[:, 0], size, least)
            moved, total = moved + share * part, total + share * weight
        return moved, total


def unfolded(flow: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """The flow [B 2 G G] without folds in the skin between raised brows and lids.

    Brows may rise by more than their distance to the lids. Kernels then carry the lid and its crease up with them, and
    they are seen a second time. source, target: keypoints [B K 3].
    """
    for ring, brow in zip(EYE_RINGS, BROWS, strict=True):
        flow = _evenly_stretched(flow, source[..., :2] - target[..., :2], target[..., :2], ring, brow)
    return flow


def _evenly_stretched(
    flow: Tensor, moved: Tensor, target: Tensor, ring: tuple[int, ...], brow: tuple[int, ...]
) -> Tensor:
    """`unfolded` for one eye. moved: what the flow is at the keypoints `target`, both [B K 2]."""
    size, lid = flow.shape[-1], list(ring[1:3])
    first, last = target[:, ring[0]], target[:, ring[3]]
    width = (last - first).norm(dim=1)
    # Pixels outside this square never lie between lid and brow. It saves four fifths of the time.
    high = (target[:, lid].mean(1) - target[:, list(brow)].mean(1)).norm(dim=1)
    middle, reach = (first + last) / 2, (0.5 + BESIDE) * width + 1.5 * high
    box = torch.stack([(middle - reach[:, None]).amin(0), (middle + reach[:, None]).amax(0)])
    (x0, y0), (x1, y1) = ((box + 1) * (size / 2)).clamp(0, size).long().tolist()
    rows, columns = slice(y0, y1 + 1), slice(x0, x1 + 1)
    u, v, down, length = from_corners(first, last, size, rows, columns)
    down = down * length[:, 0]  # a unit vector
    depth = ((target[:, lid].mean(1) - first) * down).sum(1)
    carried = (moved[:, lid].mean(1) * down).sum(1)

    def above(u: Tensor, v: Tensor) -> Tensor:
        """Height above the lid's edge, a parabola through the eye's corners; u and v [B ...] in widths of the eye."""
        shape = (-1,) + (1,) * (u.ndim - 1)
        return 4.5 * (u * (1 - u)).clamp_min(0) * depth.view(shape) - v * width.view(shape)

    away = target[:, list(brow)] - first[:, None]
    at = (away * (last - first)[:, None]).sum(2) / width.square()[:, None]
    height = above(at, (away * down[:, None]).sum(2) / width[:, None])
    rise = (moved[:, list(brow)] * down[:, None]).sum(2) - carried[:, None]
    raised = smoothstep((rise.mean(1) / height.mean(1).clamp_min(1e-4)), *RAISED)
    if not bool((raised > 0).any()):
        return flow
    near = torch.exp(-0.5 * ((u[:, None] - at[..., None, None]) / ALONG_BROW).square()) + 1e-6
    near = near / near.sum(1, keepdim=True)
    top, most = (torch.einsum("bnhw,bn->bhw", near, x) for x in (height, rise))
    low, stretched = LASHES * (top - most), top - (LASHES + BROW_HALF) * (top - most)
    part, over = flow[:, :, rows, columns], above(u, v)
    fall = torch.einsum("bkhw,bk->bhw", part, down) - carried[:, None, None]
    inside = (over > 0) * smoothstep(-over / top.clamp_min(1e-4), -1.0, -0.85)
    inside = inside * smoothstep(-(u - 0.5).abs(), -0.5 - BESIDE, -0.5) * raised[:, None, None]
    flow = flow.clone()
    wanted = most * ((over - low) / stretched.clamp_min(1e-4)).clamp(0, 1)
    flow[:, :, rows, columns] = part + (inside * (wanted - fall))[:, None] * down[..., None, None]
    return flow
