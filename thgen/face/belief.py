"""Checks that a frame of a clip still shows the tracked face. Black frames, titles and covering hands do not.

Tracking runs the analyser once per frame. For a black frame, a hand or a blob in front of the face it still returns a
face with high confidence. So the face region of a frame must be bright, must have contrast, and must resemble a frame
of the same clip that was accepted before. If it does not, it is checked like a new face (`Observer.recheck`).
"""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np

from thgen.face.crop import ANALYSER, Square
from thgen.face.observe import MIN_CONFIDENCE, Observation, Observer

PATCH = 32  # side of the compared face patch, px
# Side of the patch, as a part of the analyser's square: from brows to chin, with little background.
PATCH_PART = 0.7
# Standard deviation of luma (0 to 255) in the patch, at least. Faces of real clips have 26 and more. Faces that are
# faded to a tenth of the light or to white have 3 to 5; their landmarks are off by 2 to 8 % of the distance between
# the eyes, their pose by 2 to 12 degrees.
MIN_CONTRAST = 5.0
# Correlation with an accepted patch, at least. In real clips 1.4 % of the frames are below it; objects that cover the
# face reach 0.63.
MIN_LIKENESS = 0.7
# Accepted patches that are kept for comparison. A clip of grimaces needs the costly check in 13 % of its frames with
# one patch, in 5 % with eight.
KEPT = 8
# Confidence, at least, of a face that was searched for and resembles no accepted patch. Faces of real clips have 0.83
# and more; a bright wall behind a covered face had 0.72.
SURE = 0.8
MIN_DETAIL = 3.0  # standard deviation of luma (0 to 255) of a frame, at least, so that a search is worth its time


def has_detail(frame: np.ndarray) -> bool:
    """Whether a frame uint8 [H W 3] has any content. Black, white and other uniform frames have none."""
    step = max(1, min(frame.shape[:2]) // 64)
    return float(_luma(frame[::step, ::step]).std()) >= MIN_DETAIL


def face_patch(frame: np.ndarray, square: Square) -> np.ndarray:
    """Luma float32 [32 32], 0 to 255, of the face region of `square` in a frame uint8 [H W 3].

    square: in the analyser's framing, px. The part outside the frame is cut off. If all of it is outside, the patch is
    zero.
    """
    height, width = frame.shape[:2]
    half = PATCH_PART * square.side / 2
    x, y = square.x, square.y + ANALYSER.lift * square.side
    x0, x1 = max(0, round(x - half)), min(width, round(x + half))
    y0, y1 = max(0, round(y - half)), min(height, round(y + half))
    if x1 <= x0 or y1 <= y0:
        return np.zeros((PATCH, PATCH), np.float32)
    step = max(1, int(half / PATCH))  # skip pixels of large faces: a step of 2 costs a quarter
    return cv2.resize(_luma(frame[y0:y1:step, x0:x1:step]), (PATCH, PATCH), interpolation=cv2.INTER_AREA)


def _luma(image: np.ndarray) -> np.ndarray:
    """uint8 RGB [H W 3] -> float32 [H W], 0 to 255."""
    return cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY).astype(np.float32)


class Belief:
    """Remembers accepted face patches of one clip and compares later frames with them."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._kept: deque[np.ndarray] = deque(maxlen=KEPT)

    def holds(self, frame: np.ndarray, observation: Observation, confidence: float | None = None) -> bool:
        """Whether `observation` in a frame uint8 [H W 3] is the clip's face.

        confidence: `Candidate.confidence` of a face that was searched for; None for a face that was tracked.
        """
        patch = face_patch(frame, observation.next_square)
        if patch.std() < MIN_CONTRAST:
            return False
        if self._likeness(patch) >= MIN_LIKENESS:
            return True
        if confidence is None:
            least, confidence = MIN_CONFIDENCE, self._observer.recheck(frame, [observation])[0].confidence
        else:
            least = SURE if self._kept else MIN_CONFIDENCE
        if confidence < least:
            return False
        self._kept.append(_unit(patch))
        return True

    def _likeness(self, patch: np.ndarray) -> float:
        """Highest correlation with a kept patch, -1 to 1; -1 if none is kept."""
        unit = _unit(patch)
        return max((float(unit @ other) for other in self._kept), default=-1.0)


def _unit(patch: np.ndarray) -> np.ndarray:
    """A patch [32 32] as a vector [1024] of mean 0 and length 1, without its brightness and contrast."""
    flat = patch.ravel() - patch.mean()
    return flat / max(float(np.linalg.norm(flat)), 1e-6)
