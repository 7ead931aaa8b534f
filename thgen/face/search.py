"""Finds all faces of a picture. The cascade proposes squares and the analyser accepts or rejects them.

If the cascade proposes nothing useful, a pyramid of windows is searched. Pictures that lie on their side or are upside
down are also searched in the other orientations.
"""

from __future__ import annotations

import numpy as np

from thgen.face.belief import has_detail
from thgen.face.detect import CascadeDetector, search_windows, suppress
from thgen.face.observe import Candidate, Observer

SIZES = (1.0, 0.75, 0.56, 0.42, 0.31)  # sides of the searched windows, as parts of the picture's shorter edge
STEP = 0.3  # distance of windows, as a part of their side: `refine` corrects an offset of this size
BEST = 12  # windows with the highest scores, which are refined
TURNS = (90, 270, 180)  # degrees clockwise; the most common first


class Search:
    """Face search. It has no state and may be used from several threads."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._cascade = CascadeDetector()

    def find(self, photo: np.ndarray, thorough: bool = True) -> list[Candidate]:
        """Upright human faces (roll up to 40 degrees) of a photo uint8 [H W 3] of moderate size, in its px.

        Each step costs more than the one before and runs only if that one found no face. thorough: False runs only the
        first step.
        """
        if not has_detail(photo):
            return []
        faces = self._observer.refine(photo, self._cascade.propose(photo))
        if faces or not thorough:
            return faces
        proposals = [
            square
            for angle, mirrored in ((0.0, True), (-25.0, False), (25.0, False))
            for square in self._cascade.propose(photo, angle, mirrored)
        ]
        return self._observer.refine(photo, proposals) or self._windows(photo)

    def turned(self, photo: np.ndarray, thorough: bool = True) -> tuple[int, list[Candidate]]:
        """Which of TURNS, degrees clockwise, makes the faces of a photo uint8 [H W 3] upright, and these faces.

        The faces are in px of the turned photo. Of several turns the one with the highest confidence is taken. Returns
        0 and no face if no turn shows one.
        """
        if not has_detail(photo):
            return 0, []
        best = self._best({turn: self.find(rotated(photo, turn), thorough=False) for turn in TURNS})
        if best[1] or not thorough:
            return best
        return self._best({turn: self._windows(rotated(photo, turn)) for turn in TURNS})

    @staticmethod
    def _best(candidates: dict[int, list[Candidate]]) -> tuple[int, list[Candidate]]:
        """The turn whose best candidate has the highest confidence; 0 if no turn has a candidate."""
        confidence = {turn: max(c.confidence for c in faces) for turn, faces in candidates.items() if faces}
        if not confidence:
            return 0, []
        turn = max(confidence, key=lambda t: confidence[t])
        return turn, candidates[turn]

    def _windows(self, photo: np.ndarray) -> list[Candidate]:
        """Faces from a pyramid of windows over the photo, for those that the cascade misses."""
        height, width = photo.shape[:2]
        observations = self._observer.observe(photo, list(search_windows(height, width, SIZES, STEP)))
        best = suppress([k.square for k in observations], [k.score for k in observations])[:BEST]
        return self._observer.refine(photo, [observations[i].next_square for i in best])


def rotated(photo: np.ndarray, degrees: int) -> np.ndarray:
    """photo [H W 3] turned clockwise by a multiple of 90 degrees."""
    return np.ascontiguousarray(np.rot90(photo, -degrees // 90))
