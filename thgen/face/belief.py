"""Whether a frame of a clip still shows the face that was followed into it: a black frame, a title or a hand does not.

One look per frame is cheap and credulous: of black, of a hand or of a blob before the face the analyser says with
confidence where the face went. So a frame must show light and detail where the face is, and must look like a frame of
the same clip that was believed before. One that does not is asked like a new face (`Looker.cross_examine`).
"""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np

from thgen.face.crop import ANALYSER, Square
from thgen.face.look import MIN_CONFIDENCE, Look, Looker

PATCH = 32  # px of what is compared
PATCH_PART = 0.7  # of the analyser's square: brows to chin, and little of what is behind the head
# Levels of luma, standard deviation. Faces of real clips have 26 and more. Faded to a tenth of the light or to white,
# with 3 to 5, landmarks are off by 2 to 8 % of the distance between the eyes and the head's turn by 2 to 12 degrees.
MIN_CONTRAST = 5.0
# Correlation of two patches of one face. Real clips: 1.4 % of the frames are less like all that were kept. What came
# before the face reached 0.63.
MIN_LIKENESS = 0.7
KEPT = 8  # patches that are kept; with one, a clip of grimaces asks again in 13 % of its frames, with 8 in 5 %
# Confidence of a face that is found again elsewhere in the frame, if it does not look like the clip's: real clips have
# 0.83 and more, a bright wall behind a covered face had 0.72.
SURE = 0.8
MIN_DETAIL = 3.0  # levels of luma, standard deviation of a whole frame that is worth a search


def has_detail(frame: np.ndarray) -> bool:
    """Whether a frame uint8 [H W 3] shows anything at all: black, white and other plain frames do not."""
    step = max(1, min(frame.shape[:2]) // 64)
    return float(_luma(frame[::step, ::step]).std()) >= MIN_DETAIL


def face_patch(frame: np.ndarray, square: Square) -> np.ndarray:
    """Luma float32 [32 32], 0 to 255, of the face in an analyser's square of a frame uint8 [H W 3], in px.

    The part that lies outside the frame is cut off; all of it outside gives a plain patch.
    """
    height, width = frame.shape[:2]
    half = PATCH_PART * square.side / 2
    x, y = square.x, square.y + ANALYSER.lift * square.side
    x0, x1 = max(0, round(x - half)), min(width, round(x + half))
    y0, y1 = max(0, round(y - half)), min(height, round(y + half))
    if x1 <= x0 or y1 <= y0:
        return np.zeros((PATCH, PATCH), np.float32)
    step = max(1, int(half / PATCH))  # every other pixel of a large face is enough, and costs a quarter
    return cv2.resize(_luma(frame[y0:y1:step, x0:x1:step]), (PATCH, PATCH), interpolation=cv2.INTER_AREA)


def _luma(image: np.ndarray) -> np.ndarray:
    """uint8 RGB [H W 3] -> float32 [H W], 0 to 255."""
    return cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY).astype(np.float32)


class Belief:
    """What the face of one clip has looked like so far."""

    def __init__(self, looker: Looker) -> None:
        self._looker = looker
        self._kept: deque[np.ndarray] = deque(maxlen=KEPT)

    def holds(self, frame: np.ndarray, look: Look, confidence: float | None = None) -> bool:
        """Whether `look` at a frame uint8 [H W 3] shows the clip's face. confidence: of a face that was sought and has
        been cross-examined (`Candidate.confidence`); None: of one that was followed into this frame."""
        patch = face_patch(frame, look.next_square)
        if patch.std() < MIN_CONTRAST:
            return False
        if self._likeness(patch) >= MIN_LIKENESS:
            return True
        if confidence is None:
            least, confidence = MIN_CONFIDENCE, self._looker.cross_examine(frame, [look])[0].confidence
        else:
            least = SURE if self._kept else MIN_CONFIDENCE
        if confidence < least:
            return False
        self._kept.append(_unit(patch))
        return True

    def _likeness(self, patch: np.ndarray) -> float:
        """Correlation, -1 to 1, with the kept patch that is most like it; -1 where none is kept."""
        unit = _unit(patch)
        return max((float(unit @ other) for other in self._kept), default=-1.0)


def _unit(patch: np.ndarray) -> np.ndarray:
    """A patch [32 32] as a vector [1024] of mean 0 and length 1: brightness and contrast do not count."""
    flat = patch.ravel() - patch.mean()
    return flat / max(float(np.linalg.norm(flat)), 1e-6)
