"""Renderer for the CPU: camera, frames with ground truth, and flow between frames."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from thgen.synth.head import facekit as fk
from thgen.synth.head.performer import Performer, State
from thgen.synth.render.light import Light
from thgen.synth.render.raster import correspondence, lit_mask, rasterize, shade, vertex_normals

SUPERSAMPLE = 2  # pixels of the buffers per pixel of the image, along one axis
SHOULDER = 0.6  # linear value above which highlights are compressed
SHADOW_MAP = 256  # px: side of the z-buffer of the first light
FAR_LIGHT = 500.0  # cm: distance of the light, which keeps depths positive
SHADOW_BIAS = 0.4  # cm: a surface this close behind the nearest one is still lit
HOLES = ((fk.EYE_L, fk.EYE_R), (fk.MOUTH, fk.GUMS, fk.TEETH))  # parts in the shadow of lids, and of lips
UNDER_LID = 0.011  # width of that shadow, as a share of the image's side
IN_FOCUS, FAR = 9.0, 100.0  # cm behind the nearest point: end of the sharp range, and distance of the background
VISIBLE_DEPTH = 0.35  # cm: a point this close behind the visible surface counts as visible
# cm: eyeballs are drawn this much farther away. Lids move along straight lines, so halfway they lie inside the ball.
BEHIND_LIDS = 0.3


@dataclass(frozen=True)
class Camera:
    """Perspective camera that looks along -z.

    focal: focal length in image heights. distance: from the origin of the head, in cm. height: of the camera, in cm.
    window: (left, top, side) of the rendered square, in units of the full image.
    """

    focal: float
    distance: float
    height: float
    window: tuple[float, float, float] = (0.0, 0.0, 1.0)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Points [N 3] in cm -> x, y in the window (0 to 1, y down) and depth in cm, float32 [N 3]."""
        depth = self.distance - points[:, 2]
        x = 0.5 + self.focal * points[:, 0] / depth
        y = 0.5 - self.focal * (points[:, 1] - self.height) / depth
        left, top, side = self.window
        return np.stack([(x - left) / side, (y - top) / side, depth], 1).astype(np.float32)


@dataclass(frozen=True)
class Frame:
    """One rendered frame.

    image uint8 RGB [S S 3]. depth (cm), face, weight: buffers of `rasterize`, with side S x SUPERSAMPLE. points [V 3]:
    all vertices in pixels of these buffers, and depth in cm. openness [2]: eye openness in %.
    """

    image: np.ndarray
    points: np.ndarray
    depth: np.ndarray
    face: np.ndarray
    weight: np.ndarray
    openness: np.ndarray
    state: State

    def segmentation(self, performer: Performer) -> np.ndarray:
        """Class of each pixel, uint8 [S S], see facekit.PART_NAMES."""
        parts = np.where(self.face >= 0, performer.region[self.face], fk.BACKGROUND).astype(np.uint8)
        return parts[::SUPERSAMPLE, ::SUPERSAMPLE]


def frame_window(performer: Performer, camera: Camera, state: State, scale: float, lift: float) -> Camera:
    """The camera with the window of a face crop.

    The side is `scale` times the larger extent of the 68 landmarks. The centre lies `lift` sides above theirs.
    """
    landmarks = performer.pose(state, performer.shape(state))[performer.mesh.landmarks]
    xy = camera.project(landmarks)[:, :2]
    low, high = xy.min(0), xy.max(0)
    side = float((high - low).max() * scale)
    centre = (low + high) / 2 - np.array([0, lift * side])
    left, top = centre - side / 2
    return Camera(camera.focal, camera.distance, camera.height, (float(left), float(top), side))


def render(performer: Performer, state: State, camera: Camera, size: int) -> Frame:
    """Render one square frame with a side of `size` px. The same arguments give the same bytes."""
    buffer = size * SUPERSAMPLE
    head = performer.shape(state)
    world = performer.pose(state, head)
    points = camera.project(world)
    points[:, :2] *= buffer
    depth, face, weight = rasterize(
        behind_lids(performer, points), performer.triangles, performer.two_sided, buffer, buffer
    )
    look = performer.look
    linear = background(performer, buffer)
    shade(
        linear, face, weight, performer.triangles, performer.triangle_uv, performer.textured,
        vertex_normals(world, performer.triangles), performer.colour, performer.gloss, look.texture,
        look.light.lights, look.light.tints, look.light.ambient, _first_light(performer, world, face, weight),
    )  # fmt: skip
    image = expose(performer, linear, face, depth, size)
    return Frame(image, points, depth, face, weight, performer.openness(head), state)


def behind_lids(performer: Performer, points: np.ndarray) -> np.ndarray:
    """Points [... V 3] in pixels, and depth in cm, with eyeballs BEHIND_LIDS farther away: no lid lets them through."""
    out = points.copy()
    out[..., performer.eyeballs, 2] += BEHIND_LIDS
    return out


def background(performer: Performer, buffer: int) -> np.ndarray:
    """Background in linear RGB, [buffer buffer 3]."""
    return cv2.resize(performer.look.background, (buffer, buffer), interpolation=cv2.INTER_LINEAR)


def expose(performer: Performer, linear: np.ndarray, face: np.ndarray, depth: np.ndarray, size: int) -> np.ndarray:
    """Shaded buffers -> image uint8 RGB [size size 3]: shadows under lids, averaging, defocus, tone curve.

    linear [S S 3]: linear RGB; it is overwritten. face, depth [S S]: triangles, depth in cm. S = size x SUPERSAMPLE.
    """
    look = performer.look
    _darken_holes(linear, np.where(face >= 0, performer.part[face], fk.BACKGROUND), look.light.contact)
    small = cv2.resize(linear, (size, size), interpolation=cv2.INTER_AREA)
    if look.aperture:
        small = _defocus(small, depth[::SUPERSAMPLE, ::SUPERSAMPLE], look.aperture)
    bright = np.maximum(small - SHOULDER, 0)
    small = np.minimum(small, SHOULDER) + (1 - SHOULDER) * (1 - np.exp(-bright / (1 - SHOULDER)))  # as film
    return (np.clip(small, 0, 1) ** (look.gamma / 1.6) * 255 + 0.5).astype(np.uint8)


def _defocus(image: np.ndarray, depth: np.ndarray, aperture: float) -> np.ndarray:
    """Blur the background. image [S S 3], depth [S S] in cm; aperture: blur radius in sides of the image per metre."""
    behind = np.clip(depth - depth.min() - IN_FOCUS, 0, FAR) / 100
    radius = (aperture * len(image) * behind).astype(np.float32)
    largest = radius.max()
    if largest < 0.3:
        return image
    # Sharp pixels get little weight, so that their colours do not leak into the blurred surface behind them.
    weight = cv2.GaussianBlur(radius / largest + 1e-3, (0, 0), 1)[..., None]
    for sigma in (largest / 3, largest):
        blurred = cv2.GaussianBlur(image * weight, (0, 0), sigma)
        blurred /= cv2.GaussianBlur(weight, (0, 0), sigma)[..., None]
        mix = np.clip(radius / sigma - 0.5, 0, 1)[..., None]
        image = image + mix * (blurred - image)
    return image


def view_from_light(performer: Performer, world: np.ndarray) -> np.ndarray:
    """Vertices [V 3] in the view of the first light: pixels of its shadow map, and depth in cm (positive)."""
    axis = performer.look.light.lights[0]
    right = np.cross([0.0, 1.0, 0.0], axis)
    right /= np.linalg.norm(right) + 1e-6
    points = world @ np.stack([right, -np.cross(axis, right), -axis]).astype(np.float32).T  # y down, as in the image
    head = points[: performer.count, :2]
    low, high = head.min(0) - 4, head.max(0) + 4  # cm: margin for hair and brims
    points[:, :2] = (points[:, :2] - low) / (high - low) * SHADOW_MAP
    points[:, 2] += FAR_LIGHT
    return points


def soft_shadow(light: Light, lit: np.ndarray) -> np.ndarray:
    """Share of the light that arrives, [S S], from a mask `lit` (1 or 0): shadows have soft edges and some light."""
    width = 2 * int(light.blur * len(lit) / 2000) + 3
    return 1 - light.cast * (1 - cv2.blur(lit, (width, width)))


def _first_light(performer: Performer, world: np.ndarray, face: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Share of the first light that arrives, [S S]: less in the shadow of head, hair or hat."""
    light: Light = performer.look.light
    if not light.cast:
        return np.ones(face.shape, np.float32)
    in_light = view_from_light(performer, world)
    depth, _, _ = rasterize(in_light, performer.triangles, performer.two_sided, SHADOW_MAP, SHADOW_MAP)
    return soft_shadow(light, lit_mask(face, weight, performer.triangles, in_light, depth, SHADOW_BIAS))


def _darken_holes(image: np.ndarray, part: np.ndarray, strength: float) -> None:
    """Darken eyeballs and the inside of the mouth below the edges of lids and lips. Changes image [H W 3]."""
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
    """Backward flow in half-widths, target(p) = source(p + flow(p)), with a side of `size`.

    Returns flow float32 [size size 2] (x, y; 0 on the background, which does not move) and visibility uint8
    [size size]: 1 where the source shows the point.
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
