"""Lids that close, drawn as layers of the photo: skin above the moving margin, and the lash line that it carries.

The flow of keypoints draws the face with the photo's own lids. These layers then close each eye by its own share. They
are laid out in coordinates of the photo and drawn through the flow of the skin, so they move with the head and the
skin around the eyes. Below the moving margin the eye stays, and outside of the orbits everything does.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from thgen.compact.flow.patches import Box
from thgen.compact.keypoint_rig import EYE_RINGS
from thgen.nn.rows import Rows
from thgen.nn.sampling import smoothstep

BOX = (2.0, 1.5)  # width and height of an eye's patch, in widths of the eye
CORNERS = 0.6  # of the patch's height: the row of both corners
NEAR = 0.95  # widths of the wider eye: lids are drawn this far around the centre of an eye
LEAST = 1 / 255  # share of closing from which anything is drawn
BEGIN = 0.08  # share of closing from which the layers cover the photo fully
ANCHORED = 0.25  # of a lid's height: below its anchor it passes from the photo into the layer over this much
# The crease unfolds where skin is stretched: the share of it that is lost is this times (1 - 1 / stretch), at most 1.
UNFOLDED = 1.4
BEND, BEND_MOST = 0.5, 0.8  # how unevenly skin is stretched, see `_stretched`; the second keeps rows in order
LASHES_DOWN = 0.45  # share of their height that lashes above a margin lose on a closed lid, which turns them down
SEAM, SEAM_WIDTH = 0.22, 0.5  # darkness of the line between closed lids, and its half-width in widths of an edge
EDGE = 0.25  # scale of the sigmoid at the edge of a lid, in widths of an edge
GRAIN = 0.8  # share of the cheek's grain that is added where skin is stretched
LIT = 0.8  # place on a lid, from anchor to edge, from which the light is that of its edge


@dataclass(frozen=True)
class EyeLayers(Rows):
    """Patches of both eyes of a photo (0 = the subject's left), in which the corners lie in one row.

    matrix [B 2 2 3]: crop coordinates -> coordinates of the patch, -1 to 1.
    skin [B 2 6 H W]: RGB in [-1, 1] of the skin around the eye without single lashes, and the same without crease.
    lashes [B 2 5 H W]: RGB in [0, 1] premultiplied by cover, cover, and grain of skin in [-1, 1].
    front [B 2 1 H W]: how much hair or something worn lies before the lids, 0 to 1.
    curves [B 2 9 W]: rows, -1 to 1, of: the anchor, above which nothing moves; the lower end of the skin that is
    stretched; the upper margin; the same if closed; the lower end of a closed lid's skin. Then the weight of the
    layers, 0 to 1; and the RGB factor of the light on the edge of a closed lid.
    edge [B 2]: width of the photo's edges, in the patch's coordinates.
    """

    matrix: Tensor
    skin: Tensor
    lashes: Tensor
    front: Tensor
    curves: Tensor
    edge: Tensor


@dataclass(frozen=True)
class ClosingLids:
    """Layers of a photo, and how far they close its eyes in B frames.

    shut [B 2]: share of closing of each eye, 0 to 1. target: keypoints [B K 3], which tell where the eyes are.
    flow [B 2 G G]: from the target's skin to the photo's, half-widths.
    """

    layers: EyeLayers
    shut: Tensor
    target: Tensor
    flow: Tensor

    def over(self, image: Tensor, window: tuple[slice, slice], size: int) -> Tensor:
        """The image [B 3 h w] in [-1, 1] with closed lids. It is the `window` (rows, columns) of a picture of size px.

        Only the pixels of the orbits are computed. The image itself is changed.
        """
        closing = self.shut.amax(0).tolist()
        corners = torch.stack([self.target[:, [ring[0], ring[3]], :2] for ring in EYE_RINGS], 1)
        reach = NEAR * (corners[:, :, 1] - corners[:, :, 0]).norm(dim=2).amax(1, keepdim=True)
        for eye, centre in enumerate(corners.mean(2).unbind(1)):
            box = Box.around((centre - reach).amin(0), (centre + reach).amax(0), window, size)
            if closing[eye] < LEAST or box.empty:
                continue
            part, place = image[(..., *box.inner)], box.shown(self.flow, size)
            image[(..., *box.inner)] = _closed(self.layers, eye, self.shut[:, eye, None, None], place, part)
        return image


def _closed(layers: EyeLayers, eye: int, shut: Tensor, place: Tensor, image: Tensor) -> Tensor:
    """Pixels [B 3 h w] of one eye, closed by shut [B 1 1]. place [B h w 2]: where in the photo they are."""
    matrix, edge_width = layers.matrix[:, eye], layers.edge[:, eye, None, None]
    x, y = (torch.einsum("bij,bhwj->bhwi", matrix[..., :2], place) + matrix[:, None, None, :, 2]).unbind(-1)

    def sample(maps: Tensor, row: Tensor, beyond: str = "border") -> Tensor:
        return F.grid_sample(maps, torch.stack([x, row], -1), padding_mode=beyond, align_corners=False)

    curves = sample(layers.curves[:, eye, :, None], torch.zeros_like(x))
    anchor, end, margin, line, covered, weight = curves[:, :6].unbind(1)
    now, low = (margin + shut * (closed - margin) for closed in (line, covered))
    shown = (shut / BEGIN).clamp(0, 1) * weight
    free = (1 - sample(layers.front[:, eye], y)) * shown[:, None]

    part = ((y - anchor) / (now - anchor).clamp_min(1e-4)).clamp(0, 1)
    row, gained = _stretched(part, anchor, end, now)
    skin, flat = sample(layers.skin[:, eye], row).split(3, 1)
    above = y - now
    lash_row = margin + torch.where(above < 0, above / (1 - LASHES_DOWN * shut), above)
    lashes = sample(layers.lashes[:, eye], lash_row, "zeros")

    skin = torch.lerp(skin, flat, (UNFOLDED * gained).clamp_max(1)[:, None]) + GRAIN * gained[:, None] * lashes[:, 4:]
    light = 1 + (shut * smoothstep(part, 0, LIT))[:, None] * (curves[:, 6:] - 1)
    lid = torch.sigmoid((torch.maximum(now, low) - y) / (EDGE * edge_width)) * smoothstep(part, 0, ANCHORED)
    out = torch.lerp(image, (skin + 1) * light - 1, lid[:, None] * free)
    seam = torch.exp(-((above / (SEAM_WIDTH * edge_width)) ** 2)) * SEAM * shut
    out = (out + 1) * (1 - seam[:, None] * (2 * free - 1).clamp_min(0)) - 1
    colour = 2 * lashes[:, :3] / lashes[:, 3:4].clamp_min(1e-3) - 1
    return torch.lerp(out, colour, lashes[:, 3:4] * free)


def _stretched(part: Tensor, anchor: Tensor, end: Tensor, edge: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of the photo's skin, from `anchor` to `end`, that fill a lid from `anchor` to `edge`.

    part: place on the lid, 0 at the anchor, 1 at the edge. Near the anchor skin is stretched less, so that no bend
    shows there. Also returns the share of the lid that the stretching has gained, 0 to 1.
    """
    stretch = ((edge - anchor) / (end - anchor).clamp_min(1e-4)).clamp_min(1)
    bend = (BEND * (stretch - 1)).clamp_max(BEND_MOST)
    return anchor + (end - anchor) * (part + bend * part * (1 - part)), 1 - 1 / stretch
