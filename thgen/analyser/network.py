"""The face analyser: a small network that estimates keypoints, pose, gaze, lids and coefficients of a face crop."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thgen.nn.rows import Rows
from thgen.schema import COEFFICIENTS, SEGMENTS

INPUT_SIZE = 128  # side of the input, px
# Framing of the input around the box of the 68 landmarks: side per longer edge, and upward shift per side. It shows the
# face and little background.
FRAME_SCALE, FRAME_LIFT = 1.6, 0.06
# Degrees, degrees and % per unit of the network's outputs, so that the outputs are near 1.
POSE_SCALE, GAZE_SCALE, OPENNESS_SCALE = 20.0, 10.0, 50.0


@dataclass(frozen=True)
class Analysis(Rows):
    """Estimates for a batch of crops, one row per crop. Units and signs as in thgen.schema.

    keypoints [B K 3] in coordinates of the crop, pose [B 3] degrees, gaze [B 2 2] degrees (left, right eye; relative to
    the head), openness [B 2] % (left, right), coefficients [B 57], face [B] logit of "a face in the right framing",
    rough [B K 3] keypoints before the refinement by patches.
    """

    keypoints: Tensor
    pose: Tensor
    gaze: Tensor
    openness: Tensor
    coefficients: Tensor
    face: Tensor
    rough: Tensor


class ResidualDown(nn.Module):
    """Stride-2 residual block: two 3x3 convolutions with group norm; the shortcut has average pooling and a 1x1 one."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, 2, 1), nn.GroupNorm(8, outputs), nn.SiLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1), nn.GroupNorm(8, outputs),
        )  # fmt: skip
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(inputs, outputs, 1))
        self.act = nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        """[B C H W] -> [B C' H/2 W/2]."""
        return self.act(self.body(x) + self.shortcut(x))


class PatchHead(nn.Module):
    """Refines the points of one facial feature in a patch of the crop, and encodes the patch.

    points: number of points; size: rows and columns of the patch, px.
    """

    def __init__(self, points: int, size: tuple[int, int], channels: tuple[int, ...] = (24, 48, 96), code: int = 96):
        super().__init__()
        self.size, self.points = size, points
        layers: list[nn.Module] = [nn.Conv2d(3, channels[0], 3, 1, 1), nn.SiLU()]
        for a, b in pairwise(channels):
            layers += [nn.Conv2d(a, b, 3, 2, 1), nn.GroupNorm(8, b), nn.SiLU()]
        layers += [nn.Conv2d(channels[-1], channels[-1], 3, 2, 1), nn.GroupNorm(8, channels[-1]), nn.SiLU()]
        self.trunk = nn.Sequential(*layers)
        area = -(-size[0] // 8) * -(-size[1] // 8)
        self.code = nn.Sequential(nn.Flatten(), nn.Linear(channels[-1] * area, code), nn.SiLU())
        self.to_points = nn.Linear(code, points * 2)

    def forward(self, x: Tensor, centre: Tensor, half: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
        """x [B 3 128 128] -> points [B n 2] in the coordinates of x, and the code [B D].

        centre [B 2], half [B], angle [B]: the patch's centre, half-width and rotation (radians, clockwise) in x.
        """
        rows, columns = self.size
        cos, sin = half * angle.cos(), half * angle.sin()
        tall = rows / columns
        matrix = torch.stack(
            [torch.stack([cos, -sin * tall, centre[:, 0]], 1), torch.stack([sin, cos * tall, centre[:, 1]], 1)], 1
        )
        grid = F.affine_grid(matrix, [len(x), 3, rows, columns], align_corners=False)
        patch = F.grid_sample(x, grid.to(x.dtype), padding_mode="border", align_corners=False)
        code = self.code(self.trunk(patch))
        local = self.to_points(code).float().view(-1, self.points, 2)
        turn = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
        return local @ turn.mT + centre[:, None], code


class Segmenter(nn.Module):
    """Feature maps of the analyser, finest first -> logits of schema.SEGMENTS, by a feature pyramid (Lin et al. 2017).

    inputs: channels of the maps; width: channels of the pyramid.
    """

    def __init__(self, inputs: tuple[int, ...], width: int = 32):
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in inputs)
        self.smooth = nn.ModuleList(
            nn.Sequential(nn.GroupNorm(8, width), nn.SiLU(), nn.Conv2d(width, width, 3, 1, 1)) for _ in inputs
        )
        self.out = nn.Sequential(nn.GroupNorm(8, width), nn.SiLU(), nn.Conv2d(width, len(SEGMENTS), 3, 1, 1))

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Logits [B P H W] at the size of the finest map."""
        x = torch.zeros_like(self.lateral[-1](maps[-1]))
        for map_, lateral, smooth in reversed(list(zip(maps, self.lateral, self.smooth, strict=True))):
            x = F.interpolate(x, size=map_.shape[-2:], mode="bilinear", align_corners=False) + lateral(map_)
            x = x + smooth(x)
        return self.out(x)


class Analyser(nn.Module):
    """[B 3 128 128] in [-1, 1] -> Analysis. One pass over the whole crop, then one over patches of eyes and mouth.

    keypoints: K; eye_points: keypoint numbers that the patches of the left and the right eye refine; mouth_points:
    likewise for the mouth; channels: widths after each halving, from 64x64 to 4x4; hidden: width of the code; segments:
    width of the segmentation's pyramid.
    """

    def __init__(
        self, keypoints: int, eye_points: list[list[int]], mouth_points: list[int],
        channels: tuple[int, ...] = (32, 56, 96, 160, 256), hidden: int = 512, segments: int = 32,
    ):  # fmt: skip
        super().__init__()
        self.count, self.eye_points, self.mouth_points = keypoints, eye_points, mouth_points
        self.config = {
            "class": "analyser", "keypoints": keypoints, "eye_points": eye_points, "mouth_points": mouth_points,
            "channels": list(channels), "hidden": hidden, "segments": segments,
        }  # fmt: skip
        self.stem = nn.Sequential(nn.Conv2d(3, channels[0], 5, 2, 2), nn.SiLU())
        self.blocks = nn.ModuleList(ResidualDown(a, b) for a, b in pairwise(channels))
        side = INPUT_SIZE // 2 ** len(channels)
        self.neck = nn.Sequential(nn.Flatten(), nn.Linear(channels[-1] * side * side, hidden), nn.SiLU())
        self.to_keypoints = nn.Linear(hidden, keypoints * 3)
        self.eyes = nn.ModuleList(PatchHead(len(points), (32, 48)) for points in eye_points)
        self.mouth = PatchHead(len(mouth_points), (40, 56))
        self.to_face = nn.Linear(hidden, 1)
        self.segmenter = Segmenter(channels, segments)
        self.to_factors = nn.Sequential(
            nn.Linear(hidden + 3 * 96, 320), nn.SiLU(), nn.Linear(320, 3 + 4 + 2 + len(COEFFICIENTS))
        )

    def features(self, x: Tensor) -> list[Tensor]:
        """Feature maps from 64x64 down to 4x4. The perceptual loss compares them too."""
        maps = [self.stem(x)]
        for block in self.blocks:
            maps.append(block(maps[-1]))
        return maps

    def segment(self, x: Tensor) -> Tensor:
        """Crops [B 3 128 128] in the framing of a photo's crop or tighter -> logits [B P 64 64] of schema.SEGMENTS."""
        logits: Tensor = self.segmenter(self.features(x))
        return logits.float()

    def _refined(self, x: Tensor, rough: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Keypoints [B K 3] whose eyes and mouth are refined by patches, and the codes of these patches."""
        landmarks = rough.detach()[:, :68, :2]
        extent = (landmarks.amax(1) - landmarks.amin(1)).amax(1)
        across = landmarks[:, 42:48].mean(1) - landmarks[:, 36:42].mean(1)
        angle = torch.atan2(across[:, 1], across[:, 0])
        out, codes = rough.clone(), []
        patches = (
            (self.eyes[0], self.eye_points[0], slice(42, 48), 0.19),
            (self.eyes[1], self.eye_points[1], slice(36, 42), 0.19),
            (self.mouth, self.mouth_points, slice(48, 68), 0.33),
        )
        for patch, points, around, reach in patches:
            placed, code = patch(x, landmarks[:, around].mean(1), reach * extent, angle)
            out[:, points, :2] = placed.to(out.dtype)
            codes.append(code)
        return out, codes

    def forward(self, x: Tensor) -> Analysis:
        code = self.neck(self.features(x)[-1])
        rough = self.to_keypoints(code).float().view(-1, self.count, 3)
        keypoints, codes = self._refined(x, rough)
        factors = self.to_factors(torch.cat([code, *codes], 1))
        pose, gaze, openness, coefficients = factors.split((3, 4, 2, len(COEFFICIENTS)), 1)
        return Analysis(
            keypoints, pose * POSE_SCALE, gaze.view(-1, 2, 2) * GAZE_SCALE, openness * OPENNESS_SCALE + 100,
            coefficients, self.to_face(code)[:, 0], rough,
        )  # fmt: skip


def to_input(images: Tensor) -> Tensor:
    """uint8 RGB [B H W 3] -> [B 3 H W] in [-1, 1]."""
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1


def framing(keypoints: Tensor) -> Tensor:
    """The analyser's square [B 3] (x, y, half-side) around the landmarks of keypoints [B K 3], in their coordinates."""
    xy = keypoints[:, :68, :2]
    low, high = xy.amin(1), xy.amax(1)
    half = (high - low).amax(1) * FRAME_SCALE / 2
    centre = (low + high) / 2
    return torch.stack([centre[:, 0], centre[:, 1] - 2 * FRAME_LIFT * half, half], 1)


def analyse_squares(analyser: Analyser, image: Tensor, square: Tensor) -> tuple[Analysis, Tensor]:
    """Analyse one square of each picture. image [B 3 S S] in [-1, 1]; square [B 3]: x, y, half-side.

    Returns the analysis, whose keypoints are in coordinates of the square, and the keypoints [B K 3] in coordinates of
    the picture.
    """
    x, y, half = square.unbind(1)
    zero = torch.zeros_like(x)
    matrix = torch.stack([torch.stack([half, zero, x], 1), torch.stack([zero, half, y], 1)], 1)
    fine = 2 * INPUT_SIZE  # oversampled and averaged against aliasing
    places = F.affine_grid(matrix, [len(image), 3, fine, fine], align_corners=False)
    view = F.avg_pool2d(F.grid_sample(image, places, padding_mode="border", align_corners=False), 2)
    analysis = analyser(view)
    keypoints = analysis.keypoints * half[:, None, None]
    keypoints = torch.cat([keypoints[..., :2] + square[:, None, :2], keypoints[..., 2:]], -1)
    return analysis, keypoints
