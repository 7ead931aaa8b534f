"""Image styles for rendered frames: effects of cameras, compression and painting. One style per clip, noise per frame.

They do not change the geometry, so that keypoints and flow stay exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

CLEAN = 0.45  # share of clips without a style; networks learn sharpness from them


@dataclass(frozen=True)
class Style:
    """gain, lift (levels of 255), contrast: tone curve. saturation: 0 is grey. tint: factor per channel.

    shrink: scale of an intermediate smaller image, 1 is none. sharpen, vignette: strength. noise: standard deviation in
    levels of 255; grain: its blur in px. jpeg: quality, 100 is none. brush: size of painted strokes in px, 0 is none.
    tones: number of tonal levels, 0 is all. crf: rate factor of H.264, 0 is none.
    """

    gain: float = 1.0
    lift: float = 0.0
    contrast: float = 1.0
    saturation: float = 1.0
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    shrink: float = 1.0
    sharpen: float = 0.0
    vignette: float = 0.0
    noise: float = 0.0
    grain: float = 0.0
    jpeg: int = 100
    brush: int = 0
    tones: int = 0
    crf: int = 0


def sample_style(rng: np.random.Generator) -> Style:
    """A random style. A share of CLEAN is `Style()`, which changes nothing."""
    if rng.random() < CLEAN:
        return Style()

    def some(share: float, low: float, high: float, otherwise: float = 0.0) -> float:
        value = float(rng.uniform(low, high))
        return value if rng.random() < share else otherwise

    saturation = some(0.5, 0.4, 1.3, 1.0) if rng.random() > 0.14 else 0.0
    tint = rng.uniform(0.86, 1.14, 3) if rng.random() < 0.5 else np.ones(3)
    if saturation == 0 and rng.random() < 0.4:
        tint = np.array([1.08, 0.98, 0.8])  # sepia
    painted = rng.random() < 0.16
    return Style(
        gain=some(0.6, 0.65, 1.4, 1.0), lift=some(0.3, 0.0, 40.0), contrast=some(0.6, 0.7, 1.5, 1.0),
        saturation=saturation, tint=(float(tint[0]), float(tint[1]), float(tint[2])),
        shrink=some(0.3, 0.3, 0.8, 1.0), sharpen=some(0.25, 0.3, 1.5), vignette=some(0.3, 0.1, 0.6),
        noise=some(0.4, 2.0, 16.0), grain=some(0.5, 0.5, 1.2), jpeg=int(some(0.4, 15, 80, 100)),
        brush=int(rng.integers(3, 8)) if painted else 0, tones=int(rng.integers(5, 14)) if rng.random() < 0.05 else 0,
        crf=int(some(0.25, 24, 42)),
    )  # fmt: skip


def develop(image: np.ndarray, style: Style, rng: np.random.Generator) -> np.ndarray:
    """Image uint8 RGB [S S 3] in that style, without H.264. `rng` draws the noise of this frame."""
    if style == Style():
        return image
    size = image.shape[0]
    if style.brush:
        image = _painted(image, style.brush)
    out: np.ndarray = image.astype(np.float32)
    if style.shrink < 1:
        small = cv2.resize(out, None, fx=style.shrink, fy=style.shrink, interpolation=cv2.INTER_AREA)
        out = cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR)
    if style.sharpen:
        out = out + style.sharpen * (out - cv2.GaussianBlur(out, (0, 0), 1.2))
    grey = out @ np.array([0.299, 0.587, 0.114], np.float32)
    out = grey[..., None] + style.saturation * (out - grey[..., None])
    out = ((out - 128) * style.contrast + 128) * style.gain * np.array(style.tint, np.float32) + style.lift
    if style.vignette:
        axis = np.linspace(-1, 1, size, dtype=np.float32)
        out *= (1 - style.vignette * 0.5 * (axis[:, None] ** 2 + axis[None] ** 2))[..., None]
    if style.noise:
        grain: np.ndarray = rng.standard_normal(out.shape if style.saturation else (size, size, 1)).astype(np.float32)
        grain = grain if not style.grain else cv2.GaussianBlur(grain, (0, 0), style.grain).reshape(grain.shape) * 2
        out += style.noise * grain
    if style.tones:
        step = 255 / style.tones
        out = np.round(out / step) * step
    out = np.clip(out, 0, 255).astype(np.uint8)
    if style.jpeg < 100:
        coded = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, style.jpeg])[1]
        out = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))
    return out


def _painted(image: np.ndarray, brush: int) -> np.ndarray:
    """Flat strokes with sharp edges: each pixel gets the mean of the least varied of four squares (Kuwahara 1976)."""
    out = image.astype(np.float32)
    mean = cv2.blur(out, (brush, brush), borderType=cv2.BORDER_REFLECT)
    grey = out.mean(2)
    varied = cv2.blur(grey * grey, (brush, brush), borderType=cv2.BORDER_REFLECT) - mean.mean(2) ** 2
    half = max(1, brush // 2)
    shifts = [(half, half), (half, -half), (-half, half), (-half, -half)]
    spread = np.stack([np.roll(varied, s, (0, 1)) for s in shifts])
    chosen = spread.argmin(0)
    result = np.zeros_like(out)
    for number, shift in enumerate(shifts):
        result = np.where((chosen == number)[..., None], np.roll(mean, shift, (0, 1)), result)
    return result.astype(np.uint8)
