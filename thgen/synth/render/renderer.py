"""Camera and frame: a performer in a state becomes an image with everything that is true about it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from thgen.synth.head import facekit as fk
from thgen.synth.head.model import Performer, State
from thgen.synth.render.light import Light
from thgen.synth.render.raster import correspondence, light_arrives, rasterize, shade, vertex_normals

SUPERSAMPLE = 2
SHOULDER = 0.6  # brighter than this a surface comes up to white slowly
SHADOW_MAP = 256  # pixels of the z-buffer as the light sees it
FAR_LIGHT = 500.0  # cm
SHADOW_BIAS = 0.4  # cm; a surface this near to the one that the light meets is lit
HOLES = ((fk.EYE_L, fk.EYE_R), (fk.MOUTH, fk.GUMS, fk.TEETH))  # what lies under lids and lips, and in their shadow
UNDER_LID = 0.011  # width of that shadow, in sides of the picture
IN_FOCUS, FAR = 9.0, 100.0  # cm behind the nearest point: up to where all is sharp; how far the background is
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
        parts = np.where(self.face >= 0, performer.region[self.face], fk.BACKGROUND).astype(np.uint8)
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
    linear = background(performer, buffer)
    shade(
        linear, face, weight, performer.triangles, performer.triangle_uv, performer.textured,
        vertex_normals(world, performer.triangles), performer.colour, performer.gloss, look.texture,
        look.light.lights, look.light.tints, look.light.ambient, _lit(performer, world, face, weight),
    )  # fmt: skip
    image = expose(performer, linear, face, depth, size)
    return Frame(image, points, depth, face, weight, performer.openness(head), state)


def background(performer: Performer, buffer: int) -> np.ndarray:
    """Linear colours [buffer buffer 3] behind the performer."""
    return cv2.resize(performer.look.background, (buffer, buffer), interpolation=cv2.INTER_LINEAR)


def expose(performer: Performer, linear: np.ndarray, face: np.ndarray, depth: np.ndarray, size: int) -> np.ndarray:
    """Super-sampled linear colours [S S 3] and depth in cm [S S] -> picture uint8 [size size 3]; `linear` is
    overwritten."""
    look = performer.look
    _darken_holes(linear, np.where(face >= 0, performer.part[face], fk.BACKGROUND), look.light.contact)
    small = cv2.resize(linear, (size, size), interpolation=cv2.INTER_AREA)
    if look.aperture:
        small = _defocus(small, depth[::SUPERSAMPLE, ::SUPERSAMPLE], look.aperture)
    bright = np.maximum(small - SHOULDER, 0)
    small = np.minimum(small, SHOULDER) + (1 - SHOULDER) * (1 - np.exp(-bright / (1 - SHOULDER)))  # as film does
    return (np.clip(small, 0, 1) ** (look.gamma / 1.6) * 255 + 0.5).astype(np.uint8)


def _defocus(image: np.ndarray, depth: np.ndarray, aperture: float) -> np.ndarray:
    """Blur what lies behind the face. image [S S 3], depth [S S] cm; aperture: sides of the picture per metre."""
    behind = np.clip(depth - depth.min() - IN_FOCUS, 0, FAR) / 100
    radius = (aperture * len(image) * behind).astype(np.float32)
    largest = radius.max()
    if largest < 0.3:
        return image
    # A blurred surface must not take the colours of a sharp one before it: those pixels have little weight.
    weight = cv2.GaussianBlur(radius / largest + 1e-3, (0, 0), 1)[..., None]
    for sigma in (largest / 3, largest):
        blurred = cv2.GaussianBlur(image * weight, (0, 0), sigma)
        blurred /= cv2.GaussianBlur(weight, (0, 0), sigma)[..., None]
        mix = np.clip(radius / sigma - 0.5, 0, 1)[..., None]
        image = image + mix * (blurred - image)
    return image


def light_view(performer: Performer, world: np.ndarray) -> np.ndarray:
    """Vertices [V 3] as the first light sees them: pixels of its map, and depth in cm, which is positive."""
    axis = performer.look.light.lights[0]
    right = np.cross([0.0, 1.0, 0.0], axis)
    right /= np.linalg.norm(right) + 1e-6
    seen = world @ np.stack([right, -np.cross(axis, right), -axis]).astype(np.float32).T  # y down, as in the picture
    head = seen[: performer.count, :2]
    low, high = head.min(0) - 4, head.max(0) + 4  # cm; hair and brims stand off
    seen[:, :2] = (seen[:, :2] - low) / (high - low) * SHADOW_MAP
    seen[:, 2] += FAR_LIGHT
    return seen


def soften(light: Light, arrives: np.ndarray) -> np.ndarray:
    """How much of the light is left [S S] where it `arrives` (1) or not (0): shadows have soft edges and some light."""
    width = 2 * int(light.blur * len(arrives) / 2000) + 3
    return 1 - light.cast * (1 - cv2.blur(arrives, (width, width)))


def _lit(performer: Performer, world: np.ndarray, face: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """How much of the first light arrives [S S]: less where head, hair or hat stand in its way."""
    light: Light = performer.look.light
    if not light.cast:
        return np.ones(face.shape, np.float32)
    seen = light_view(performer, world)
    depth, _, _ = rasterize(seen, performer.triangles, performer.two_sided, SHADOW_MAP, SHADOW_MAP)
    return soften(light, light_arrives(face, weight, performer.triangles, seen, depth, SHADOW_BIAS))


def _darken_holes(image: np.ndarray, part: np.ndarray, strength: float) -> None:
    """Shade eyeballs and the inside of the mouth under the edge of lids and lips, in place. image [H W 3]."""
    width = max(3, round(UNDER_LID * len(image)))
    for labels in HOLES:
        inside = np.isin(part, labels)
        rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        if not len(rows):
            continue
        top, left = max(0, rows[0] - 2 * width), max(0, columns[0] - width)
        window = np.s_[top : rows[-1] + width, left : columns[-1] + width]
        cover = (~inside[window]).astype(np.float32)
        above = cv2.blur(cover, (width, 2 * width), anchor=(width // 2, 2 * width - 1))
        image[window] *= (1 - strength * above * (1 - cover))[..., None]


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
