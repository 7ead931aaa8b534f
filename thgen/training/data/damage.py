"""What cameras, codecs, painters and hands do to a picture: damage for rendered frames that keeps every point in place.

Networks that read renders alone take a compressed, soft or painted face for another expression. A `Damage` holds the
parameters of one clip or frame, so that frames of one clip may look alike (one camera) and still differ in noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

ALIKE = 0.5  # share of clips whose frames have the same damage: one camera, one light
MILDEST = 0.25  # lowest strength of the damage, drawn for each clip
NOISE_SIDE = 1024  # px: side of the noise that is drawn once; each picture gets its own part of it
Stroke = tuple[np.ndarray, tuple[float, float, float], int]  # points [n 2] in [0, 1], colour of 255, width in px


@dataclass(frozen=True)
class Damage:
    """Each field's default changes nothing.

    chroma:   factor of differences in colour, such as lips against skin; turn: of all hues, degrees
    flatten:  share of the local contrast that is removed
    gain [3], gamma, lift (levels of 255), contrast: tone curve; grey: share
    light:    (x, y, strength) of a soft slope of brightness, as natural logarithm
    shadow:   (angle in degrees, place in [0, 1], strength, softness) of the edge of a shadow
    shrink:   scale of a smaller copy; smooth: its enlargement is smooth, not blocky
    blur:     standard deviation, px; motion: (length in px, angle in degrees) of a moving camera
    halo:     strength of sharpening
    brush:    size of painted strokes, px; tones: number of tonal levels
    noise:    standard deviation, levels of 255; grain: its coarseness; mono: without colour
    jpeg:     quality; coded: scale of the picture that is coded
    covers, hairs: filled shapes and thin strokes before the face
    """

    chroma: float = 1.0
    turn: float = 0.0
    flatten: float = 0.0
    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    gamma: float = 1.0
    lift: float = 0.0
    contrast: float = 1.0
    grey: float = 0.0
    light: tuple[float, float, float] | None = None
    shadow: tuple[float, float, float, float] | None = None
    shrink: float = 1.0
    smooth: bool = True
    blur: float = 0.0
    motion: tuple[int, float] | None = None
    halo: float = 0.0
    brush: int = 0
    tones: int = 0
    noise: float = 0.0
    grain: int = 0
    mono: bool = False
    jpeg: int = 100
    coded: float = 1.0
    covers: tuple[Stroke, ...] = ()
    hairs: tuple[Stroke, ...] = ()


def sample_damage(rng: np.random.Generator, strength: float = 1.0) -> Damage:
    """Random damage. strength, 0 to 1: scales how often each kind occurs."""

    def hit(share: float) -> bool:
        return bool(rng.random() < share * strength)

    def some(share: float, low: float, high: float, otherwise: float = 0.0) -> float:
        value = float(rng.uniform(low, high))
        return value if hit(share) else otherwise

    gain = np.exp(rng.normal(0, 0.25) + rng.normal(0, 0.1, 3)) if hit(0.7) else np.ones(3)
    small = hit(0.35)
    return Damage(
        chroma=some(0.5, 0.3, 1.8, 1.0), turn=some(0.3, -15, 15), flatten=some(0.15, 0.1, 0.5),
        gain=(float(gain[0]), float(gain[1]), float(gain[2])), gamma=float(np.exp(some(0.5, -0.5, 0.5))),
        lift=some(0.3, -25, 45), contrast=some(0.5, 0.6, 1.5, 1.0), grey=some(0.15, 0.6, 1.0),
        light=(float(rng.normal()), float(rng.normal()), float(rng.uniform(0.1, 0.5))) if hit(0.35) else None,
        shadow=(float(rng.uniform(0, 360)), float(rng.uniform(0.3, 0.7)), float(rng.uniform(0.2, 0.65)),
                float(rng.uniform(0.01, 0.15))) if hit(0.15) else None,
        shrink=float(np.exp(rng.uniform(np.log(0.25), np.log(0.8)))) if small else 1.0, smooth=bool(rng.random() < 0.8),
        blur=some(0.2, 0.4, 1.8), motion=(int(rng.integers(2, 8)), float(rng.uniform(0, 180))) if hit(0.08) else None,
        halo=some(0.2, 0.3, 1.6), brush=int(rng.integers(3, 7)) if hit(0.08) else 0,
        tones=int(rng.integers(5, 14)) if hit(0.04) else 0, noise=some(0.45, 2.0, 18.0),
        grain=int(rng.integers(0, 3)), mono=bool(rng.random() < 0.4), jpeg=int(some(0.35, 6, 60, 100)),
        coded=some(0.3, 0.4, 0.9, 1.0), covers=_covers(rng) if hit(0.2) else (), hairs=_hairs(rng) if hit(0.12) else (),
    )  # fmt: skip


def _covers(rng: np.random.Generator) -> tuple[Stroke, ...]:
    """One or two filled shapes, as hands and microphones are."""
    out = []
    for _ in range(int(rng.integers(1, 3))):
        angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(4, 9))))
        ring = np.stack([np.cos(angles), np.sin(angles)], 1) * rng.uniform(0.02, 0.14, 2)
        out.append((ring + rng.uniform(0.2, 0.8, 2), _colour(rng), 0))
    return tuple(out)


def _hairs(rng: np.random.Generator) -> tuple[Stroke, ...]:
    """A lock of thin curved strokes of one colour that hangs into the face."""
    colour, start = _colour(rng), rng.uniform((0.2, 0.1), (0.8, 0.4))
    along = rng.normal(0, 0.12, 2) + np.array([0, 0.25])
    t = np.linspace(0, 1, 6)[:, None]
    return tuple(
        (start + rng.normal(0, 0.03, 2) + t * (along + rng.normal(0, 0.03, 2)) + t * t * rng.normal(0, 0.06, 2), colour,
         int(rng.integers(1, 3)))
        for _ in range(int(rng.integers(3, 16)))
    )  # fmt: skip


def _colour(rng: np.random.Generator) -> tuple[float, float, float]:
    """A colour of 255, often that of skin or hair."""
    warm = rng.uniform(20, 230) * np.array([1.0, rng.uniform(0.6, 0.95), rng.uniform(0.4, 0.9)])
    c = warm if rng.random() < 0.6 else rng.uniform(0, 255, 3)
    return float(c[0]), float(c[1]), float(c[2])


@lru_cache(maxsize=1)
def _noise() -> np.ndarray:
    """Normal noise float32 [NOISE_SIDE NOISE_SIDE 3]: drawing it anew would cost more than all else."""
    return np.random.default_rng(0).standard_normal((NOISE_SIDE, NOISE_SIDE, 3)).astype(np.float32)


def damaged(image: np.ndarray, damage: Damage, rng: np.random.Generator) -> np.ndarray:
    """Picture uint8 RGB [S S 3] -> the same with this damage. rng: draws the noise."""
    out: np.ndarray = _drawn(image, damage).astype(np.float32)
    out = _coloured(_lit(out, damage), damage)
    out = _softened(out, damage)
    if damage.noise:
        out += damage.noise * _grain(len(out), damage, rng)
    if damage.tones:
        step = 255 / damage.tones
        out = np.round(out / step) * step
    return _coded(np.clip(out, 0, 255).astype(np.uint8), damage)


def damaged_clip(images: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Frames uint8 [n S S 3] of one clip, all with the same damage or each with its own."""
    strength = rng.uniform(MILDEST, 1)
    same = sample_damage(rng, strength) if rng.random() < ALIKE else None
    return [damaged(image, same or sample_damage(rng, strength), rng) for image in images]


def _drawn(image: np.ndarray, damage: Damage) -> np.ndarray:
    """Shapes and strokes before the face."""
    out, side = np.ascontiguousarray(image), len(image)
    for points, colour, width in (*damage.covers, *damage.hairs):
        at = np.round(points * side * 16).astype(np.int32)
        if out is image:
            out = image.copy()
        if width:
            cv2.polylines(out, [at], False, colour, width, cv2.LINE_AA, 4)
        else:
            cv2.fillPoly(out, [at], colour, cv2.LINE_AA, 4)
    return out


def _lit(x: np.ndarray, damage: Damage) -> np.ndarray:
    """Picture float32 [S S 3] with a slope of light and the edge of a shadow."""
    axis = np.linspace(-1, 1, len(x), dtype=np.float32)
    if damage.light is not None:
        dx, dy, strength = damage.light
        x = x * np.exp(strength * (dx * axis[None] + dy * axis[:, None]))[..., None]
    if damage.shadow is not None:
        angle, place, strength, softness = damage.shadow
        across = np.cos(np.deg2rad(angle)) * axis[None] + np.sin(np.deg2rad(angle)) * axis[:, None]
        x = x * (1 - strength * np.clip((across - (2 * place - 1)) / softness, 0, 1))[..., None]
    return x


def _coloured(x: np.ndarray, damage: Damage) -> np.ndarray:
    """Picture float32 [S S 3] after changes of hue, colour, contrast and tone."""
    if damage.chroma != 1 or damage.turn or damage.grey:
        y = x @ np.array([0.299, 0.587, 0.114], np.float32)
        colour = x - y[..., None]
        middle = colour.mean((0, 1))
        colour = middle + damage.chroma * (colour - middle)
        if damage.turn:
            colour = colour @ _hue(damage.turn)
        x = y[..., None] + (1 - damage.grey) * colour
    if damage.flatten:
        x = x + damage.flatten * (cv2.blur(x, (len(x) // 12, len(x) // 12)) - x)
    if damage.gamma != 1:
        x = 255 * np.power(np.clip(x, 0, 255) / 255, damage.gamma)
    gain = damage.contrast * np.array(damage.gain, np.float32)
    return x * gain + np.float32(damage.lift + 128 * (1 - damage.contrast))


def _hue(degrees: float) -> np.ndarray:
    """Matrix [3 3] that turns colours about the grey axis."""
    axis = np.ones(3) / np.sqrt(3)
    return np.asarray(cv2.Rodrigues(axis * np.deg2rad(degrees))[0]).T.astype(np.float32)


def _softened(x: np.ndarray, damage: Damage) -> np.ndarray:
    """Picture float32 [S S 3] painted, shrunk, blurred, moved and sharpened."""
    side = len(x)
    if damage.brush:
        x = cv2.medianBlur(np.clip(x, 0, 255).astype(np.uint8), 2 * (damage.brush // 2) + 1).astype(np.float32)
        x = cv2.bilateralFilter(x, 5, 40, 3)
    if damage.shrink < 1:
        small = cv2.resize(x, None, fx=damage.shrink, fy=damage.shrink, interpolation=cv2.INTER_AREA)
        kind = cv2.INTER_CUBIC if damage.smooth else cv2.INTER_NEAREST
        x = cv2.resize(small, (side, side), interpolation=kind)
    if damage.blur:
        x = cv2.GaussianBlur(x, (0, 0), damage.blur)
    if damage.motion is not None:
        length, angle = damage.motion
        kernel = np.zeros((length + 2, length + 2), np.float32)
        middle = (length + 1) / 2
        way = np.array([np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))]) * length / 2
        ends = [tuple(np.round((middle + sign * way) * 16).astype(int).tolist()) for sign in (-1, 1)]
        cv2.line(kernel, ends[0], ends[1], 1.0, 1, cv2.LINE_AA, 4)
        x = cv2.filter2D(x, -1, kernel / max(kernel.sum(), 1e-6))
    if damage.halo:
        x = x + damage.halo * (x - cv2.GaussianBlur(x, (0, 0), 1.3))
    return x


def _grain(side: int, damage: Damage, rng: np.random.Generator) -> np.ndarray:
    """Noise float32 [S S 3] with standard deviation 1."""
    size = max(1, 2**damage.grain // 2)  # 1, 1 or 2 px
    need = -(-side // size)
    top, left = rng.integers(0, NOISE_SIDE - need, 2)
    part = _noise()[top : top + need, left : left + need]
    if damage.mono:
        part = np.repeat(part[..., :1], 3, 2)
    return part if size == 1 else cv2.resize(part, (side, side), interpolation=cv2.INTER_LINEAR)


def _coded(image: np.ndarray, damage: Damage) -> np.ndarray:
    """Picture uint8 [S S 3] after JPEG, of a smaller copy where so asked, as video codecs shrink."""
    if damage.jpeg >= 100:
        return image
    side = len(image)
    if damage.coded < 1:
        image = cv2.resize(image, None, fx=damage.coded, fy=damage.coded, interpolation=cv2.INTER_AREA)
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, damage.jpeg])[1]
    out = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
    return out if len(out) == side else cv2.resize(out, (side, side), interpolation=cv2.INTER_LINEAR)
