"""Proportions beyond the identity modes: large eyes, thin faces, small jaws and sagging cheeks.

They occur in drawings and with age. They are a smooth deformation of space after expression and gaze, so that all
shapes and keypoints follow it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STYLISED = 0.18  # share of performers with the proportions of a drawing
EYE_CORE, EYE_REACH = 1.7, 3.4  # cm: radius in which the eye is scaled fully, and width of the fade around it
CHIN, TEMPLES = -9.0, 4.0  # cm: heights between which the face may narrow
JOWLS = np.array([5.0, -6.5, 4.5])  # cm: where cheeks sag, on one side; the other side is its mirror image


@dataclass(frozen=True)
class Proportions:
    """eyes: scale of the eyes. width: scale of the width of the head. jaw: scale of the width at the chin. sag: how far
    the jowls hang, in cm."""

    eyes: float = 1.0
    width: float = 1.0
    jaw: float = 1.0
    sag: float = 0.0

    def apply(self, points: np.ndarray, eye_centre: np.ndarray) -> np.ndarray:
        """Points [N 3] in cm after the change. eye_centre [2 3]: centres of the eyeballs before it."""
        out = points.astype(np.float32).copy()
        if self.eyes != 1:
            for centre in eye_centre.astype(np.float32):
                away = points - centre
                # Less along z, so that a large eye does not leave its socket.
                distance = np.linalg.norm(away * np.array([1, 1, 0.6], np.float32), axis=1, keepdims=True)
                fade = np.exp(-((np.maximum(distance - EYE_CORE, 0) / EYE_REACH) ** 2) * 2)
                out += (self.eyes - 1) * fade * away * np.array([1, 1, 0.35], np.float32)
        if self.sag:
            for side in (-1, 1):
                near = np.linalg.norm((points - JOWLS * np.array([side, 1, 1])) / 2.5, axis=1, keepdims=True)
                out += self.sag * np.exp(-(near**2)) * np.array([side * 0.3, -1, 0.1], np.float32)
        low = np.clip((TEMPLES - points[:, 1]) / (TEMPLES - CHIN), 0, 1)
        neck = np.clip((points[:, 1] - CHIN + 6) / 5, 0, 1)  # 0 at the neck, which keeps its width
        narrow = 1 + (self.jaw - 1) * low * low * (3 - 2 * low) * neck
        out[:, 0] *= (1 + (self.width - 1) * neck) * narrow
        return out


def sample_proportions(rng: np.random.Generator) -> Proportions:
    """Random proportions: mostly realistic, a share of STYLISED like drawings."""
    sag = float(rng.uniform(0, 0.7)) if rng.random() < 0.3 else 0.0
    if rng.random() < STYLISED:
        return Proportions(
            float(rng.uniform(1.1, 1.5)), float(rng.uniform(0.84, 1.08)), float(rng.uniform(0.68, 1.02)), 0.0
        )
    return Proportions(
        float(rng.uniform(0.95, 1.07)), float(rng.uniform(0.94, 1.05)), float(rng.uniform(0.93, 1.06)), sag
    )
