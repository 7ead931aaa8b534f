"""From the photo's keypoints and a change of factors to target keypoints: pose out, linear rig, pose in.

The rig is linear in the coefficients (basis of the layout, refined by training), so every control has its unit.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from thgen.networks.geometry import fit_similarity, rotation_matrix, to_head_axes
from thgen.schema import COEFFICIENT_INDEX, COEFFICIENTS

EYE_LAYERS = (1, 2)  # left, right eyeball of the subject; 0 is skin, 3 the inside of the mouth


@dataclass(frozen=True)
class Posed:
    """Keypoints taken out of their pose. shape [B K 3] cm in head axes; scale [B], rotation [B 3 3], shift [B 3]."""

    shape: Tensor
    scale: Tensor
    rotation: Tensor
    shift: Tensor


class KeypointRig(nn.Module):
    """Buffers describe the layout (see synth.keypoints.KeypointLayout); no parameter depends on the image size.

    canonical [K 3], basis [57 K 3], follow [K], rigid [K], layer [K], pivot [3]; loops: keypoint numbers around the
    left eye, right eye and inner lips.
    """

    canonical: Tensor
    basis: Tensor
    follow: Tensor
    rigid: Tensor
    layer: Tensor
    pivot: Tensor
    gaze_basis: Tensor
    eye_loops: Tensor
    mouth_loop: Tensor

    def __init__(self, keypoints: int, eye_loop: int, mouth_loop: int):
        super().__init__()
        self.register_buffer("canonical", torch.zeros(keypoints, 3))
        self.register_buffer("basis", torch.zeros(len(COEFFICIENTS), keypoints, 3))
        self.register_buffer("follow", torch.ones(keypoints))
        self.register_buffer("rigid", torch.ones(keypoints))
        self.register_buffer("layer", torch.zeros(keypoints))
        self.register_buffer("pivot", torch.zeros(3))
        self.register_buffer("gaze_basis", torch.zeros(2, keypoints, 3))  # cm per degree of yaw, of pitch
        self.register_buffer("eye_loops", torch.zeros(2, eye_loop))
        self.register_buffer("mouth_loop", torch.zeros(mouth_loop))

    def unpose(self, keypoints: Tensor, rotation: Tensor | None = None) -> Posed:
        """Fit the canonical head to keypoints [B K 3] (crop coordinates) and take pose and scale out of them."""
        points = to_head_axes(keypoints)
        canonical = self.canonical[None].expand_as(points)
        scale, fitted, shift = fit_similarity(canonical, points, self.rigid)
        rotation = fitted if rotation is None else rotation
        shape = torch.einsum("bij,bki->bkj", rotation, points - shift[:, None]) / scale[:, None, None]
        return Posed(shape, scale, rotation, shift)

    def move(self, source: Posed, change: Tensor, gaze: Tensor) -> Tensor:
        """Shape [B K 3] after a change of coefficients [B 57] and of gaze [B 2 2] (left, right; yaw, pitch; degrees).

        A blink of weight 1 closes the canonical eye: scale it by `lid_scale` to close this person's own.
        """
        shape = source.shape + torch.einsum("bc,ckj->bkj", change, self.basis)
        for side, layer in enumerate(EYE_LAYERS):
            on_ball = (self.layer == layer).float()[None, :, None]
            turn = torch.einsum("ba,akj->bkj", gaze[:, side], self.gaze_basis)
            shape = shape + on_ball * turn
        return shape

    def lid_scale(self, source: Posed) -> Tensor:
        """Height of this person's eye openings [B 2] (left, right), relative to the canonical open eye."""
        heights = [self._height(s, side) for side in range(2) for s in (source.shape, self.canonical[None])]
        ratios = [heights[2 * side] / heights[2 * side + 1] for side in range(2)]
        return torch.stack(ratios, 1).clamp(0.1, 2.0)

    def _height(self, shape: Tensor, side: int) -> Tensor:
        loop = shape[:, self.eye_loops[side].long(), 1]
        return loop.amax(1) - loop.amin(1)

    def loops(self) -> list[tuple[Tensor, Tensor]]:
        """The openings (left eye, right eye, mouth): keypoint numbers in order, and the sign of the area that they
        enclose in the image when open. A loop turned inside out (lids pressed together) encloses nothing."""
        # The canonical mouth is shut, so its sense is read with the jaw down.
        points = self.canonical + 0.5 * self.basis[COEFFICIENT_INDEX["jawOpen"]]
        out = []
        for loop in (*self.eye_loops.long(), self.mouth_loop.long()):
            x, y = points[loop, 0], -points[loop, 1]
            out.append((loop, (x * y.roll(-1) - x.roll(-1) * y).sum().sign()))
        return out

    def repose(self, shape: Tensor, source: Posed, turn: Tensor, shift: Tensor) -> Tensor:
        """Shape -> keypoints in crop coordinates, with the head turned by `turn` [B 3] degrees (about the axes of the
        image, after the photo's own pose) and moved by shift [B 3] (x right, y down in half-widths; z: change of log
        scale). The neck bends; the shoulders stay."""
        own = torch.einsum("bij,bkj->bki", source.rotation, shape - self.pivot)
        turned = torch.einsum("bij,bkj->bki", rotation_matrix(turn), own) * shift[:, 2].exp()[:, None, None]
        follow = self.follow[None, :, None]
        moved = own + follow * (turned - own)
        base = torch.einsum("bij,j->bi", source.rotation, self.pivot)
        points = source.scale[:, None, None] * (moved + base[:, None]) + source.shift[:, None]
        flat = torch.cat([shift[:, :2], torch.zeros_like(shift[:, :1])], 1)
        return to_head_axes(points) + follow * flat[:, None]

    def targets(self, source: Posed, change: Tensor, gaze: Tensor, turn: Tensor, shift: Tensor) -> Tensor:
        """Target keypoints [B K 3]; see `move` and `repose`. No change at all gives the source keypoints back."""
        return self.repose(self.move(source, change, gaze), source, turn, shift)
