"""Camera and frame: a performer in a state becomes an image with everything that is true about it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from thgen.synth import facekit as fk
from thgen.synth.head import Performer, State
from thgen.synth.raster import correspondence, rasterize, shade, vertex_normals

SUPERSAMPLE = 2
VISIBLE_DEPTH = 0.35  # cm; a point this much behind the visible surface still counts as seen


@dataclass(frozen=True)
class Camera:
    """Perspective camera looking along -z. focal in image heights; distance in cm from the origin of the head;
    window (left, top, side) in units of the full image: the square that is rendered."""

    focal: float
    distance: float
    height: float
    window: tuple[float, float, float] = (0.0, 0.0, 1.0)

    def project(self, points: np.ndarray) -> np.ndarray:
        """World [N 3] -> x, y in [0, 1] of the window (y down) and depth in cm, [N 3] float32."""
        depth = self.distance - points[:, 2]
        x = 0.5 + self.focal * points[:, 0] / depth
        y = 0.5 - self.focal * (points[:, 1] - self.height) / depth
        left, top, side = self.window
        return np.stack([(x - left) / side, (y - top) / side, depth], 1).astype(np.float32)


@dataclass(frozen=True)
class Frame:
    """One rendered frame. image uint8 [S S 3]; points [V 3] in pixels of the super-sampled buffers and depth in cm;
    depth, face, weight: those buffers; openness [2] in %."""

    image: np.ndarray
    points: np.ndarray
    depth: np.ndarray
    face: np.ndarray
    weight: np.ndarray
    openness: np.ndarray
    state: State

    def segmentation(self, performer: Performer) -> np.ndarray:
        """Part of each pixel, uint8 [S S], classes of facekit.PART_NAMES."""
        parts = np.where(self.face >= 0, performer.part[self.face], fk.BACKGROUND).astype(np.uint8)
        return parts[::SUPERSAMPLE, ::SUPERSAMPLE]


def frame_window(performer: Performer, camera: Camera, state: State, scale: float, lift: float) -> Camera:
    """The camera narrowed to the crop framing: side = scale x the larger extent of the 68 landmarks, centre lifted by
    lift x side."""
    landmarks = performer.pose(state, performer.shape(state))[performer.mesh.landmarks]
    xy = camera.project(landmarks)[:, :2]
    low, high = xy.min(0), xy.max(0)
    side = float((high - low).max() * scale)
    centre = (low + high) / 2 - np.array([0, lift * side])
    left, top = centre - side / 2
    return Camera(camera.focal, camera.distance, camera.height, (float(left), float(top), side))


def render(performer: Performer, state: State, camera: Camera, size: int) -> Frame:
    """Render one square frame of `size` pixels; the same arguments give the same bytes."""
    buffer = size * SUPERSAMPLE
    head = performer.shape(state)
    world = performer.pose(state, head)
    points = camera.project(world)
    points[:, :2] *= buffer
    depth, face, weight = rasterize(points, performer.triangles, performer.two_sided, buffer, buffer)
    look = performer.look
    linear = cv2.resize(look.background, (buffer, buffer), interpolation=cv2.INTER_LINEAR)
    shade(
        linear, face, weight, performer.triangles, performer.triangle_uv, performer.textured,
        vertex_normals(world, performer.triangles), performer.colour, performer.gloss, look.texture,
        look.light.lights, look.light.tints, look.light.ambient,
    )  # fmt: skip
    small = cv2.resize(linear, (size, size), interpolation=cv2.INTER_AREA)
    image = (np.clip(small, 0, 1) ** (look.gamma / 1.6) * 255 + 0.5).astype(np.uint8)
    return Frame(image, points, depth, face, weight, performer.openness(head), state)


def flow_between(performer: Performer, target: Frame, source: Frame, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Backward flow at `size` x `size`: displacement in half-widths such that target(p) = source(p + flow(p)).

    Returns flow float32 [size size 2] (x, y; 0 on the background, which stands still) and visibility uint8: 1 where the
    source shows that point.
    """
    buffer = target.face.shape[0]
    step = buffer // size
    position, visible = correspondence(
        target.face, target.weight, performer.triangles, source.points, source.depth, VISIBLE_DEPTH, step
    )
    centre = np.arange(size, dtype=np.float32) * step + step // 2 + 0.5
    flow = position - np.stack(np.meshgrid(centre, centre), -1)
    empty = np.isnan(flow[..., 0])
    flow[empty] = 0
    at = np.arange(size) * step + step // 2
    visible[empty] = (source.face[np.ix_(at, at)] < 0)[empty]
    return flow / (buffer / 2), visible
