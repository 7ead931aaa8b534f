"""Light on a performer: three lamps, and what comes from all around (an environment, made by code)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STUDIO = 0.45  # share of performers who stand before nothing but sky and ground


@dataclass(frozen=True)
class Light:
    """lights [3 3] directions towards the light, tints [3 3] colours; ambient [10 3]: what arrives from all around, see
    raster.shade; cast: share of the first light that the head keeps from itself (0: no shadows), and blur of its edge
    in thousandths of the picture; contact: how dark it is under lids and lips."""

    lights: np.ndarray
    tints: np.ndarray
    ambient: np.ndarray
    cast: float = 0.0
    blur: float = 0.0
    contact: float = 0.0


def sky_and_ground(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Irradiance [10 3] of colours [3] that fade from above to below."""
    out = np.zeros((10, 3), np.float32)
    out[0], out[2] = (above + below) / 2, (above - below) / 2
    return out


def windows(directions: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Irradiance [10 3] of distant sources: directions [n 3] towards them (unit), colours [n 3].

    The cosine lobe up to second order (Ramamoorthi and Hanrahan 2001, eq. 13): 1/4 + t/2 + 5/32 (3 t^2 - 1), t = n . d.
    """
    x, y, z = directions.T
    squares = np.stack([x * x, y * y, z * z, 2 * x * y, 2 * x * z, 2 * y * z], 1)
    rows = np.concatenate([np.full((len(x), 1), 1 / 4 - 5 / 32), directions / 2, 15 / 32 * squares], 1)
    return (rows.T @ colours).astype(np.float32)


def sample_environment(rng: np.random.Generator, sky: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """Irradiance [10 3]: a part of sky and ground, and up to eight windows, lamps, walls or screens around the head."""
    ambient = sky_and_ground(sky, ground)
    if rng.random() < STUDIO:
        return ambient
    count = int(rng.integers(1, 9))
    directions = rng.standard_normal((count, 3)) + np.array([0, 0.3, 0.4])
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    power = rng.dirichlet(np.full(count, 0.7))[:, None] * 2 * (sky + ground).mean()
    tints = 1 + rng.uniform(0, 0.7) * rng.uniform(-1, 1, (count, 3))  # neon and sunset in some
    share = rng.uniform(0.3, 1.0)
    return (1 - share) * ambient + share * windows(directions, power * tints)


def sample_light(rng: np.random.Generator, around: np.random.Generator) -> Light:
    """Three directional lights in random proportions, lightly coloured; `around` draws what comes from all around."""
    lights = rng.standard_normal((3, 3))
    lights[:, 2] = np.abs(lights[:, 2]) + np.array([0.3, 0.3, -0.6])
    lights[:, 1] += 0.4
    lights /= np.linalg.norm(lights, axis=1, keepdims=True)
    power = rng.dirichlet((2, 0.8, 0.6)) * rng.uniform(0.45, 1.6)
    tints = power[:, None] * (1 + rng.uniform(0, 0.2) * rng.standard_normal((3, 3)))
    sky = rng.uniform(0.18, 0.65) * (1 + 0.08 * rng.standard_normal(3))
    ground = sky * rng.uniform(0.45, 1.0) * (1 + 0.08 * rng.standard_normal(3))
    return Light(
        lights.astype(np.float32), np.clip(tints, 0, 2).astype(np.float32), sample_environment(around, sky, ground),
        float(rng.uniform(0.4, 1.0)) if rng.random() < 0.5 else 0.0, float(rng.uniform(4, 40)),
        float(rng.uniform(0.1, 0.7)),
    )  # fmt: skip
