"""Random look of a performer: skin, brows, lips, irises, hair, clothes, background and light.

The face is painted into its texture, so that the paint moves with the head. Colours are linear RGB in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter

from thgen.synth.looks.background import paint_background
from thgen.synth.looks.noise import noise
from thgen.synth.looks.skin import skin_details
from thgen.synth.render.light import Light, sample_light

TEXTURE_SIZE = 512
SHALLOW = 0.3  # share of performers in front of a blurred background
NECK_FOOT, NECK_FADE = 0.96, 0.12  # of the texture's height: row where the skin pattern ends, height of its fade
_LIGHT_SKIN, _DARK_SKIN = np.array([0.90, 0.71, 0.60]), np.array([0.26, 0.15, 0.10])
_IRISES = ((0.25, 0.15, 0.08), (0.28, 0.40, 0.55), (0.30, 0.38, 0.22), (0.12, 0.08, 0.05), (0.35, 0.36, 0.38))


@dataclass(frozen=True)
class Look:
    """Colours [3] of a performer, and more.

    texture [R R 3]: of the face, relative to the colour of the skin. background [S S 3]. gloss: strength of highlights
    on skin. gamma: exponent of the exposure. aperture: blur radius per distance behind the face, in sides of the image
    per metre; 0: no blur.
    """

    skin: np.ndarray
    hair: np.ndarray
    iris: np.ndarray
    teeth: np.ndarray
    cloth: np.ndarray
    cloth_second: np.ndarray
    texture: np.ndarray
    background: np.ndarray
    light: Light
    gloss: float
    gamma: float
    aperture: float = 0.0


def _blob(centre: np.ndarray, sx: float, sy: float) -> np.ndarray:
    """Gaussian [R R] around a texture position; sx, sy: standard deviations, all in [0, 1]."""
    axis = (np.arange(TEXTURE_SIZE, dtype=np.float32) + 0.5) / TEXTURE_SIZE
    gx = np.exp(-0.5 * ((axis - centre[0]) / sx) ** 2)
    gy = np.exp(-0.5 * ((axis - centre[1]) / sy) ** 2)
    return gy[:, None] * gx[None]


def _mix(image: np.ndarray, mask: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Image [R R 3] with a colour [3] where the mask [R R] is 1."""
    return image * (1 - mask[..., None]) + mask[..., None] * np.asarray(colour, np.float32)


def _strokes(points: np.ndarray, rng: np.random.Generator, length: float, width: float, count: int) -> np.ndarray:
    """Mask [R R] in [0, 1] of short hairs along a polyline of texture positions [n 2]."""
    mask = np.zeros((TEXTURE_SIZE, TEXTURE_SIZE), np.uint8)
    for _ in range(count):
        s = rng.uniform(0, len(points) - 1.001)
        i = int(s)
        start = points[i] + (points[i + 1] - points[i]) * (s - i) + rng.normal(0, width, 2) * (0.4, 1.0)
        along = points[i + 1] - points[i]
        end = start + along / (np.linalg.norm(along) + 1e-9) * length * rng.uniform(0.4, 1.2) + rng.normal(0, 0.003, 2)
        a, b = (np.round(p * TEXTURE_SIZE * 16).astype(int) for p in (start, end))
        cv2.line(mask, tuple(a.tolist()), tuple(b.tolist()), 255, 1, cv2.LINE_AA, 4)
    return mask.astype(np.float32) / 255


def _polygon(points: np.ndarray, blur: float) -> np.ndarray:
    """Mask [R R] in [0, 1] of a filled polygon of texture positions [n 2]. blur: standard deviation in px."""
    mask = np.zeros((TEXTURE_SIZE, TEXTURE_SIZE), np.uint8)
    cv2.fillPoly(mask, [np.round(points * TEXTURE_SIZE * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return gaussian_filter(mask.astype(np.float32) / 255, blur)


def _contour(points: np.ndarray, thickness: int, blur: float) -> np.ndarray:
    """Mask [R R] in [0, 1] of a polyline of texture positions [n 2]. thickness, blur: in px."""
    mask = np.zeros((TEXTURE_SIZE, TEXTURE_SIZE), np.uint8)
    curve = np.round(points * TEXTURE_SIZE * 16).astype(np.int32)
    cv2.polylines(mask, [curve], False, 255, thickness, cv2.LINE_AA, 4)
    return gaussian_filter(mask.astype(np.float32) / 255, blur)


def paint_face(rng: np.random.Generator, luv: np.ndarray, skin: np.ndarray, hair: np.ndarray) -> np.ndarray:
    """Texture of the face [R R 3], relative to the colour of the skin. luv [68 2]: texture positions of the landmarks.

    skin, hair: colours [3]. v points down.
    """
    size = TEXTURE_SIZE
    image: np.ndarray = np.ones((size, size, 3), np.float32) * skin.astype(np.float32)
    mottle = 0.05 * noise(rng, size, 60)[..., None] * np.array([0.5, 1, 1], np.float32)
    mottle = mottle + rng.uniform(0.01, 0.05) * noise(rng, size, 12)[..., None]
    mottle = mottle + rng.uniform(0.0, 0.035) * noise(rng, size, 2)[..., None]
    # The texture ends at the foot of the neck. Skin further down has no pattern.
    foot = np.clip((NECK_FOOT - (np.arange(size, dtype=np.float32) + 0.5) / size) / NECK_FADE, 0, 1)
    image = image * (1 + mottle * foot[:, None, None])
    flush = rng.uniform(0, 0.22)
    for cheek in (luv[[2, 31]].mean(0), luv[[14, 35]].mean(0), luv[30]):
        image *= 1 - flush * _blob(cheek, 0.05, 0.04)[..., None] * np.array([0.15, 1, 0.9], np.float32)
    socket = rng.uniform(0, 0.3)
    for eye in (luv[36:42].mean(0), luv[42:48].mean(0)):
        image *= 1 - socket * _blob(eye, 0.045, 0.03)[..., None]
    if rng.random() < 0.5:  # folds beside the mouth and lines on the brow
        for a, b in ((31, 48), (35, 54)):
            fold = np.stack(
                [luv[a], (luv[a] + luv[b]) / 2 + (luv[b] - luv[33]) * 0.25, luv[b] + (luv[b] - luv[33]) * 0.2]
            )
            image *= 1 - rng.uniform(0, 0.25) * _contour(fold, 2, 2.5)[..., None]
        for lift in (0.05, 0.075):
            line = luv[18:26] + np.array([0, -lift]) + rng.normal(0, 0.002, (8, 2))
            image *= 1 - rng.uniform(0, 0.2) * _contour(line, 2, 2.0)[..., None]
    for _ in range(int(rng.integers(0, 5)) if rng.random() < 0.4 else 0):
        image *= 1 - rng.uniform(0.2, 0.6) * _blob(rng.uniform(0.2, 0.8, 2), 0.004, 0.004)[..., None]

    rosy = np.array([0.92, 0.55, 0.55]) if rng.random() < 0.95 else rng.uniform(0.3, 1.0, 3)
    lips = np.clip(skin * rosy + 0.04 * rng.standard_normal(3), 0.03, 1)
    if rng.random() < 0.2:
        lips = np.array([rng.uniform(0.35, 0.75), rng.uniform(0.03, 0.2), rng.uniform(0.05, 0.25)])
    image = _mix(image, _polygon(luv[48:60], 1.8) * rng.uniform(0.2, 1.0), lips)
    image *= 1 - rng.uniform(0.1, 0.5) * _contour(luv[[48, 60, 61, 62, 63, 64, 54]], 3, 1.2)[..., None]

    if rng.random() < 0.35:  # beard or stubble
        beard = (
            _blob(luv[8], 0.2, 0.08)
            + _blob(luv[57] + [0, 0.05], 0.12, 0.05)
            + 0.9 * _blob(luv[33] + [0, 0.03], 0.07, 0.016)
        )
        beard = np.clip(beard, 0, 1) * rng.uniform(0.2, 0.95) * (1 - _polygon(luv[48:60], 1.0))
        image = _mix(image, np.clip(beard * (0.8 + 0.5 * noise(rng, size, 1.5)), 0, 1), hair)
    brow_width, density = rng.uniform(0.003, 0.008), int(rng.integers(60, 260))
    for brow in (luv[17:22], luv[22:27][::-1]):
        hairs = _strokes(brow + np.array([0, -0.004]), rng, 0.025, brow_width, density)
        under = _contour(brow + np.array([0, -0.004]), int(1 + brow_width * 900), 2.0) * rng.uniform(0.1, 0.6)
        image = _mix(image, np.clip(np.maximum(gaussian_filter(hairs, 0.6), under), 0, 1), np.clip(hair * 0.9, 0, 1))
    crease = rng.uniform(0.1, 0.5)
    liner = rng.uniform(0.35, 0.95)
    for lid in ((36, 37, 38, 39), (42, 43, 44, 45)):
        upper = luv[list(lid)]
        image *= 1 - crease * _contour(upper + np.array([0, -0.012]), 2, 1.5)[..., None]
        image = _mix(image, np.clip(_contour(upper, 3, 1.0) * liner, 0, 1), hair * 0.3)
    for lid in ((36, 41, 40, 39), (42, 47, 46, 45)):
        image = _mix(image, _contour(luv[list(lid)], 2, 1.0) * liner * 0.4, hair * 0.4)
    return (skin_details(rng, image, luv) / skin).astype(np.float32)


def sample_look(rng: np.random.Generator, luv: np.ndarray) -> Look:
    """A random look. luv [68 2]: texture positions of the landmarks of the face."""
    melanin = rng.beta(1.1, 1.2)
    skin = _LIGHT_SKIN * (1 - melanin) + _DARK_SKIN * melanin
    skin = np.clip(skin * (1 + 0.08 * rng.standard_normal()) * (1 + 0.03 * rng.standard_normal(3)), 0.05, 1)
    dark = rng.random() < 0.55
    hair = (
        np.array([0.045, 0.035, 0.03]) * rng.uniform(0.6, 1.8)
        if dark
        else np.array([0.33, 0.22, 0.12]) * rng.uniform(0.3, 2.3)
    )
    if rng.random() < 0.12:
        hair = np.ones(3) * rng.uniform(0.35, 0.8)
    hair = np.clip(hair + 0.02 * rng.standard_normal(3), 0.015, 0.95)
    iris = np.array(_IRISES[rng.integers(len(_IRISES))]) * rng.uniform(0.7, 1.4)
    teeth = np.array([0.86, 0.82, 0.73]) * rng.uniform(0.8, 1.05)
    cloth = rng.uniform(0.03, 0.9, 3)
    camera = rng.spawn(1)[0]  # a separate generator: its draws do not change the rest of this performer
    aperture = float(camera.uniform(0.01, 0.12)) if camera.random() < SHALLOW else 0.0
    return Look(
        skin, hair, iris, teeth, cloth, np.clip(cloth * rng.uniform(0.3, 1.6), 0, 1), paint_face(rng, luv, skin, hair),
        paint_background(rng), sample_light(rng, camera), rng.uniform(0.02, 0.28), rng.uniform(0.8, 1.25), aperture,
    )  # fmt: skip
