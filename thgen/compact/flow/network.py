"""Generator of the compact methods: a flow warps the pixels of the photo.

Keypoints give a coarse flow. A small network corrects it and paints what the photo does not show. The flow is backward
and in half-widths of the crop: output(p) = photo(p + flow(p)).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thgen.compact.flow.coarse import FLOW_SIZE, Coarse, CoarseFlow
from thgen.compact.flow.compositing import MovedLayers, PhotoLayers, move_layers
from thgen.compact.flow.dentition import Dentition, lips_shadow
from thgen.compact.flow.hair_layer import HairLayer, hair_layer
from thgen.compact.flow.irises import TurnedEyes
from thgen.compact.flow.lids import ClosingLids
from thgen.compact.flow.openings import open_share
from thgen.compact.flow.teeth import Teeth
from thgen.compact.keypoint_rig import KeypointRig
from thgen.nn.sampling import grid, resize, warp
from thgen.schema import COEFFICIENTS

BASE = 256  # px: side of the crop in the network
LOGIT_GAIN = 2.0  # factor on the logits of `keep` and `head` outside training
UPPER_TEETH = 0.03  # half-widths: teeth whose flow differs less than this from the head's motion are the upper row
TEETH_TRUST = 16.0  # added to the logits of `keep` on upper teeth that the photo shows
TRUST = 3.0  # added to the logits of `keep`: on photos, unlike renders, they are low on pixels that are right
MOTION = 2 * len(COEFFICIENTS) + 3 + 9 + 8  # coefficients of source and target, turn, source rotation, gaze of both


class Modulated(nn.Module):
    """Residual block. The motion code scales and shifts its normalised features."""

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
    """Output of GuidedFlow. Images lie in [-1, 1].

    image [B 3 S S]; mask [B 1 S S]: where it may differ from the crop, 0 to 1.
    warped [B 3 h w]: the pixels of the photo after the warp; in training h = w = S, else the window of the head.
    paint [B 3 256 256]: painted pixels, for what the photo does not show.
    keep [B 1 256 256]: logit that the warped pixel of the photo is right.
    head [B 1 256 256]: logit that the head is here, in the photo or in the target.
    flow [B 2 F F] in half-widths; coarse: the maps from keypoints.
    """

    image: Tensor
    mask: Tensor
    warped: Tensor
    paint: Tensor
    keep: Tensor
    head: Tensor
    flow: Tensor
    coarse: Coarse


class GuidedFlow(nn.Module):
    """Coarse flow from keypoints -> corrected flow, occlusion and painted pixels -> image.

    channels: number of channels at 64, 32, 16 and 8 px; fine: at 128 px. code: size of the motion code.
    """

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
        inputs = 2 * 3 * 16 + 4 * (2 + 1 + 3)  # photo and coarse warp, unshuffled to 64 px; coarse maps likewise
        self.enter = nn.Sequential(nn.Conv2d(inputs, channels[0], 1), nn.SiLU())
        self.down = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in pairwise(channels))
        self.encode = nn.ModuleList(Modulated(c, code) for c in channels)
        self.up = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(channels))
        self.decode = nn.ModuleList(Modulated(c, code) for c in channels)
        self.teeth, self.dentition = Teeth(), Dentition()
        self.grow = nn.Conv2d(channels[0], 4 * fine, 1)
        context = 12 + 12 + 2 + 1 + 3 + 8 * self.teeth.channels  # photo and coarse warp, coarse maps, teeth
        self.mix = nn.Sequential(
            nn.Conv2d(fine + context, fine, 3, 1, 1), nn.SiLU(), nn.Conv2d(fine, fine, 3, 1, 1), nn.SiLU()
        )
        self.to_flow = nn.Conv2d(fine, 2, 3, 1, 1)
        self.to_maps = nn.Conv2d(fine, 4 * (3 + 1 + 1), 3, 1, 1)  # paint, keep, head at 256 px by pixel shuffle
        with torch.no_grad():
            for parameter in self.to_flow.parameters():
                parameter.zero_()
            assert self.to_maps.bias is not None
            self.to_maps.bias[12:16] = 2.0  # `keep`: start with trust in the pixels of the photo

    def forward(
        self, photo: Tensor, source: Tensor, target: Tensor, motion: Tensor, full: Tensor | None = None,
        hair: Tensor | None = None, layers: PhotoLayers | None = None, shut: Tensor | None = None,
        turn: Tensor | None = None,
    ) -> Generated:  # fmt: skip
        """Move the photo from its keypoints to the target's.

        photo [B 3 256 256] in [-1, 1]. source, target: keypoints [B K 3]. motion [B MOTION]: see `motion_code`.
        full [B 3 S S]: the crop at output resolution; None: the photo. With `full` the coarse flow is computed at 256
        instead of 128 px, so that the edges of lids and lips stay sharp.
        hair [B 1 H W]: probability of hair or something worn in the photo.
        layers: segmented layers of the photo, for inference only. Without them the network alone masks the head.
        shut [B 2]: share of closing by which the layers close each eye; keypoints then leave its lids open.
        turn [B 2 2]: degrees by which the layers turn each eye; keypoints then keep the photo's gaze.
        """
        hair = layers.hair if layers is not None else hair
        rigid = None if hair is None else hair_layer(self.rig, source, target, hair)
        # Training learns the kernels, and what the network adds to them, from plain means.
        least = self.coarse.least_width(source)
        exact = None if self.training else self.coarse.sharpened(source, target, least)
        coarse = self.coarse(source, target, hair=rigid, sharp=exact, least=least)
        fine = self._features(photo, target, coarse, motion)
        correction = 0.25 * self.to_flow(fine).float()
        if layers is not None:
            correction = correction - warp(layers.drift, coarse.flow)
        sharp = coarse if full is None else self.coarse(source, target, BASE, coarse.distance, rigid, exact, least)
        correction = resize(correction, sharp.flow.shape[-1])
        flow = sharp.flow + correction
        paint, keep, head = F.pixel_shuffle(self.to_maps(fine), 2).float().split((3, 1, 1), 1)
        out = full if full is not None else photo
        if self.training:
            # `keep` has a loss of its own. The error of the image must not train it: that error prefers blur.
            made = self.compose(out, flow, paint, keep.detach(), head, coarse)
            return replace(made, keep=keep)
        # A mean of warped and painted pixels is blurred, so the logits are made decisive. Trust in the photo is not
        # added where lids close or the mouth opens: the photo shows little of what appears there.
        closing = self.rig.closing_lids(source.float(), target.float(), BASE) * (1 - _open_eyes(coarse))
        hidden = self._hidden_mouth(layers, target, coarse)
        keep = LOGIT_GAIN * keep + TRUST * (1 - closing) * (1 - hidden)
        moved = lids = eyes = bite = None
        if layers is not None and rigid is not None:
            keep = keep + resize(warp(layers.doubt, flow), BASE) + _teeth_trust(layers, rigid, flow, coarse)
            moved = move_layers(layers, rigid.flow, flow, out.shape[-1])
            bite = self._bite(layers, target, coarse.distance[:, 2:], resize(hidden, out.shape[-1]))
            if shut is not None:
                lids = ClosingLids(layers.eyes, shut, target.float(), sharp.skin + correction)
            if layers.irises is not None and turn is not None:
                eyes = TurnedEyes(layers.irises, turn, target.float(), flow)
        return self.compose(out, flow, paint, keep, LOGIT_GAIN * head, coarse, "bicubic", moved, lids, bite, eyes)

    def _features(self, photo: Tensor, target: Tensor, coarse: Coarse, motion: Tensor) -> Tensor:
        """Features [B fine 128 128] from the photo, its coarse warp and the motion; see `forward`."""
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
        features: Tensor = self.mix(torch.cat([fine, *context], 1))
        return features

    def _hidden_mouth(self, layers: PhotoLayers | None, target: Tensor, coarse: Coarse) -> Tensor:
        """Where the mouth is open and the photo does not show its inside, [B 1 256 256] in [0, 1]."""
        inside = resize(open_share(coarse.distance[:, 2:]), BASE)
        if layers is None:
            return torch.zeros_like(inside)
        share = layers.bite.share(self.rig.lip_gap(self.rig.unpose(target).shape))
        return inside * share[:, None, None, None]

    def _bite(self, layers: PhotoLayers, target: Tensor, distance: Tensor, opacity: Tensor) -> Tensor | None:
        """Drawn teeth [B 4 S S]: RGB in [0, 1] premultiplied by alpha, and alpha. None if no frame needs them.

        opacity [B 1 S S]: `_hidden_mouth` at the output's size. distance [B 1 H W]: signed distance to the lips.
        """
        size = opacity.shape[-1]
        used = opacity.amax((0, 1)) > 1 / 255
        if not bool(used.any()):
            return None
        with torch.autocast(target.device.type, enabled=False):
            rows, columns = (slice(int(i.min()), int(i.max()) + 1) for i in used.nonzero().unbind(1))
            axis = grid(size, target.device)
            pixels = torch.stack(torch.meshgrid(axis[columns], axis[rows], indexing="xy"), -1)
            drawn = self.dentition(self.rig, target.float(), layers.bite.lift, pixels)
            light = layers.bite.light * lips_shadow(resize(distance, size)[..., rows, columns])
            out = opacity.new_zeros(len(opacity), 4, size, size)
            out[..., rows, columns] = torch.cat([drawn[:, :3] * light, drawn[:, 3:]], 1) * opacity[..., rows, columns]
            return out

    @staticmethod
    def compose(
        full: Tensor, flow: Tensor, paint: Tensor, keep: Tensor, head: Tensor, coarse: Coarse, mode: str = "bilinear",
        layers: MovedLayers | None = None, lids: ClosingLids | None = None, bite: Tensor | None = None,
        eyes: TurnedEyes | None = None,
    ) -> Generated:  # fmt: skip
        """Assemble the output from the warped crop, painted pixels, lids and teeth. Only the head changes.

        full [B 3 S S]; the other maps as in `Generated`. mode: see `warp`.
        layers: position of the head. None: the logits `head` give it, and the whole crop is warped.
        lids: what closes the eyes; eyes: what turns them. bite [B 4 S S]: drawn teeth, RGB premultiplied by alpha, and
        alpha.
        """
        size = full.shape[-1]
        flow, paint, keep, head = flow.float(), paint.float(), keep.float(), head.float()
        window = layers.window if layers else (slice(0, size), slice(0, size))

        def cut(x: Tensor) -> Tensor:
            return resize(x, size)[(..., *window)]

        # Hair continues beyond the crop. Its mirror image looks like hair; a repeated last row would be streaks.
        warped = warp(full, cut(flow), mode, "reflection", window)
        inner = torch.lerp(cut(paint), warped, torch.sigmoid(cut(keep)))
        if eyes:
            inner = eyes.over(inner, window, size)
        if lids:
            inner = lids.over(inner, window, size)
        if bite is not None:
            colour, cover = cut(bite).split((3, 1), 1)
            inner = (inner + 1) * (1 - cover) + 2 * colour - 1
        if layers:
            image, mask = layers.composite(full, inner)
        else:
            mask = torch.sigmoid(resize(head, size))
            image = torch.lerp(full, inner, mask)
        return Generated(image, mask, warped, paint, keep, head, flow, coarse)


def _teeth_trust(layers: PhotoLayers, rigid: HairLayer, flow: Tensor, coarse: Coarse) -> Tensor:
    """Amount [B 1 256 256] to add to the logits of `keep` on upper teeth that the photo shows.

    Renders taught the network to paint the inside of every mouth, but the upper teeth in the photo are the person's
    own. Upper teeth move with the head, lower teeth with the jaw.
    """
    inside = coarse.opening[:, 2:] * resize(warp(layers.mouth, flow), coarse.opening.shape[-1])
    away = (resize(flow, FLOW_SIZE) - resize(rigid.flow, FLOW_SIZE)).norm(dim=1, keepdim=True)
    limit = UPPER_TEETH + rigid.flow.norm(dim=1, keepdim=True).amax((2, 3), keepdim=True) / 3
    upper = (1.5 - away / limit).clamp(0, 1)
    return TEETH_TRUST * resize(inside * resize(upper, inside.shape[-1]), BASE)


def _open_eyes(coarse: Coarse) -> Tensor:
    """How open an eye is at each place, [B 1 256 256] in [0, 1]."""
    return open_share(resize(coarse.distance[:, :2], BASE)).amax(1, keepdim=True)


def motion_code(
    source: Tensor, target: Tensor, rotation: Tensor, turn: Tensor, gaze_source: Tensor, gaze_target: Tensor
) -> Tensor:
    """Input of the motion code, [B MOTION].

    source, target: coefficients [B 57] of photo and target. rotation [B 3 3]: head rotation in the photo. turn [B 3]:
    change of the head's rotation (yaw, pitch, roll). gaze_source, gaze_target [B 2 2]: gaze. Angles in degrees.
    """
    gaze = torch.cat([gaze_source.flatten(1), gaze_target.flatten(1)], 1) / 15
    return torch.cat([source, target, turn / 20, rotation.flatten(1), gaze], 1)
