"""Finds all faces of a picture. The cascade proposes squares and the analyser accepts or rejects them.

If the cascade proposes nothing useful, a pyramid of windows is searched. Pictures that lie on their side or are upside
down are also searched in the other orientations.
"""

from __future__ import annotations

import numpy as np

from thgen.face.belief import has_detail
from thgen.face.detect import CascadeDetector, search_windows, suppress
from thgen.face.look import Candidate, Looker

SIZES = (1.0, 0.75, 0.56, 0.42, 0.31)  # sides of the searched windows, as parts of the picture's shorter edge
STEP = 0.3  # distance of windows, as a part of their side: `refine` corrects an offset of this size
BEST = 12  # windows with the highest scores, which are refined
TURNS = (90, 270, 180)  # degrees clockwise; the most common first


class Search:
    """Face search. It has no state and may be used from several threads."""

    def __init__(self, looker: Looker) -> None:
        self._looker = looker
        self._cascade = CascadeDetector()

    def find(self, photo: np.ndarray, thorough: bool = True) -> list[Candidate]:
        """Upright human faces (roll up to 40 degrees) of a photo uint8 [H W 3] of moderate size, in its px.

        Each step costs more than the one before and runs only if that one found no face. thorough: False runs only the
        first step.
        """
        if not has_detail(photo):
            return []
        found = self._looker.refine(photo, self._cascade.propose(photo))
        if found or not thorough:
            return found
        proposals = [
            square
            for angle, mirrored in ((0.0, True), (-25.0, False), (25.0, False))
            for square in self._cascade.propose(photo, angle, mirrored)
        ]
        return self._looker.refine(photo, proposals) or self._windows(photo)

    def turned(self, photo: np.ndarray, thorough: bool = True) -> tuple[int, list[Candidate]]:
        """Which of TURNS, degrees clockwise, makes the faces of a photo uint8 [H W 3] upright, and these faces.

        The faces are in px of the turned photo. Of several turns the one with the highest confidence is taken. Returns
        0 and no face if no turn shows one.
        """
        if not has_detail(photo):
            return 0, []
        found = self._best({turn: self.find(rotated(photo, turn), thorough=False) for turn in TURNS})
        if found[1] or not thorough:
            return found
        return self._best({turn: self._windows(rotated(photo, turn)) for turn in TURNS})

    @staticmethod
    def _best(found: dict[int, list[Candidate]]) -> tuple[int, list[Candidate]]:
        sure = {turn: max(c.confidence for c in faces) for turn, faces in found.items() if faces}
        if not sure:
            return 0, []
        turn = max(sure, key=lambda t: sure[t])
        return turn, found[turn]

    def _windows(self, photo: np.ndarray) -> list[Candidate]:
        """Faces from a pyramid of windows over the photo, for those that the cascade misses."""
        height, width = photo.shape[:2]
        looks = self._looker.looks(photo, list(search_windows(height, width, SIZES, STEP)))
        best = suppress([k.square for k in looks], [k.score for k in looks])[:BEST]
        return self._looker.refine(photo, [looks[i].next_square for i in best])


def rotated(photo: np.ndarray, degrees: int) -> np.ndarray:
    """photo [H W 3] turned clockwise by a multiple of 90 degrees."""
    return np.ascontiguousarray(np.rot90(photo, -degrees // 90))
