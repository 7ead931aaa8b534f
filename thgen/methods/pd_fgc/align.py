"""The alignment of PC-AVS and PD-FGC: eyes and mouth at the places of a template, the mouth fixed in every frame.

The released weights depend on it. So it follows the released aligner step by step and resamples with OpenCV.
"""

from __future__ import annotations

import cv2
import numpy as np

from thgen.face_parts.geometry import similarity

SIDE = 224  # side of the aligned frame, px
ANCHORS = (range(36, 42), range(42, 48), range(60, 68))  # landmarks: left and right eye in the picture, inner mouth
TEMPLATE = np.array([[87.0, 59.0], [137.0, 59.0], [112.0, 120.0]])  # places of the three anchors, px
FOLLOW = 0.8  # weight of a frame's own shift; the previous frame's shift has the rest
LEFT, RIGHT, BOTTOM = 16, 16, 32  # px removed at three sides after the alignment; none at the top
KEPT = SIDE - BOTTOM


def anchors(landmarks: np.ndarray) -> np.ndarray:
    """Landmarks [T 68 2+] -> centres of both eyes and the mouth [T 3 2], in the same units."""
    return np.stack([landmarks[:, list(group), :2].mean(1) for group in ANCHORS], 1).astype(np.float64)


class Aligner:
    """Aligns the frames of one clip, all with the same rotation and scale.

    reference: landmarks [T 68 2+] in pixels, whose mean anchors determine rotation and scale.
    """

    def __init__(self, reference: np.ndarray):
        self.matrix = similarity(anchors(reference).mean(0), TEMPLATE)
        self._bias: np.ndarray | None = None

    def transform(self, landmarks: np.ndarray) -> np.ndarray:
        """Matrix [2 3] from picture to aligned frame, px, for the next frame's landmarks [68 2+].

        It moves the mouth to its place in the template. The shift is a mean with that of the previous frame (FOLLOW).
        """
        mouth = anchors(landmarks[None])[0, 2]
        bias = TEMPLATE[2] - (self.matrix[:, :2] @ mouth + self.matrix[:, 2])
        if self._bias is not None:
            bias = (1 - FOLLOW) * self._bias + FOLLOW * bias
        self._bias = bias
        return np.concatenate([self.matrix[:, :2], (self.matrix[:, 2] + bias)[:, None]], 1)

    def align(self, image: np.ndarray, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The next frame, uint8 [H W 3] -> input of the networks, uint8 [224 224 3], and the matrix [2 3] from pixels
        of the frame to those of the input."""
        matrix = self.transform(landmarks)
        aligned = cv2.warpAffine(image, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR)
        cut = aligned[:KEPT, LEFT : SIDE - RIGHT]
        # The half pixels: OpenCV aligns the outer edges of pixels when it resizes.
        scale = SIDE / KEPT
        matrix = scale * (matrix - [[0, 0, LEFT], [0, 0, 0]]) + [[0, 0, (scale - 1) / 2], [0, 0, (scale - 1) / 2]]
        return cv2.resize(cut, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR), matrix
