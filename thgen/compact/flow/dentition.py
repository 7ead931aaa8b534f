"""Two rows of teeth drawn by code, for mouths that a photo shows closed: what a network paints there is an average.

Sizes of crowns are about those of adults, in cm along the arch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thgen.compact.flow.teeth import ARC, HEIGHT, TEETH_LAYER, WIDTH, bent_place
from thgen.compact.keypoint_rig import LIP_PAIRS, KeypointRig, Posed
from thgen.nn.geometry import to_head_axes
from thgen.nn.sampling import grid, smoothstep
from thgen.schema import COEFFICIENTS

# By tooth from the middle, upper and lower row: width and height of its crown, and how far its edge stands back.
CROWNS = ((0.85, 0.65, 0.76, 0.71, 0.68, 1.0, 0.95), (0.53, 0.58, 0.69, 0.7, 0.71, 1.1, 1.05))
LONG = ((1.05, 0.9, 1.0, 0.85, 0.8, 0.75, 0.7), (0.9, 0.92, 1.05, 0.88, 0.82, 0.75, 0.7))
SHORTER = ((0.0, 0.06, 0.01, 0.07, 0.1, 0.12, 0.15), (0.0, 0.0, 0.0, 0.03, 0.06, 0.1, 0.12))
ROUND, PAPILLA, GAP = (
    0.05,
    0.22,
    0.07,
)  # corners of an edge; gum between teeth; half of the shade there, of a half tooth
ENAMEL, GUM = (1.0, 0.97, 0.91), (0.70, 0.42, 0.40)  # colours under white light
SIDES, LOWER = 0.45, 0.8  # light at 2.6 cm from the middle is 1 - SIDES; that of the lower row
GUMS = 0.35  # cm of gum that is drawn
SHOWN, COVER = 0.5, 0.12  # cm by which the upper edge hangs below the line of closed lips, the lower one stands above
FRONT = 0.8  # cm: keypoints this far behind the foremost one say 1/e as much of where the row is
SHADE = (0.0, 0.05)  # half-widths from the lips over which their shadow falls on the teeth
DEEP = 0.75  # light right behind a lip
WIDENED = (0.02, 0.15)  # cm by which lips part beyond the photo's, from which teeth begin to show, and do
ROWS, COLUMNS, FINER = 96, 256, 4  # of a row's picture; by which it is drawn larger


def arch_length(x: Tensor) -> Tensor:
    """Length along the parabola z = -ARC x^2 from its middle to x, cm."""
    t = 2 * ARC * x
    return (t * (1 + t * t).sqrt() + torch.asinh(t)) / (4 * ARC)


def drawn_rows() -> Tensor:
    """Upper and lower row from the front, [2 4 ROWS COLUMNS]: colour under white light, 0 to 1, times cover, and cover.
    Coordinates of `teeth`: x to WIDTH sideways; HEIGHT up and down, where 0 is the edge of the middle teeth."""
    x = grid(FINER * COLUMNS, torch.device("cpu"))[None] * WIDTH
    y = -grid(FINER * ROWS, torch.device("cpu"))[:, None] * HEIGHT
    return torch.stack([_row(x, y if row == 0 else -y, row) for row in range(2)])


def _row(x: Tensor, y: Tensor, row: int) -> Tensor:
    """x [1 W], y [H 1] cm, gums upwards -> [4 ROWS COLUMNS]."""
    ends = torch.tensor(CROWNS[row]).cumsum(0)
    along = arch_length(x.abs())
    tooth = torch.bucketize(along, ends).clamp_max(len(ends) - 1)
    width, end = torch.tensor(CROWNS[row])[tooth], ends[tooth]
    across = (2 * (along - end) / width + 1).abs()  # 0 in the middle of a tooth, 1 between two
    edge = torch.tensor(SHORTER[row])[tooth] + ROUND * across**4
    neck = torch.tensor(LONG[row])[tooth] - PAPILLA * across**2
    pixel = 2 * HEIGHT / (FINER * ROWS)
    crown = smoothstep(y - edge, -pixel, pixel)
    gum = smoothstep(y - neck, -0.03, 0.03)
    cover = crown * (1 - smoothstep(y - neck, GUMS, GUMS + 0.15)) * (along < ends[-1])
    light = (1 - SIDES * (x / 2.6) ** 2).clamp_min(0.2) * (1.0 if row == 0 else LOWER)
    between = 1 - 0.35 * smoothstep(across, 1 - GAP, 1.0) - 0.1 * across**3
    tip = 1 - 0.12 * torch.exp(-(((y - edge) / 0.08) ** 2))  # edges are translucent
    enamel = torch.tensor(ENAMEL)[:, None, None] * (between * tip)
    colour = torch.lerp(enamel, torch.tensor(GUM)[:, None, None].expand_as(enamel), gum) * light
    whole = torch.cat([colour * cover, cover[None]])
    return F.avg_pool2d(whole[None], FINER)[0]


@dataclass(frozen=True)
class Bite:
    """How a photo's teeth would look: light [B 3 1 1] on them, in [0, 1]; lift [B 2], cm by which the edges of the
    upper and the lower row stand above where their keypoints are; hidden [B]: 1 where it does not show them, else 0;
    gap [B], cm between its lips."""

    light: Tensor
    lift: Tensor
    hidden: Tensor
    gap: Tensor

    def expand(self, count: int) -> Bite:
        """The same for `count` frames."""
        light, lift = self.light.expand(count, -1, -1, -1), self.lift.expand(count, -1)
        return Bite(light, lift, self.hidden.expand(count), self.gap.expand(count))

    def share(self, gap: Tensor) -> Tensor:
        """How much is drawn of the teeth of frames whose lips stand `gap` [B] cm apart, [B]: nothing until they part
        further than the photo's, so that a photo at rest stays itself."""
        return self.hidden * smoothstep(gap - self.gap, *WIDENED)


class Dentition(nn.Module):
    """Lays the drawn rows into an open mouth."""

    picture: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("picture", drawn_rows(), persistent=False)

    def forward(self, rig: KeypointRig, target: Tensor, lift: Tensor, pixels: Tensor) -> Tensor:
        """target keypoints [B K 3], lift [B 2] cm, pixels [h w 2] in crop coordinates -> [B 4 h w]: colour under white
        light, 0 to 1, times cover, and cover. The upper row lies before the lower one."""
        out = target.new_zeros(len(target), 4, *pixels.shape[:2])
        chosen = (rig.layer == TEETH_LAYER).nonzero()[:, 0]
        if len(chosen) < 2:  # a head without teeth
            return out
        posed = rig.unpose(target)
        places = pixels * pixels.new_tensor([1.0, -1.0])
        for row, points in reversed(list(enumerate(chosen.chunk(2)))):
            seen, canonical = to_head_axes(target[:, points].float()), rig.canonical[points]
            place = bent_place(canonical, seen, posed, places, front_weight(canonical))
            place[:, 1] += lift[:, row, None, None] / HEIGHT
            picture = self.picture[row].expand(len(target), -1, -1, -1)
            over = F.grid_sample(picture, place.movedim(1, 3), padding_mode="zeros", align_corners=False)
            out = over + out * (1 - over[:, 3:])
        return out


def front_weight(canonical: Tensor) -> Tensor:
    """How much each keypoint [n 3] of a row says of where its front is, [n], in sum 1."""
    return (canonical[:, 2] / FRONT).softmax(0)


def bite_lift(rig: KeypointRig, posed: Posed, coefficients: Tensor) -> Tensor:
    """Bite.lift of photos, [B 2]: edges are laid by the line of the closed lips, which photos show, not by teeth, which
    they hide. coefficients [B 57] of the photo."""
    chosen = (rig.layer == TEETH_LAYER).nonzero()[:, 0]
    closed = posed.shape - torch.einsum("bc,ckj->bkj", coefficients, rig.basis[: len(COEFFICIENTS)])
    line = closed[:, [n for pair in LIP_PAIRS for n in pair], 1].mean(1)
    if len(chosen) < 2:
        return torch.stack([line, line], 1)
    heights = []
    for points, above in zip(chosen.chunk(2), (-SHOWN, COVER), strict=True):
        weight = front_weight(rig.canonical[points])
        heights.append(line + above - (closed[:, points, 1] * weight).sum(1))
    return torch.stack(heights, 1)


def lips_shadow(distance: Tensor) -> Tensor:
    """Light on teeth by the signed distance in half-widths to the lips' inner outline, DEEP to 1."""
    return DEEP + (1 - DEEP) * smoothstep(distance, *SHADE)
