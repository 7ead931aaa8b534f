"""What the analyser says about squares of a photo, and whether to believe that a human face is there."""

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

BATCH = 32  # crops per forward pass: bounds memory while a whole pyramid is searched

# Which of the 68 landmarks each becomes when the image is mirrored.
MIRROR_68 = np.array(
    [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, *range(35, 30, -1), 45, 44, 43, 42, 47, 46, 39, 38, 37, 36,
     41, 40, *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), 67, 66, 65]
)  # fmt: skip

MIN_SCORE = 0.5  # probability; below it a single look sees no face
MAX_SHIFT = 0.15  # of the side
MAX_ZOOM = 0.25  # natural logarithm of the ratio of sides

# A face is believed when the analyser says the same of it from elsewhere. What it makes out of a non-face goes with the
# frame, and lop-sided answers do not turn with the mirrored picture; landmarks of a face stay where they are.
# Each: shift x, shift y (of the side), zoom, mirrored.
CROSS_LOOKS = ((0.08, 0.05, 1.0, False), (-0.08, -0.05, 1.0, True), (0.0, 0.07, 1.13, True), (0.0, -0.07, 0.88, False))
DOUBT = 0.06  # mean shift of the landmarks between looks, of their extent, that takes the confidence down to 1 / e
# Real, drawn and painted people have 0.81 and more in all light, noise and tilts that were tried, 0.70 with the mouth
# covered; 9 of 10 things that were once taken for a face (a giraffe, a dome) 0.50 to 0.62 (docs/measured.md, 2).
MIN_CONFIDENCE = 0.63
RIVAL = 0.5  # a second face must be at least this credible beside the first

# Framings of which a photo's analysis is the mean: shifts of the centre and change of the side, in half-sides. A photo
# is analysed once, so it may cost more than a frame of a clip.
AROUND = tuple((x, y, z) for z in (-0.08, 0.0, 0.1) for x, y in ((0, 0), (0.05, 0.04), (-0.05, 0.04), (0, -0.06)))


@dataclass(frozen=True)
class Look:
    """One square of a photo and what the analyser saw there. `analysis` has batch size 1 and lies on the CPU."""

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
        """The analyser's framing around the landmarks just seen."""
        return landmark_square(self.landmarks, ANALYSER)

    def settled(self) -> bool:
        """Whether the landmarks ask for (about) the square that was looked at."""
        new, old = self.next_square, self.square
        shift = math.hypot(new.x - old.x, new.y - old.y) / old.side
        return shift <= MAX_SHIFT and abs(math.log(new.side / old.side)) <= MAX_ZOOM


@dataclass(frozen=True)
class Candidate:
    """A place that was looked at several times, in photo px: the middle look, and what all of them agree on.

    landmarks float64 [68 2]: their mean; score: mean probability; doubt: how far they wander, part of their extent;
    per_eyes: the face's proportions (`human.face_per_eyes`), mean.
    """

    look: Look
    landmarks: np.ndarray
    score: float
    doubt: float
    per_eyes: float

    @property
    def confidence(self) -> float:
        """0 to 1: the score, less the more the landmarks wander."""
        return self.score * math.exp(-((self.doubt / DOUBT) ** 2))

    @property
    def human(self) -> bool:
        """Whether this is credible and has the face of a human, see `human`."""
        return self.confidence >= MIN_CONFIDENCE and strangeness(self.per_eyes, self.score) < MOST_STRANGE


def take(analysis: Analysis, index: slice) -> Analysis:
    """The rows of a batch of analyses."""
    return type(analysis)(**{f.name: getattr(analysis, f.name)[index] for f in fields(analysis)})


class Looker:
    """The analyser behind squares of photos."""

    def __init__(self, analyser: nn.Module, device: torch.device) -> None:
        self.analyser = analyser.to(device).eval()
        self.device = device

    @torch.inference_mode()
    def analyse(self, crops: Tensor) -> Analysis:
        """crops uint8 [N 3 128 128] -> Analysis of N rows, float32 on the CPU."""
        parts = [self.analyser(c.to(self.device).float() / 127.5 - 1) for c in crops.split(BATCH)]
        names = [f.name for f in fields(parts[0])]
        return type(parts[0])(**{n: torch.cat([getattr(p, n).float().cpu() for p in parts]) for n in names})

    def looks(self, photo: np.ndarray, squares: Sequence[Square], mirrored: bool = False) -> list[Look]:
        """One look at each square of photo uint8 [H W 3]; `mirrored` shows the crops, and tells of them, mirrored.

        Crops exist for one batch at a time: memory does not grow with the number of squares.
        """
        out = []
        for start in range(0, len(squares), BATCH):
            batch = squares[start : start + BATCH]
            crops = np.stack([sample_square(photo, s, ANALYSER_SIZE) for s in batch])
            if mirrored:
                crops = crops[:, :, ::-1]
            analysis = self.analyse(torch.from_numpy(np.ascontiguousarray(crops.transpose(0, 3, 1, 2))))
            scores = analysis.face.reshape(-1).sigmoid().tolist()
            out += [Look(s, take(analysis, slice(i, i + 1)), scores[i]) for i, s in enumerate(batch)]
        return out

    def average(self, photo: np.ndarray, square: Square) -> Look:
        """One look that is the mean of looks from around `square` (AROUND): steadier than any of them."""
        half = square.side / 2
        moved = [Square(square.x + half * x, square.y + half * y, square.side * (1 + z)) for x, y, z in AROUND]
        looks = self.looks(photo, moved)
        mean = {
            f.name: torch.cat([getattr(look.analysis, f.name) for look in looks]).mean(0, keepdim=True)
            for f in fields(looks[0].analysis)
        }
        keypoints = square.to_normalised(np.mean([look.keypoints for look in looks], axis=0)).astype(np.float32)
        mean["keypoints"] = torch.from_numpy(keypoints)[None]
        return Look(square, type(looks[0].analysis)(**mean), float(np.mean([look.score for look in looks])))

    def refine(self, photo: np.ndarray, squares: Sequence[Square]) -> list[Candidate]:
        """The proposals that hold a face, after the analyser moved each square twice by its own landmarks."""
        first = self.looks(photo, squares)
        second = self.looks(photo, [k.next_square for k in first if sane(k, photo)])
        third = self.looks(photo, [k.next_square for k in second if sane(k, photo)])
        likely = [k for k in third if k.score >= MIN_SCORE / 2 and k.settled() and sane(k, photo)]
        sure = [c for c in self.cross_examine(photo, likely) if c.human]
        best = max((c.confidence for c in sure), default=0.0)
        return [c for c in sure if c.confidence >= RIVAL * best]

    def cross_examine(self, photo: np.ndarray, looks: Sequence[Look]) -> list[Candidate]:
        """Each look again from `CROSS_LOOKS`: where do its landmarks stay?"""
        seen = [[(k.landmarks, k.score, face_per_eyes(k.analysis)[0])] for k in looks]
        for dx, dy, zoom, mirrored in CROSS_LOOKS:
            moved = [_moved(k.square, dx, dy, zoom) for k in looks]
            for so_far, again in zip(seen, self.looks(photo, moved, mirrored), strict=True):
                points = mirrored_back(again) if mirrored else again.landmarks
                so_far.append((points, again.score, face_per_eyes(again.analysis)[0]))
        out = []
        for look, rows in zip(looks, seen, strict=True):
            points, scores, per_eyes = (np.stack(column) for column in zip(*rows, strict=True))
            doubt = np.linalg.norm(points[1:] - points[0], axis=2).mean() / landmark_extent(points[0])
            out.append(Candidate(look, points.mean(0), float(scores.mean()), float(doubt), float(per_eyes.mean())))
        return out


def _moved(square: Square, dx: float, dy: float, zoom: float) -> Square:
    return Square(square.x + dx * square.side, square.y + dy * square.side, square.side * zoom)


def mirrored_back(look: Look) -> np.ndarray:
    """Landmarks float64 [68 2] in photo px of a look at a mirrored crop."""
    seen = look.analysis.keypoints[0, MIRROR_68, :2].numpy() * [-1, 1]
    return look.square.from_normalised(seen)


def sane(look: Look, photo: np.ndarray) -> bool:
    """Whether a look leads on to a square of sensible size with its face in the photo."""
    height, width = photo.shape[:2]
    new = look.next_square
    inside = 0 <= new.x <= width and 0 <= new.y + ANALYSER.lift * new.side <= height
    return inside and 8 <= new.side <= 4 * max(height, width)
