"""Drawn faces with known landmarks, and an analyser for them. No weights and no real person are needed."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import nn

from thgen.face.observe import MIRROR_68

EYES, MOUTH = (36, 45), 66  # outer eye corners, lower lip: the three dots that are drawn


def template() -> np.ndarray:
    """Mirror-symmetric landmarks float64 [68 2], unit half the face's height, y down.

    Jaw, brows, eyes and nose have human proportions. The other landmarks are random.
    """
    rng = np.random.default_rng(0)
    points = rng.uniform(-0.5, 0.5, (68, 2))
    angle = np.linspace(np.pi, 0, 17)
    points[:17] = np.stack([np.cos(angle) * 0.8, np.sin(angle) * 1.0], 1)
    points[17:27] = np.stack([np.linspace(-0.7, 0.7, 10), np.full(10, -1.0)], 1)
    points[36], points[45], points[66] = (-0.5, -0.5), (0.5, -0.5), (0.0, 0.5)
    points[27], points[33], points[31], points[35] = (0.0, -0.5), (0.0, 0.08), (-0.15, 0.05), (0.15, 0.05)
    mirrored = points[MIRROR_68] * [-1, 1]
    return (points + mirrored) / 2


TEMPLATE = template()


@dataclass(frozen=True)
class DrawnFace:
    """Place of a drawn face: centre and half its height, px from edge to edge."""

    x: float
    y: float
    radius: float

    @property
    def landmarks(self) -> np.ndarray:
        return TEMPLATE * self.radius + [self.x, self.y]


def dot(image: np.ndarray, x: float, y: float, radius: float, colour: tuple[int, int, int]) -> None:
    """A disc with anti-aliased edges at exact edge-to-edge coordinates, drawn in place on uint8 [H W 3]."""
    height, width = image.shape[:2]
    ys, xs = np.mgrid[:height, :width] + 0.5
    cover = np.clip(radius + 0.5 - np.hypot(xs - x, ys - y), 0, 1)[..., None]
    image[:] = np.rint(image * (1 - cover) + np.array(colour) * cover).astype(np.uint8)


def draw(height: int, width: int, faces: list[DrawnFace], background: int = 90) -> np.ndarray:
    image = np.full((height, width, 3), background, np.uint8)
    for face in faces:
        dot(image, face.x, face.y, face.radius * 1.1, (200, 200, 200))
        for i in EYES:
            dot(image, *face.landmarks[i], face.radius * 0.12, (255, 0, 0))
        dot(image, *face.landmarks[MOUTH], face.radius * 0.12, (0, 0, 255))
    return image


@dataclass
class FakeAnalysis:
    keypoints: torch.Tensor
    pose: torch.Tensor
    gaze: torch.Tensor
    openness: torch.Tensor
    coefficients: torch.Tensor
    face: torch.Tensor


class DotAnalyser(nn.Module):
    """Detects the dots of `draw`: two red dots and a blue one below them are a face."""

    def __init__(self, pose: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> None:
        super().__init__()
        self.pose = pose
        self.calls = 0

    def forward(self, x: torch.Tensor) -> FakeAnalysis:
        self.calls += len(x)
        rows = [self._read((image.permute(1, 2, 0).numpy() + 1) * 127.5) for image in x]
        n = len(rows)
        keypoints = torch.tensor(np.stack([r[0] for r in rows]), dtype=torch.float32)
        return FakeAnalysis(
            torch.cat([keypoints, torch.zeros(n, 68, 1)], -1),
            torch.tensor([self.pose] * n),
            torch.zeros(n, 2, 2),
            torch.full((n, 2), 100.0),
            torch.zeros(n, 57),
            torch.tensor([r[1] for r in rows]),
        )

    def _read(self, image: np.ndarray) -> tuple[np.ndarray, float]:
        red = _centres(image[..., 0] - image[..., 1])
        blue = _centres(image[..., 2] - image[..., 1])
        pair = [(a, b) for a in red for b in red if a[0] < b[0]]
        if not pair or not blue:
            return TEMPLATE * 0.6, -9.0
        # If the crop shows several faces, take the one nearest to the centre.
        left, right = min(pair, key=lambda p: np.linalg.norm((p[0] + p[1]) / 2) + np.linalg.norm(p[1] - p[0]))
        mouth = min(blue, key=lambda m: np.linalg.norm(m - (left + right) / 2))
        basis = np.array([TEMPLATE[EYES[0]], TEMPLATE[EYES[1]], TEMPLATE[MOUTH]])
        dots = np.array([left, right, mouth])
        scale = np.linalg.norm(dots[1] - dots[0]) / np.linalg.norm(basis[1] - basis[0])
        return (TEMPLATE - basis.mean(0)) * scale + dots.mean(0), 9.0


def _centres(strength: np.ndarray) -> list[np.ndarray]:
    """Weighted centres of the blobs of [H W], normalised to [-1, 1]."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats((strength > 60).astype(np.uint8))
    out = []
    for i in range(1, count):
        if stats[i, cv2.CC_STAT_AREA] < 4:
            continue
        grown = cv2.dilate((labels == i).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        weight = np.where(grown, np.clip(strength, 0, None), 0)
        ys, xs = np.mgrid[: strength.shape[0], : strength.shape[1]] + 0.5
        centre = np.array([(xs * weight).sum(), (ys * weight).sum()]) / weight.sum()
        out.append(2 * centre / strength.shape[0] - 1)
    return out
