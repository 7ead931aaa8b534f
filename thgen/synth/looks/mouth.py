"""Inside of a performer's mouth: teeth, tongue and darkness. All of it differs from person to person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thgen.synth.head import facekit as fk

TEETH_LOWER = 0.45  # cm: largest random shift of the upper teeth down, since the mesh shows little of them
LOWER_TEETH = (-0.5, 0.3)  # cm: range of the random shift of the lower teeth up
TONGUE_LIFT, TONGUE_FORWARD = 1.1, 0.5  # cm: largest shift of the tongue from its place deep between the lower teeth
TONGUE_HALF, TONGUE_TIP = 1.6, 9.4  # cm: half-width of the tongue, and z of its tip, behind the lower teeth
TONGUE_TOP = -4.0  # cm: the tongue lies above this height, gums and floor of the mouth below
GAP = 0.04  # share of performers whose teeth are as dark as the mouth around them, as in many paintings
DARKEST = (0.04, 0.5)  # range of the brightness deep in the mouth


@dataclass(frozen=True)
class Mouth:
    """Colours [3] of the inside, and how it is lit.

    fade: loss of brightness per cm behind the lips. darkest: lowest brightness. upper, lower: shifts of the teeth up,
    cm. tongue: shift of the tongue up and forward, cm.
    """

    skin: np.ndarray
    gums: np.ndarray
    teeth: np.ndarray
    fade: float
    darkest: float
    upper: float
    lower: float
    tongue: tuple[float, float]

    def move(self, points: np.ndarray, mesh: fk.HeadMesh) -> None:
        """Shift teeth and tongue of the neutral head [N 3], in place."""
        upper = mesh.upper_teeth
        points[upper, 1] += self.upper
        lower = np.isin(mesh.part, (fk.TEETH, fk.GUMS)) & ~upper
        points[lower & (mesh.part == fk.TEETH), 1] += self.lower
        x, y, z = np.moveaxis(mesh.vertices, -1, 0)
        inner = _ramp(TONGUE_HALF - np.abs(x), 0.6) * _ramp(TONGUE_TIP - z, 0.6) * _ramp(y - TONGUE_TOP, 0.6)
        weight = np.where(lower & (mesh.part == fk.GUMS), inner, 0)
        points[:, 1] += weight * self.tongue[0]
        points[:, 2] += weight * self.tongue[1]

    def paint(self, colour: np.ndarray, part: np.ndarray, behind: np.ndarray) -> None:
        """Colours [N 3] of the inside, in place. behind [N]: distance behind the lips, cm: less light enters there."""
        for label, tone in ((fk.MOUTH, self.skin), (fk.GUMS, self.gums), (fk.TEETH, self.teeth)):
            inside = part == label
            dim = np.clip(1.05 - self.fade * np.maximum(0, behind[inside]), self.darkest, 1)
            colour[inside] = 0.85 * dim[:, None] * tone


def sample_mouth(rng: np.random.Generator, tone: np.ndarray) -> Mouth:
    """A random inside. tone [3]: colour of the teeth."""
    skin = np.array([0.32, 0.09, 0.08]) * rng.uniform(0.5, 1.8)
    gums = np.array([0.58, 0.24, 0.23]) * rng.uniform(0.6, 1.5) * (1 + 0.1 * rng.standard_normal(3))
    teeth = tone * rng.uniform(0.7, 1.05) * np.array([1, 1, rng.uniform(0.85, 1.05)])
    if rng.random() < GAP:
        teeth = skin * rng.uniform(0.8, 1.5)
    return Mouth(
        skin, np.clip(gums, 0, 1), np.clip(teeth, 0, 1), float(rng.uniform(0.1, 0.45)), float(rng.uniform(*DARKEST)),
        -float(rng.uniform(0, TEETH_LOWER)), float(rng.uniform(*LOWER_TEETH)),
        (float(rng.uniform(0, TONGUE_LIFT)), float(rng.uniform(0, TONGUE_FORWARD))),
    )  # fmt: skip


def _ramp(distance: np.ndarray, width: float) -> np.ndarray:
    """0 up to distance 0, 1 from `width` on."""
    return np.clip(distance / width, 0, 1)
