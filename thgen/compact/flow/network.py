"""Rig's generator: coarse flow from keypoints, corrected by a small network; the photo's own pixels are warped.

Flow is backward and in half-widths of the crop: output(p) = photo(p + flow(p)).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thgen.compact.flow.compositing import Layers, PhotoLayers, place
from thgen.compact.flow.dentition import Dentition, lips_shadow
from thgen.compact.flow.eyes import ball_flow, behind_lids
from thgen.compact.flow.hair import Mass, mass
from thgen.compact.flow.openings import EDGE, open_share, polygon_distance
from thgen.compact.flow.teeth import Teeth
from thgen.compact.keypoint_rig import EYE_LAYERS, KeypointRig
from thgen.nn.sampling import gaussians, grid, resize, smoothstep, spread, warp
from thgen.schema import COEFFICIENTS

BASE = 256  # side at which the network sees the crop
FLOW_SIZE = 128  # side of the flow
NEARER = 3.0  # how strongly nearer points win: weight falls by exp(-NEARER) per half-width of depth
EMPTY = 0.01  # weight at which a place counts as half covered by keypoints
SPACING, NEIGHBOURS = 0.65, 4  # least kernel width on the skin, in mean distances to that many nearest keypoints
WIDER, FAINT = 2.5, 0.1  # every keypoint of the skin also speaks this much more widely and faintly, to fill the gaps
NARROWEST, INSIDE = 0.012, 0.05  # half-widths; least kernel width on the skin, and on teeth
HAIR = 0.12  # weight of the head's own turn where the photo shows hair or what is worn
TAKEN = 0.1  # weight of keypoints from which it gives way to them: ears stand in the midst of hair
WIDE_SIZE = 32  # side of the map on which the wide kernels are evaluated
DECISION = 2.0  # gain on the logits of `keep` and `head` outside training
OWN = 0.03  # half-widths beside the head's turn up to which a tooth belongs to the upper row
TEETH = 16.0  # added to them where open mouth comes to lie on open mouth
TRUST = 3.0  # added to those of `keep`: on photos, unlike renders, the network doubts pixels that are right
LASH = 0.012  # half-widths of lashes along a lid's edge
SHUTTING = (0.06, 0.2)  # shares of the eye's opening from which skin begins to cover it, and does
MOTION = 2 * len(COEFFICIENTS) + 3 + 9 + 8  # coefficients of source and target, turn, source rotation, gaze of both


@dataclass(frozen=True)
class Coarse:
    """flow [B 2 G G]; cover [B 1 G G] how much keypoints say there; opening [B 3 G G] left eye, right eye, mouth;
    distance [B 3 G' G'] signed, to the edges of the openings."""

    flow: Tensor
    cover: Tensor
    opening: Tensor
    distance: Tensor


def _radius(points: Tensor) -> Tensor:
    """Root mean square distance [B] of points [B n 3] from their centre."""
    return (points - points.mean(1, keepdim=True)).pow(2).sum(-1).mean(1).sqrt()


class CoarseFlow(nn.Module):
    """Displacement of keypoints spread by Gaussian kernels of learned width and weight, in ordered layers.

    The skin covers eyeballs and teeth, which show only through the openings of lids and lips: so a closing lid moves
    as skin and is never averaged with the still iris beneath it.
    """

    def __init__(self, rig: KeypointRig, width: Tensor):
        super().__init__()
        self.rig = rig
        self.log_width = nn.Parameter(width.clamp_min(1e-3).log())
        self.log_weight = nn.Parameter(torch.zeros_like(width))

    def _spread(
        self, source: Tensor, target: Tensor, chosen: Tensor, size: int, floor: Tensor, wider: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """Weighted displacement of the chosen keypoints [B 2 G G] and their total weight [B 1 G G].

        floor: least kernel width [B K]; wider: factor on all widths, which leaves the weights alone.
        """
        width = torch.maximum(self.log_width.exp(), floor)[:, chosen]
        s, t = source[:, chosen], target[:, chosen]
        depth = t[..., 2] - target[:, :, 2].amin(1, keepdim=True)
        # A narrow kernel outweighs a wide one, so that lids and lips win over the cheeks; width 0.03 weighs 1.
        weight = (self.log_weight[chosen] - 2 * (width.log() - math.log(0.03)) - NEARER * depth).exp()
        columns, rows = gaussians(t, wider * width[..., None], size)
        return spread((s - t)[..., :2], columns, rows * weight[..., None])

    def forward(
        self, source: Tensor, target: Tensor, size: int = FLOW_SIZE, distance: Tensor | None = None,
        hair: Mass | None = None,
    ) -> Coarse:  # fmt: skip
        """Keypoints of photo and target [B K 3] -> Coarse at size x size, in float32 whatever the autocast.

        distance: that of an earlier call for the same target, at any size, which spares the work; hair: what moves with
        the head besides the skin.
        """
        with torch.autocast(source.device.type, enabled=False):
            source, target = source.float(), target.float()
            if distance is None:
                outlines = self.rig.openings(target)
                distance = torch.cat([polygon_distance(outline, sense, size) for outline, sense in outlines], 1)
            return self._layers(source, target, size, resize(distance, size), hair)

    def _layers(self, source: Tensor, target: Tensor, size: int, distance: Tensor, hair: Mass | None) -> Coarse:
        layer = self.rig.layer
        moved, total = self._skin(source, target, size)
        if hair is not None:
            weight = HAIR * resize(hair.weight, size) / (1 + (total / TAKEN) ** 2)
            moved, total = moved + weight * resize(hair.flow, size), total + weight
        cover = total / (total + EMPTY)
        flow = moved / (total + EMPTY)
        opening = open_share(distance)
        for number in range(1, 4):
            chosen = (layer == number).nonzero()[:, 0]
            if len(chosen):
                inner = self._inside(source, target, number, chosen, size)
                flow = flow + opening[:, number - 1 : number] * (inner - flow)
        return Coarse(flow, cover, opening, distance)

    def _inside(self, source: Tensor, target: Tensor, layer: int, chosen: Tensor, size: int) -> Tensor:
        """Flow [B 2 G G] of what shows through an opening: an eyeball, or the mouth's inside."""
        if layer in EYE_LAYERS:
            return ball_flow(self.rig, source, target, EYE_LAYERS.index(layer), size)
        moved, weight = self._spread(source, target, chosen, size, torch.full_like(source[..., 0], INSIDE))
        return moved / (weight + 1e-6)

    def _floor(self, source: Tensor) -> Tensor:
        """Least width [B K] of each kernel: so wide that neighbouring ones overlap. Renders, whose keypoints are true,
        would teach narrower ones; in a photo each would then cut out a disc of what lies beside a keypoint."""
        skin = self.rig.layer == 0
        points = self.rig.canonical
        apart = torch.cdist(points, points[skin], compute_mode="donot_use_mm_for_euclid_dist")
        apart = torch.where(apart > 0, apart, math.inf)
        spacing = apart.topk(min(NEIGHBOURS, apart.shape[1] - 1), largest=False).values.mean(1)
        scale = _radius(source[:, skin]) / _radius(points[None, skin]).clamp_min(1e-6)
        return (SPACING * scale[:, None] * spacing).nan_to_num(0, posinf=0).clamp_min(NARROWEST)

    def _skin(self, source: Tensor, target: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """Weighted displacement of the skin and its weight. Above the edge of a lower lid only the upper lid counts,
        below it only the lower one: or the still lower lid would hold back the lid that closes over the eye."""
        below = self.rig.below_lids(target, size, EDGE)
        upper, lower, others = self.rig.lid_groups()
        upper_lip, lower_lip = self.rig.lips()
        lip_below, lip_above = self.rig.beyond_lips(target, size, EDGE)
        chosen, floor = (others & ~upper_lip & ~lower_lip).nonzero()[:, 0], self._floor(source)
        moved, total = self._spread(source, target, chosen, size, floor)
        # Where a turned head comes into view its keypoints lie far apart: narrow kernels alone leave holes there.
        every = others.nonzero()[:, 0]
        wide, weight = (FAINT * resize(x, size) for x in self._spread(source, target, every, WIDE_SIZE, floor, WIDER))
        moved, total = moved + wide, total + weight
        groups = ((upper, 1 - below), (lower, below), (upper_lip, 1 - lip_below), (lower_lip, 1 - lip_above))
        for group, share in groups:
            part, weight = self._spread(source, target, group.nonzero()[:, 0], size, floor)
            moved, total = moved + share * part, total + share * weight
        return moved, total


class Modulated(nn.Module):
    """Residual block whose normalised features are scaled and shifted by the motion code."""

    def __init__(self, channels: int, code: int):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, 1, 1)
        self.norm = nn.GroupNorm(8, channels, affine=False)
        self.affine = nn.Linear(code, 2 * channels)
        self.second = nn.Conv2d(channels, channels, 3, 1, 1)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """x [B C H W], code [B D] -> [B C H W]."""
        gain, bias = self.affine(code)[..., None, None].chunk(2, 1)
        return x + self.second(F.silu(self.norm(self.first(x)) * (1 + gain) + bias))


@dataclass(frozen=True)
class Generated:
    """image [B 3 S S]; mask [B 1 S S] where it may differ from the crop; warped [B 3 S S] the photo's own pixels;
    paint [B 3 B B] what the photo does not show; keep, head [B 1 B B] logits: the photo's pixel is right here; the head
    is here in photo or target; flow [B 2 F F]; coarse."""

    image: Tensor
    mask: Tensor
    warped: Tensor
    paint: Tensor
    keep: Tensor
    head: Tensor
    flow: Tensor
    coarse: Coarse


class GuidedFlow(nn.Module):
    """Coarse flow -> correction, occlusion, paint. channels: widths at 64, 32, 16 and 8; fine: width at 128."""

    def __init__(
        self, keypoints: int, mouth_loop: int, channels: tuple[int, ...] = (48, 80, 128, 176),
        fine: int = 24, code: int = 128,
    ):  # fmt: skip
        super().__init__()
        self.config = {
            "class": "rig_generator", "keypoints": keypoints, "mouth_loop": mouth_loop,
            "channels": list(channels), "fine": fine, "code": code,
        }  # fmt: skip
        self.rig = KeypointRig(keypoints, mouth_loop)
        self.coarse = CoarseFlow(self.rig, torch.full((keypoints,), 0.03))
        self.motion = nn.Sequential(nn.Linear(MOTION, code), nn.SiLU(), nn.Linear(code, code), nn.SiLU())
        inputs = 2 * 3 * 16 + 4 * (2 + 1 + 3)  # photo and its coarse warp, unshuffled to 64; coarse maps likewise
        self.enter = nn.Sequential(nn.Conv2d(inputs, channels[0], 1), nn.SiLU())
        self.down = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in pairwise(channels))
        self.encode = nn.ModuleList(Modulated(c, code) for c in channels)
        self.up = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(channels))
        self.decode = nn.ModuleList(Modulated(c, code) for c in channels)
        self.teeth, self.dentition = Teeth(), Dentition()
        self.grow = nn.Conv2d(channels[0], 4 * fine, 1)
        context = 12 + 12 + 2 + 1 + 3 + 8 * self.teeth.channels  # photo and its warp, coarse maps, teeth
        self.mix = nn.Sequential(
            nn.Conv2d(fine + context, fine, 3, 1, 1), nn.SiLU(), nn.Conv2d(fine, fine, 3, 1, 1), nn.SiLU()
        )
        self.to_flow = nn.Conv2d(fine, 2, 3, 1, 1)
        self.to_maps = nn.Conv2d(fine, 4 * (3 + 1 + 1), 3, 1, 1)  # paint, keep, head at 256 by pixel shuffle
        with torch.no_grad():
            for parameter in self.to_flow.parameters():
                parameter.zero_()
            assert self.to_maps.bias is not None
            self.to_maps.bias[12:16] = 2.0  # trust the photo's pixels to begin with

    def forward(
        self, photo: Tensor, source: Tensor, target: Tensor, motion: Tensor, full: Tensor | None = None,
        hair: Tensor | None = None, scene: PhotoLayers | None = None,
    ) -> Generated:  # fmt: skip
        """photo [B 3 256 256] in [-1, 1]; source, target keypoints [B K 3]; motion [B MOTION] (see `motion_code`);
        full [B 3 S S]: the crop at output resolution, by default the photo itself. With `full` the coarse flow is
        evaluated at 256 instead of 128, so that the edges of lids and lips stay sharp. hair [B 1 H W]: how sure it is
        that a place of the photo is hair or worn. scene: outside training, what else the photo shows; without it the
        network alone says where the head is."""
        hair = scene.hair if scene is not None else hair
        along = None if hair is None else mass(self.rig, source, target, hair)
        coarse = self.coarse(source, target, hair=along)
        small = F.pixel_unshuffle(photo, 4)
        moved = warp(photo, resize(coarse.flow, BASE))
        guess = F.pixel_unshuffle(moved, 4)
        maps = torch.cat([coarse.flow * 4, coarse.cover, coarse.opening], 1)
        code = self.motion(motion)
        x = self.enter(torch.cat([small, guess, F.pixel_unshuffle(maps, 2)], 1))
        skips = [self.encode[0](x, code)]
        for down, block in zip(self.down, list(self.encode)[1:], strict=True):
            skips.append(block(F.silu(down(skips[-1])), code))
        x = self.decode[-1](skips[-1], code)
        for up, block, skip in reversed(list(zip(self.up, list(self.decode)[:-1], skips[:-1], strict=True))):
            x = block(resize(up(x), skip.shape[-1]) + skip, code)
        fine = F.pixel_shuffle(self.grow(x), 2)
        mouth = open_share(resize(coarse.distance[:, 2:], BASE))
        teeth = F.pixel_unshuffle(mouth * self.teeth(self.rig, target, BASE), 2)
        context = [F.pixel_unshuffle(moved, 2), F.pixel_unshuffle(photo, 2), maps, teeth]
        fine = self.mix(torch.cat([fine, *context], 1))
        correction = 0.25 * self.to_flow(fine).float()
        if scene is not None:
            correction = correction - warp(scene.drift, coarse.flow)
        if full is not None:
            sharp = self.coarse(source, target, BASE, coarse.distance, along)
            flow = sharp.flow + resize(correction, BASE)
        else:
            flow = coarse.flow + correction
        if not self.training:
            flow = behind_lids(self.rig, source.float(), target.float(), flow, coarse.distance[:, :2])
        paint, keep, head = F.pixel_shuffle(self.to_maps(fine), 2).float().split((3, 1, 1), 1)
        out = full if full is not None else photo
        if self.training:
            # `keep` learns from what is right or wrong to show, not from the picture's error: that would prefer blur.
            made = self.compose(out, flow, paint, keep.detach(), head, coarse)
            return replace(made, keep=keep)
        # Half a warped pixel and half a painted one is blur: outside training the network decides.
        # A lid that closes shows skin of which the photo has little: there the network's doubt stands.
        lids = self.rig.closing_lids(source.float(), target.float(), BASE) * (1 - _eyes(coarse))
        unseen = self._unseen_mouth(scene, target, coarse)
        keep = DECISION * keep + TRUST * (1 - lids) * (1 - unseen)
        layers = skin = bite = None
        if scene is not None and along is not None:
            keep = keep + resize(warp(scene.doubt, flow), BASE)
            # Renders taught it to paint the inside of every mouth; upper teeth in the photo are the person's own.
            inside = coarse.opening[:, 2:] * resize(warp(scene.mouth, flow), coarse.opening.shape[-1])
            away = (resize(flow, FLOW_SIZE) - resize(along.flow, FLOW_SIZE)).norm(dim=1, keepdim=True)
            own = OWN + along.flow.norm(dim=1, keepdim=True).amax((2, 3), keepdim=True) / 3
            upper = (1.5 - away / own).clamp(0, 1)  # they move with the head, the lower ones with the jaw
            keep = keep + TEETH * resize(inside * resize(upper, inside.shape[-1]), BASE)
            layers = place(scene, along.flow, flow, out.shape[-1])
            bite = self._bite(scene, target, coarse.distance[:, 2:], resize(unseen, out.shape[-1]))
            if float(lids.detach().amax()) > SHUTTING[0]:
                below = self.rig.below_lids(target.float(), BASE, EDGE)
                skin = _lid_skin(scene, along.flow, lids, coarse, below)
        return self.compose(out, flow, paint, keep, DECISION * head, coarse, "bicubic", layers, skin, bite)

    def _unseen_mouth(self, scene: PhotoLayers | None, target: Tensor, coarse: Coarse) -> Tensor:
        """How far each place lies in an open mouth whose inside the photo does not show, [B 1 256 256]."""
        inside = resize(open_share(coarse.distance[:, 2:]), BASE)
        if scene is None:
            return torch.zeros_like(inside)
        share = scene.bite.share(self.rig.lip_gap(self.rig.unpose(target).shape))
        return inside * share[:, None, None, None]

    def _bite(self, scene: PhotoLayers, target: Tensor, distance: Tensor, shown: Tensor) -> Tensor | None:
        """Teeth where the mouth is open and the photo shows none (`shown` [B 1 S S]), [B 4 S S]: colour in [0, 1] times
        cover, and cover; None if all mouths are shut. distance [B 1 H W] to the lips."""
        size = shown.shape[-1]
        held = shown.amax((0, 1)) > 1 / 255
        if not bool(held.any()):
            return None
        with torch.autocast(target.device.type, enabled=False):
            rows, columns = (slice(int(i.min()), int(i.max()) + 1) for i in held.nonzero().unbind(1))
            axis = grid(size, target.device)
            pixels = torch.stack(torch.meshgrid(axis[columns], axis[rows], indexing="xy"), -1)
            drawn = self.dentition(self.rig, target.float(), scene.bite.lift, pixels)
            light = scene.bite.light * lips_shadow(resize(distance, size)[..., rows, columns])
            out = shown.new_zeros(len(shown), 4, size, size)
            out[..., rows, columns] = torch.cat([drawn[:, :3] * light, drawn[:, 3:]], 1) * shown[..., rows, columns]
            return out

    @staticmethod
    def compose(
        full: Tensor, flow: Tensor, paint: Tensor, keep: Tensor, head: Tensor, coarse: Coarse, mode: str = "bilinear",
        layers: Layers | None = None, lids: LidSkin | None = None, bite: Tensor | None = None,
    ) -> Generated:  # fmt: skip
        """Warp the crop at its own resolution, paint what it does not show, leave alone what is not head: as `head`
        says, or as `layers` do, which also spare the work where it is not. lids: skin that closing lids show; bite:
        teeth that the photo does not show, [B 4 S S]."""
        size = full.shape[-1]
        flow, paint, keep, head = flow.float(), paint.float(), keep.float(), head.float()
        window = layers.window if layers else (slice(0, size), slice(0, size))

        def cut(x: Tensor) -> Tensor:
            return resize(x, size)[(..., *window)]

        # Hair goes on beyond the crop: mirrored it stays hair, where its last row would be drawn out into streaks.
        warped = warp(full, cut(flow), mode, "reflection", window)
        inner = torch.lerp(cut(paint), warped, torch.sigmoid(cut(keep)))
        if lids:
            shown = warp(lids.skin, cut(lids.flow), "bilinear", "border", window)
            inner = torch.lerp(inner, shown, cut(lids.weight))
        if bite is not None:
            colour, cover = cut(bite).split((3, 1), 1)
            inner = (inner + 1) * (1 - cover) + 2 * colour - 1
        if layers:
            image, mask = layers.lay(full, inner)
        else:
            mask = torch.sigmoid(resize(head, size))
            image = torch.lerp(full, inner, mask)
        return Generated(image, mask, warped, paint, keep, head, flow, coarse)


@dataclass(frozen=True)
class LidSkin:
    """skin [B 3 S S] of the photo without eyes; flow [B 2 H W] with which it turns; weight [B 1 256 256] of it."""

    skin: Tensor
    flow: Tensor
    weight: Tensor


def _lid_skin(scene: PhotoLayers, turned: Tensor, closing: Tensor, coarse: Coarse, below: Tensor) -> LidSkin:
    """Where lids come down over eyes they show skin that the photo has none of; their lashes stay the photo's own.

    closing [B 1 256 256]: how far lids have come down where no eye is open; below: 1 below the lower lids' edges.
    """
    down = smoothstep(closing, *SHUTTING)
    lashes = torch.exp(-((resize(coarse.distance[:, :2], BASE).amax(1, keepdim=True) / LASH) ** 2))
    return LidSkin(scene.lids, turned, down * (1 - lashes * (1 - below)) * warp(scene.eyes, resize(turned, BASE)))


def _eyes(coarse: Coarse) -> Tensor:
    """How far either eye is open at each place, [B 1 256 256]."""
    return open_share(resize(coarse.distance[:, :2], BASE)).amax(1, keepdim=True)


def motion_code(
    source: Tensor, target: Tensor, rotation: Tensor, turn: Tensor, gaze_source: Tensor, gaze_target: Tensor
) -> Tensor:
    """[B MOTION]: coefficients of photo and target [B 57], the photo's rotation [B 3 3], the head's turn [B 3] and both
    gazes [B 2 2] in degrees."""
    gaze = torch.cat([gaze_source.flatten(1), gaze_target.flatten(1)], 1) / 15
    return torch.cat([source, target, turn / 20, rotation.flatten(1), gaze], 1)
