"""Two rows of teeth drawn by code, for photos that show no teeth.

Teeth that a network paints are an average of many people and look blurred. The sizes of the crowns are about those of
adults, in cm along the arch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thgen.compact.flow.teeth import ARC, HEIGHT, TEETH_LAYER, WIDTH, arch_coordinates
from thgen.compact.keypoint_rig import LIP_PAIRS, KeypointRig, Posed
from thgen.nn.geometry import to_head_axes
from thgen.nn.sampling import grid, smoothstep
from thgen.schema import COEFFICIENTS

# cm, for the upper row and the lower row, one value per tooth from the middle to the side.
CROWN_WIDTHS = ((0.85, 0.65, 0.76, 0.71, 0.68, 1.0, 0.95), (0.53, 0.58, 0.69, 0.7, 0.71, 1.1, 1.05))
CROWN_HEIGHTS = ((1.05, 0.9, 1.0, 0.85, 0.8, 0.75, 0.7), (0.9, 0.92, 1.05, 0.88, 0.82, 0.75, 0.7))
# Distance of a tooth's edge from the edge of the middle teeth, towards the gum.
EDGE_OFFSETS = ((0.0, 0.06, 0.01, 0.07, 0.1, 0.12, 0.15), (0.0, 0.0, 0.0, 0.03, 0.06, 0.1, 0.12))
CORNER = 0.05  # cm: rounding of a tooth's edge at its corners
PAPILLA = 0.22  # cm: the gum reaches this much further between two teeth
CREVICE = 0.07  # dark line between two teeth: its width on each tooth, as a share of half the tooth's width
ENAMEL, GUM = (1.0, 0.97, 0.91), (0.70, 0.42, 0.40)  # RGB under white light
SIDE_LOSS = 0.45  # loss of light 2.6 cm from the middle, where the cheek shades the teeth
LOWER_LIGHT = 0.8  # light on the lower row, relative to the upper one
GUM_HEIGHT = 0.35  # cm: height of the gum that is drawn
UPPER_SHOWN = 0.5  # cm: the edge of the upper row is this far below the line of closed lips
LOWER_RISE = 0.12  # cm: the edge of the lower row is this far above that line
FRONT = 0.8  # cm: a keypoint this much further back than the foremost one has 1/e of its weight
SHADOW = (0.0, 0.05)  # half-widths: distance from the lips over which their shadow on the teeth ends
SHADOW_LIGHT = 0.75  # light on teeth right behind a lip
PARTING_RANGE = (0.02, 0.15)  # cm: teeth fade in while the lip gap grows by this much beyond the gap in the photo
ROWS, COLUMNS = 96, 256  # px: size of the image of a row
OVERSAMPLING = 4  # the image is drawn this much larger and then averaged


def arch_length(x: Tensor) -> Tensor:
    """Arc length of the parabola z = -ARC x^2 from its middle to x, any shape, in cm.

    >>> round(arch_length(torch.tensor(2.0)).item(), 2)
    2.7
    """
    t = 2 * ARC * x
    return (t * (1 + t * t).sqrt() + torch.asinh(t)) / (4 * ARC)


def draw_rows() -> Tensor:
    """Images of the upper and the lower row from the front, [2 4 ROWS COLUMNS]: RGB premultiplied by alpha, and alpha.

    All values lie in [0, 1]; the light is white. The image reaches WIDTH to either side, and HEIGHT up and down. Its
    middle is the edge of the middle teeth.
    """
    x = grid(OVERSAMPLING * COLUMNS, torch.device("cpu"))[None] * WIDTH
    y = -grid(OVERSAMPLING * ROWS, torch.device("cpu"))[:, None] * HEIGHT
    return torch.stack([_draw_row(x, y if row == 0 else -y, row) for row in range(2)])


def _draw_row(x: Tensor, y: Tensor, row: int) -> Tensor:
    """x [1 W] and y [H 1] in cm, y positive towards the gum -> [4 ROWS COLUMNS]."""
    ends = torch.tensor(CROWN_WIDTHS[row]).cumsum(0)
    along = arch_length(x.abs())
    tooth = torch.bucketize(along, ends).clamp_max(len(ends) - 1)
    width, end = torch.tensor(CROWN_WIDTHS[row])[tooth], ends[tooth]
    across = (2 * (along - end) / width + 1).abs()  # 0 in the middle of a tooth, 1 between two teeth
    edge = torch.tensor(EDGE_OFFSETS[row])[tooth] + CORNER * across**4
    neck = torch.tensor(CROWN_HEIGHTS[row])[tooth] - PAPILLA * across**2
    pixel = 2 * HEIGHT / (OVERSAMPLING * ROWS)
    crown = smoothstep(y - edge, -pixel, pixel)
    gum = smoothstep(y - neck, -0.03, 0.03)
    cover = crown * (1 - smoothstep(y - neck, GUM_HEIGHT, GUM_HEIGHT + 0.15)) * (along < ends[-1])
    light = (1 - SIDE_LOSS * (x / 2.6) ** 2).clamp_min(0.2) * (1.0 if row == 0 else LOWER_LIGHT)
    between = 1 - 0.35 * smoothstep(across, 1 - CREVICE, 1.0) - 0.1 * across**3
    tip = 1 - 0.12 * torch.exp(-(((y - edge) / 0.08) ** 2))  # edges are translucent and look darker
    enamel = torch.tensor(ENAMEL)[:, None, None] * (between * tip)
    colour = torch.lerp(enamel, torch.tensor(GUM)[:, None, None].expand_as(enamel), gum) * light
    whole = torch.cat([colour * cover, cover[None]])
    return F.avg_pool2d(whole[None], OVERSAMPLING)[0]


@dataclass(frozen=True)
class Bite:
    """How the drawn teeth of a photo look.

    light [B 3 1 1]: colour of the light on them, in [0, 1].
    lift [B 2]: cm by which the edges of the upper and the lower row lie above the position that their keypoints give.
    hidden [B]: 1 if the photo shows no teeth, 0 if it shows them.
    gap [B]: cm between the lips in the photo.
    """

    light: Tensor
    lift: Tensor
    hidden: Tensor
    gap: Tensor

    def expand(self, count: int) -> Bite:
        """The same bite for `count` frames."""
        light, lift = self.light.expand(count, -1, -1, -1), self.lift.expand(count, -1)
        return Bite(light, lift, self.hidden.expand(count), self.gap.expand(count))

    def share(self, gap: Tensor) -> Tensor:
        """Opacity of the drawn teeth, [B] in [0, 1], in frames with a lip gap of `gap` [B] cm.

        It is 0 unless the lips part further than in the photo, so that a photo at rest does not change.
        """
        return self.hidden * smoothstep(gap - self.gap, *PARTING_RANGE)


class Dentition(nn.Module):
    """Places the drawn rows in an open mouth."""

    picture: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("picture", draw_rows(), persistent=False)

    def forward(self, rig: KeypointRig, target: Tensor, lift: Tensor, pixels: Tensor) -> Tensor:
        """Both rows in the pose of the target, [B 4 h w]: RGB under white light premultiplied by alpha, and alpha.

        target: keypoints [B K 3]. lift [B 2] in cm: see Bite. pixels [h w 2] in crop coordinates. The upper row covers
        the lower one.
        """
        out = target.new_zeros(len(target), 4, *pixels.shape[:2])
        chosen = (rig.layer == TEETH_LAYER).nonzero()[:, 0]
        if len(chosen) < 2:  # a head without teeth
            return out
        posed = rig.unpose(target)
        places = pixels * pixels.new_tensor([1.0, -1.0])
        for row, points in reversed(list(enumerate(chosen.chunk(2)))):
            keypoints, canonical = to_head_axes(target[:, points].float()), rig.canonical[points]
            place = arch_coordinates(canonical, keypoints, posed, places, front_weight(canonical))
            place[:, 1] += lift[:, row, None, None] / HEIGHT
            picture = self.picture[row].expand(len(target), -1, -1, -1)
            over = F.grid_sample(picture, place.movedim(1, 3), padding_mode="zeros", align_corners=False)
            out = over + out * (1 - over[:, 3:])
        return out


def front_weight(canonical: Tensor) -> Tensor:
    """Weight [n], of sum 1, of each keypoint [n 3] in the position of a row: keypoints at the front count most."""
    return (canonical[:, 2] / FRONT).softmax(0)


def bite_lift(rig: KeypointRig, posed: Posed, coefficients: Tensor) -> Tensor:
    """Bite.lift of photos, [B 2] in cm. coefficients [B 57] of the photo.

    The line where the closed lips meet gives the height of the teeth: the photo shows the lips and hides the teeth.
    """
    chosen = (rig.layer == TEETH_LAYER).nonzero()[:, 0]
    closed = posed.shape - torch.einsum("bc,ckj->bkj", coefficients, rig.basis[: len(COEFFICIENTS)])
    line = closed[:, [n for pair in LIP_PAIRS for n in pair], 1].mean(1)
    if len(chosen) < 2:
        return torch.stack([line, line], 1)
    heights = []
    for points, above in zip(chosen.chunk(2), (-UPPER_SHOWN, LOWER_RISE), strict=True):
        weight = front_weight(rig.canonical[points])
        heights.append(line + above - (closed[:, points, 1] * weight).sum(1))
    return torch.stack(heights, 1)


def lips_shadow(distance: Tensor) -> Tensor:
    """Light on teeth, SHADOW_LIGHT to 1, from the signed distance to the inner outline of the lips in half-widths."""
    return SHADOW_LIGHT + (1 - SHADOW_LIGHT) * smoothstep(distance, *SHADOW)
