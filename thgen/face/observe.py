"""Runs the analyser on squares of a photo and decides which of them show a human face."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from thgen.face.crop import (
    ANALYSER,
    ANALYSER_SIZE,
    Square,
    landmark_extent,
    landmark_square,
    sample_square,
)
from thgen.face.human import MOST_STRANGE, face_per_eyes, strangeness

if TYPE_CHECKING:
    from thgen.analyser.network import Analysis

BATCH = 32  # crops per forward pass: limits memory while a whole pyramid is searched

# Number of the landmark that takes the place of each of the 68 in the mirrored image.
MIRROR_68 = np.array(
    [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, *range(35, 30, -1), 45, 44, 43, 42, 47, 46, 39, 38, 37, 36,
     41, 40, *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), 67, 66, 65]
)  # fmt: skip

MIN_SCORE = 0.5  # probability of a face in one square, at least
# Difference between the square that was analysed and the analyser's square around its landmarks, at most.
MAX_SHIFT = 0.15  # part of the side
MAX_ZOOM = 0.25  # natural logarithm of the ratio of sides

# Framings in which a candidate is analysed again: shift x, shift y (parts of the side), zoom, mirrored. Landmarks of a
# real face stay at their places. For other objects they move with the framing, or do not mirror with the picture.
RECHECK_FRAMINGS = (
    (0.08, 0.05, 1.0, False),
    (-0.08, -0.05, 1.0, True),
    (0.0, 0.07, 1.13, True),
    (0.0, -0.07, 0.88, False),
)
# Mean shift of the landmarks between framings, as a part of their extent, that lowers the confidence to 1 / e.
DOUBT = 0.06
# Confidence of a face, at least. Real, drawn and painted people have 0.81 and more under all tested light, noise and
# tilts, and 0.70 with a covered mouth. 9 of 10 objects once mistaken for a face (a giraffe, a dome) have 0.50 to 0.62
# (docs/measured.md, 2).
MIN_CONFIDENCE = 0.63
RIVAL = 0.5  # confidence of a second face, at least, relative to the best one

# Framings over which a photo's analysis is averaged: shifts of the centre and change of the side, in half-sides. There
# are many, because a photo is analysed only once.
AROUND = tuple((x, y, z) for z in (-0.08, 0.0, 0.1) for x, y in ((0, 0), (0.05, 0.04), (-0.05, 0.04), (0, -0.06)))


@dataclass(frozen=True)
class Observation:
    """One square of a photo and its analysis (batch size 1, CPU)."""

    square: Square
    analysis: Analysis
    score: float  # probability of a human face, 0 to 1

    @property
    def keypoints(self) -> np.ndarray:
        """float64 [K 3] in photo px; z in the same scale, 0 in the plane of the face's centre."""
        return self.square.from_normalised(self.analysis.keypoints[0].numpy())

    @property
    def landmarks(self) -> np.ndarray:
        """float64 [68 2] in photo px."""
        return self.keypoints[:68, :2]

    @property
    def next_square(self) -> Square:
        """The analyser's square around these landmarks."""
        return landmark_square(self.landmarks, ANALYSER)

    def settled(self) -> bool:
        """Whether `next_square` is about the square that was analysed."""
        new, old = self.next_square, self.square
        shift = math.hypot(new.x - old.x, new.y - old.y) / old.side
        return shift <= MAX_SHIFT and abs(math.log(new.side / old.side)) <= MAX_ZOOM


@dataclass(frozen=True)
class Candidate:
    """A possible face, analysed in several framings.

    look: the analysis in the first framing; landmarks float64 [68 2]: mean over the framings, photo px; score: mean
    probability; doubt: mean shift of the landmarks between framings, as a part of their extent; per_eyes: mean
    proportions of the face (`human.face_per_eyes`).
    """

    observation: Observation
    landmarks: np.ndarray
    score: float
    doubt: float
    per_eyes: float

    @property
    def confidence(self) -> float:
        """0 to 1: the score, lowered by the doubt."""
        return self.score * math.exp(-((self.doubt / DOUBT) ** 2))

    @property
    def human(self) -> bool:
        """Whether the confidence is sufficient and the proportions are human, see `human`."""
        return self.confidence >= MIN_CONFIDENCE and strangeness(self.per_eyes, self.score) < MOST_STRANGE


def take(analysis: Analysis, index: slice) -> Analysis:
    """The rows of a batch of analyses."""
    return type(analysis)(**{f.name: getattr(analysis, f.name)[index] for f in fields(analysis)})


class Observer:
    """Runs the analyser on squares of photos."""

    def __init__(self, analyser: nn.Module, device: torch.device) -> None:
        self.analyser = analyser.to(device).eval()
        self.device = device

    @torch.inference_mode()
    def analyse(self, crops: Tensor) -> Analysis:
        """crops uint8 [N 3 128 128] -> Analysis of N rows, float32 on the CPU."""
        parts = [self.analyser(c.to(self.device).float() / 127.5 - 1) for c in crops.split(BATCH)]
        names = [f.name for f in fields(parts[0])]
        return type(parts[0])(**{n: torch.cat([getattr(p, n).float().cpu() for p in parts]) for n in names})

    def observe(self, photo: np.ndarray, squares: Sequence[Square], mirrored: bool = False) -> list[Observation]:
        """Analyse each square of photo uint8 [H W 3], one batch at a time.

        mirrored: analyse mirrored crops; the analyses then refer to the mirrored crops.
        """
        out = []
        for start in range(0, len(squares), BATCH):
            batch = squares[start : start + BATCH]
            crops = np.stack([sample_square(photo, s, ANALYSER_SIZE) for s in batch])
            if mirrored:
                crops = crops[:, :, ::-1]
            analysis = self.analyse(torch.from_numpy(np.ascontiguousarray(crops.transpose(0, 3, 1, 2))))
            scores = analysis.face.reshape(-1).sigmoid().tolist()
            out += [Observation(s, take(analysis, slice(i, i + 1)), scores[i]) for i, s in enumerate(batch)]
        return out

    def average(self, photo: np.ndarray, square: Square) -> Observation:
        """The mean analysis over the framings AROUND `square`, which is more stable than a single one."""
        half = square.side / 2
        moved = [Square(square.x + half * x, square.y + half * y, square.side * (1 + z)) for x, y, z in AROUND]
        observations = self.observe(photo, moved)
        kind = type(observations[0].analysis)
        mean = {
            f.name: torch.cat([getattr(o.analysis, f.name) for o in observations]).mean(0, keepdim=True)
            for f in fields(kind)
        }
        keypoints = square.to_normalised(np.mean([o.keypoints for o in observations], axis=0)).astype(np.float32)
        mean["keypoints"] = torch.from_numpy(keypoints)[None]
        return Observation(square, kind(**mean), float(np.mean([o.score for o in observations])))

    def refine(self, photo: np.ndarray, squares: Sequence[Square]) -> list[Candidate]:
        """The proposed squares that show a human face, after two corrections of each by its landmarks."""
        first = self.observe(photo, squares)
        second = self.observe(photo, [o.next_square for o in first if sane(o, photo)])
        third = self.observe(photo, [o.next_square for o in second if sane(o, photo)])
        likely = [o for o in third if o.score >= MIN_SCORE / 2 and o.settled() and sane(o, photo)]
        sure = [c for c in self.recheck(photo, likely) if c.human]
        best = max((c.confidence for c in sure), default=0.0)
        return [c for c in sure if c.confidence >= RIVAL * best]

    def recheck(self, photo: np.ndarray, observations: Sequence[Observation]) -> list[Candidate]:
        """Analyse each square again in the framings RECHECK_FRAMINGS. Returns one candidate per given square."""
        readings = [[(k.landmarks, k.score, face_per_eyes(k.analysis)[0])] for k in observations]
        for dx, dy, zoom, mirrored in RECHECK_FRAMINGS:
            moved = [_moved(k.square, dx, dy, zoom) for k in observations]
            for rows, again in zip(readings, self.observe(photo, moved, mirrored), strict=True):
                points = mirrored_back(again) if mirrored else again.landmarks
                rows.append((points, again.score, face_per_eyes(again.analysis)[0]))
        out = []
        for observation, rows in zip(observations, readings, strict=True):
            points, scores, per_eyes = (np.stack(column) for column in zip(*rows, strict=True))
            doubt = np.linalg.norm(points[1:] - points[0], axis=2).mean() / landmark_extent(points[0])
            out.append(
                Candidate(observation, points.mean(0), float(scores.mean()), float(doubt), float(per_eyes.mean()))
            )
        return out


def _moved(square: Square, dx: float, dy: float, zoom: float) -> Square:
    return Square(square.x + dx * square.side, square.y + dy * square.side, square.side * zoom)


def mirrored_back(observation: Observation) -> np.ndarray:
    """Landmarks float64 [68 2] in photo px from the analysis of a mirrored crop."""
    mirrored = observation.analysis.keypoints[0, MIRROR_68, :2].numpy() * [-1, 1]
    return observation.square.from_normalised(mirrored)


def sane(observation: Observation, photo: np.ndarray) -> bool:
    """Whether the next square has a plausible size and a centre inside the photo."""
    height, width = photo.shape[:2]
    new = observation.next_square
    inside = 0 <= new.x <= width and 0 <= new.y + ANALYSER.lift * new.side <= height
    return inside and 8 <= new.side <= 4 * max(height, width)
