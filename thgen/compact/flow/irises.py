"""Irises that look elsewhere, drawn as layers of the photo: a disk that moves over the white of the eye.

The flow of keypoints moves the face with the photo's own gaze. These layers change the gaze, each eye by its own angle,
in the photo's coordinates; so they move with the head and the lids.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from thgen.compact.flow.patches import Box
from thgen.compact.keypoint_rig import EYE_RINGS
from thgen.nn.geometry import rotation_matrix
from thgen.nn.rows import Rows
from thgen.nn.sampling import smoothstep

TRAVEL = 1.95  # distance from the eyeball's centre to the disk of the iris, in radii of the iris
# Share of the disk's motion that its highlights make: the cornea mirrors the light from nearer to the eyeball's centre.
GLINT = 0.5
# Way of the iris, in its radii, on which what the layers do not explain of the photo fades.
FADE = (0.0, 0.5)
EDGE_ON = 0.35  # least width of a turned disk, relative to its height
SOFT_LIMIT = 0.5  # radii: the limits of the disk's place act over this much
BOX = (0.75, 0.5)  # widths of an eye: the eyeball is drawn this far around its centre


@dataclass(frozen=True)
class IrisLayers(Rows):
    """Patches of both eyes of a photo (0 = the subject's left), in which the corners lie in one row. Colours in [0, 1].

    matrix [B 2 2 3]: crop coordinates -> coordinates of the patch, -1 to 1.
    white [B 2 4 H W]: RGB of the eyeball without iris, and the light that the upper lid lets onto it, 0 to 1.
    disk [B 2 4 H W]: RGB of the iris in full light without highlights, and its cover.
    glint [B 2 3 H W]: what the highlights add to it. rest [B 2 3 H W]: what the layers do not explain of the photo.
    cover [B 2 1 H W]: where the eyeball is visible in the photo, 0 to 1. It is 0 everywhere in a closed eye.
    place [B 2 7]: px of the patch: centre of the disk, radius, and the range of the centre: left, right, top, bottom.
    axes [B 2 3 3]: axes of the head -> those of the patch (x right, y down, z to the viewer).
    gaze [B 2 2]: of the photo, degrees.
    """

    matrix: Tensor
    white: Tensor
    disk: Tensor
    glint: Tensor
    rest: Tensor
    cover: Tensor
    place: Tensor
    axes: Tensor
    gaze: Tensor


def squash(normal: Tensor) -> Tensor:
    """Matrix [B 2 2] that turns a circle into the outline of a disk that looks along `normal` [B 3]."""
    flat = normal[:, :2]
    along = flat / flat.norm(dim=1, keepdim=True).clamp_min(1e-6)
    narrow = 1 - normal[:, 2].clamp(EDGE_ON, 1)
    return torch.eye(2, device=normal.device) - narrow[:, None, None] * along[:, :, None] * along[:, None]


def looking(axes: Tensor, gaze: Tensor) -> Tensor:
    """Unit vectors [B 3], in the axes of a patch, along which eyes look. axes [B 3 3]; gaze [B 2] degrees."""
    return (axes @ rotation_matrix(F.pad(gaze, (0, 1))))[..., 2]


def moved_disk(place: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """Centre [B 2] px of a disk at `place` [B 7] whose eye turns from normal `before` to `after` [B 3].

    Where it would leave the opening of the lids, it comes to a soft stop.
    """
    centre, radius = place[:, :2], place[:, 2:3]
    way = TRAVEL * radius * (after - before)[:, :2]
    low, high = centre - place[:, 3:7:2], place[:, 4:7:2] - centre
    room = torch.where(way > 0, high, low).clamp_min(1e-3)
    free = (room - SOFT_LIMIT * radius).clamp_min(0)
    beyond = (way.abs() - free).clamp_min(0)
    return centre + way.sign() * (way.abs() - beyond + (room - free) * torch.tanh(beyond / (room - free)))


@dataclass(frozen=True)
class TurnedEyes:
    """Layers of a photo and how far its eyes turn in B frames.

    turn [B 2 2]: change of the gaze of each eye, degrees. target: keypoints [B K 3], which tell where the eyes are.
    flow [B 2 G G]: from target to photo without change of gaze, half-widths.
    """

    layers: IrisLayers
    turn: Tensor
    target: Tensor
    flow: Tensor

    def over(self, image: Tensor, window: tuple[slice, slice], size: int) -> Tensor:
        """The image [B 3 h w] in [-1, 1] with turned eyes. It is `window` (rows, columns) of a picture of size px."""
        turned = self.turn.abs().amax((0, 2)).tolist()
        for eye, ring in enumerate(EYE_RINGS):
            box = _box(self.target[:, [ring[0], ring[3]], :2], window, size)
            if turned[eye] == 0 or box.empty:
                continue
            part = image[(..., *box.inner)]
            image[(..., *box.inner)] = part + 2 * self._change(eye, box.shown(self.flow, size))
        return image

    def _change(self, eye: int, there: Tensor) -> Tensor:
        """Change of the colours [B 3 h w], in [0, 1], of one eye at places [B h w 2] of the photo."""
        layers = self.layers
        matrix, place, axes = layers.matrix[:, eye], layers.place[:, eye], layers.axes[:, eye]
        rows, columns = layers.cover.shape[-2:]
        pixels = torch.tensor([columns / 2, rows / 2], device=there.device)
        at = torch.einsum("bij,bhwj->bhwi", matrix[..., :2], there) + matrix[:, None, None, :, 2]

        def sample(maps: Tensor, where: Tensor) -> Tensor:
            return F.grid_sample(maps[:, eye], where, padding_mode="border", align_corners=False)

        before = looking(axes, layers.gaze[:, eye])
        after = looking(axes, layers.gaze[:, eye] + self.turn[:, eye])
        first, last = place[:, :2], moved_disk(place, before, after)
        away = (at + 1) * pixels - last[:, None, None]
        back = torch.einsum("bij,bhwj->bhwi", squash(before) @ torch.linalg.inv(squash(after)), away)
        on_disk = (first[:, None, None] + back) / pixels - 1
        on_glint = at - (GLINT * (last - first) / pixels)[:, None, None]
        white, disk = sample(layers.white, at), sample(layers.disk, on_disk)
        still, glint = sample(layers.disk, at), sample(layers.glint, at)
        new = compose_eye(white, disk, sample(layers.glint, on_glint))
        left = smoothstep((last - first).norm(dim=1) / place[:, 2], *FADE)[:, None, None, None]
        turned = (self.turn[:, eye].abs().amax(1) > 0)[:, None, None, None]
        return (
            turned
            * sample(layers.cover, at)
            * (new - compose_eye(white, still, glint) - left * sample(layers.rest, at))
        )


def compose_eye(white: Tensor, disk: Tensor, glint: Tensor) -> Tensor:
    """Colours [B 3 H W] in [0, 1] of an eyeball with its iris; see `IrisLayers`."""
    colour, cover = (disk[:, :3] + glint) * white[:, 3:], disk[:, 3:]
    return torch.lerp(white[:, :3], colour, cover)


def _box(corners: Tensor, window: tuple[slice, slice], size: int) -> Box:
    """The pixels around an eyeball with corners [B 2 2] in all frames."""
    along = (corners[:, 1] - corners[:, 0]).abs()
    reach = torch.stack([BOX[0] * along[:, 0] + BOX[1] * along[:, 1], BOX[0] * along[:, 1] + BOX[1] * along[:, 0]], 1)
    middle = corners.mean(1)
    return Box.around((middle - reach).amin(0), (middle + reach).amax(0), window, size)
