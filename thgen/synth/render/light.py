"""Light on a performer: three directional lights, and ambient light from a random environment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STUDIO = 0.45  # share of performers whose ambient light comes from sky and ground alone


@dataclass(frozen=True)
class Light:
    """lights [3 3]: unit directions towards the lights. tints [3 3]: their colours.

    ambient [10 3]: ambient irradiance, see raster.shade. cast: share of the first light that a cast shadow removes; 0:
    no shadow. blur: width of its edge in thousandths of the image. contact, 0 to 1: darkness under lids and lips.
    """

    lights: np.ndarray
    tints: np.ndarray
    ambient: np.ndarray
    cast: float = 0.0
    blur: float = 0.0
    contact: float = 0.0


def sky_and_ground(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Irradiance [10 3] of a sky of colour `above` [3] that fades to a ground of colour `below` [3]."""
    out = np.zeros((10, 3), np.float32)
    out[0], out[2] = (above + below) / 2, (above - below) / 2
    return out


def windows(directions: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Irradiance [10 3] of distant sources with unit directions [n 3] towards them and colours [n 3].

    It is the cosine lobe up to second order, 1/4 + t/2 + 5/32 (3 t^2 - 1) with t = n . d (Ramamoorthi and Hanrahan
    2001, eq. 13).
    """
    x, y, z = directions.T
    squares = np.stack([x * x, y * y, z * z, 2 * x * y, 2 * x * z, 2 * y * z], 1)
    rows = np.concatenate([np.full((len(x), 1), 1 / 4 - 5 / 32), directions / 2, 15 / 32 * squares], 1)
    return (rows.T @ colours).astype(np.float32)


def sample_environment(rng: np.random.Generator, sky: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """Irradiance [10 3] of sky and ground, mixed with one to eight windows, lamps, walls or screens around the head."""
    ambient = sky_and_ground(sky, ground)
    if rng.random() < STUDIO:
        return ambient
    count = int(rng.integers(1, 9))
    directions = rng.standard_normal((count, 3)) + np.array([0, 0.3, 0.4])
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    power = rng.dirichlet(np.full(count, 0.7))[:, None] * 2 * (sky + ground).mean()
    tints = 1 + rng.uniform(0, 0.7) * rng.uniform(-1, 1, (count, 3))  # strong colours, such as neon or sunset, in some
    share = rng.uniform(0.3, 1.0)
    return (1 - share) * ambient + share * windows(directions, power * tints)


def sample_light(rng: np.random.Generator, around: np.random.Generator) -> Light:
    """Random light: three slightly coloured directional lights, and ambient light that `around` draws."""
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
