"""Pixel-wise augmentation of GC-AVT: another person's colours, blur, sharpening, JPEG. All points stay in place.

It removes who a picture shows and leaves what the face does (section 3.2). Blur, sharpening and JPEG are `damage`.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from thgen.face_parts.background import without_background
from thgen.training.data.damage import Damage, damaged

SHARE = 0.5  # of the pictures that get each kind of change
LARGEST_BLUR = 1.0  # standard deviation, px (parent latent-pose)
LARGEST_HALO = 1.0  # strength of the sharpening
JPEG = (70, 100)  # lowest quality, and the first that does not occur (parent latent-pose)
KEPT = 0.5  # weight from which a pixel counts for the colours
SMALLEST_SPREAD = 1.0  # levels of L*a*b*, below which a picture has one colour
LARGEST_RATIO = 2.5  # between two spreads: more enlarges the noise of a flat picture


@dataclass(frozen=True)
class Colours:
    """Mean and standard deviation of a person's pixels in L*a*b*, each [3]."""

    mean: np.ndarray
    spread: np.ndarray


@dataclass(frozen=True)
class Transfer:
    """Colour transfer (Reinhard et al. 2001): L*a*b* -> gain * L*a*b* + shift, each [3]."""

    gain: np.ndarray
    shift: np.ndarray


@dataclass(frozen=True)
class Look:
    """How a picture is changed. transfer: of its colours; damage: blur, sharpening and JPEG. None changes nothing."""

    transfer: Transfer | None = None
    damage: Damage | None = None


def colours_of(image: np.ndarray, keep: np.ndarray) -> Colours:
    """Colours of picture uint8 RGB [S S 3] where keep [S S] is at least KEPT; everywhere, if nowhere."""
    lab = _lab(image)
    chosen = lab[keep >= KEPT] if (keep >= KEPT).any() else lab.reshape(-1, 3)
    return Colours(chosen.mean(0), chosen.std(0))


def transfer(own: Colours, wanted: Colours) -> Transfer:
    """The change that gives a person with colours `own` the mean and the spread of `wanted`."""
    gain = np.clip(wanted.spread / np.maximum(own.spread, SMALLEST_SPREAD), 1 / LARGEST_RATIO, LARGEST_RATIO)
    return Transfer(gain, wanted.mean - gain * own.mean)


def looking(image: np.ndarray, keep: np.ndarray, look: Look) -> np.ndarray:
    """Picture uint8 RGB [H W 3] with other colours, without its background, then blurred, sharpened and compressed.

    keep [H W] in [0, 1]: 1 where the person is.
    """
    if look.transfer is not None:
        image = recoloured(image, look.transfer)
    out = without_background(image, keep)
    return out if look.damage is None else damaged(out, look.damage, np.random.default_rng(0))  # no noise to draw


def recoloured(image: np.ndarray, change: Transfer) -> np.ndarray:
    """Picture uint8 RGB [H W 3] after a transfer of its colours."""
    lab = (_lab(image) * change.gain + change.shift).astype(np.float32)
    lab[..., 0] = lab[..., 0].clip(0, 100)
    rgb = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
    return np.rint(rgb.clip(0, 1) * 255).astype(np.uint8)


def sample_look(rng: np.random.Generator, change: Transfer) -> Look:
    """A random look with this transfer, each kind of change in SHARE of the cases."""

    def hit() -> bool:
        return bool(rng.random() < SHARE)

    return Look(change if hit() else None, Damage(
        blur=float(rng.uniform(0, LARGEST_BLUR)) if hit() else 0.0,
        halo=float(rng.uniform(0, LARGEST_HALO)) if hit() else 0.0,
        jpeg=int(rng.integers(*JPEG)) if hit() else 100,
    ))  # fmt: skip


def _lab(image: np.ndarray) -> np.ndarray:
    """uint8 RGB [H W 3] -> L*a*b* float32."""
    return np.asarray(cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB))
