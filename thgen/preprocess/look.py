"""What the analyser says about squares of a photo, and whether to believe that a human face is there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from thgen.preprocess.crop import (
    ANALYSER,
    ANALYSER_SIZE,
    Square,
    landmark_extent,
    landmark_square,
    sample_square,
)

if TYPE_CHECKING:
    from thgen.networks.analyser import Analysis

BATCH = 32  # crops per forward pass: bounds memory while a whole pyramid is searched

# Which of the 68 landmarks each becomes when the image is mirrored.
MIRROR_68 = np.array(
    [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, *range(35, 30, -1), 45, 44, 43, 42, 47, 46, 39, 38, 37, 36,
     41, 40, *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), 67, 66, 65]
)  # fmt: skip

# A face is believed when the analyser says so, and agrees with itself: the crop that its landmarks ask for is the crop
# that it was given, and the mirror image has mirrored landmarks. A non-face rarely passes even one of the three.
MIN_SCORE = 0.5  # probability
MAX_SHIFT = 0.15  # of the side
MAX_ZOOM = 0.25  # natural logarithm of the ratio of sides
MAX_MIRROR = 0.08  # mean distance, of the landmarks' extent


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
        """One look at each square of photo uint8 [H W 3]; `mirrored` shows the crops, and tells of them, mirrored."""
        if not squares:
            return []
        crops = np.stack([sample_square(photo, s, ANALYSER_SIZE) for s in squares])
        if mirrored:
            crops = crops[:, :, ::-1]
        analysis = self.analyse(torch.from_numpy(np.ascontiguousarray(crops.transpose(0, 3, 1, 2))))
        scores = analysis.face.reshape(-1).sigmoid().tolist()
        return [Look(s, take(analysis, slice(i, i + 1)), scores[i]) for i, s in enumerate(squares)]

    def refine(self, photo: np.ndarray, squares: Sequence[Square]) -> list[Look]:
        """The proposals that hold a face, after the analyser moved each square twice by its own landmarks."""
        first = self.looks(photo, squares)
        second = self.looks(photo, [k.next_square for k in first if sane(k, photo)])
        third = self.looks(photo, [k.next_square for k in second if sane(k, photo)])
        likely = [k for k in third if k.score >= MIN_SCORE and k.settled() and sane(k, photo)]
        mirrored = self.looks(photo, [k.square for k in likely], mirrored=True)
        return [
            k
            for k, m in zip(likely, mirrored, strict=True)
            if m.score >= MIN_SCORE and mirror_error(k, m) <= MAX_MIRROR
        ]


def sane(look: Look, photo: np.ndarray) -> bool:
    """Whether a look leads on to a square of sensible size with its centre in the photo."""
    height, width = photo.shape[:2]
    new = look.next_square
    inside = 0 <= new.x <= width and 0 <= new.y + ANALYSER.lift * new.side <= height
    return inside and 8 <= new.side <= 4 * max(height, width)


def mirror_error(look: Look, mirrored: Look) -> float:
    """Mean distance of the 68 landmarks from those of the mirrored crop, as a part of their extent."""
    ours = look.analysis.keypoints[0, :68, :2].numpy()
    theirs = mirrored.analysis.keypoints[0, MIRROR_68, :2].numpy() * [-1, 1]
    return float(np.linalg.norm(ours - theirs, axis=1).mean() / landmark_extent(ours))


def between(points: np.ndarray, source: Square, target: Square) -> np.ndarray:
    """points [K 2 or 3] normalised in `source` -> normalised in `target`."""
    return target.to_normalised(source.from_normalised(points))
