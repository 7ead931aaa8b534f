"""Landmarks by face-alignment (FAN, Bulat & Tzimiropoulos 2017), selected with `--landmarks fan`.

The wheel does not contain the weights. The package downloads them from its author's site into torch.hub's folder,
without a checksum. So it is never the default, and a failure to load is an error without a fall-back.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from thgen.errors import WeightsError


class FanLandmarks:
    """68 landmarks as projections of 3-D points, like those of the analyser."""

    def __init__(self, device: torch.device) -> None:
        """Raises WeightsError when the package or its weights cannot be loaded."""
        try:
            import face_alignment

            # The folder detector has no network. The boxes come from thgen's own detection.
            self._fan: Any = face_alignment.FaceAlignment(
                face_alignment.LandmarksType.TWO_HALF_D,
                device=str(device),
                face_detector="folder",
                flip_input=False,
                compile=False,
            )
        except Exception as error:  # a third-party download and unpickling can raise anything
            raise WeightsError(
                "The landmarks of face-alignment (FAN) could not be loaded "
                f"({type(error).__name__}: {error}); connect to the internet once, or use --landmarks analyser."
            ) from error

    def landmarks(self, photo: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """photo uint8 RGB [H W 3] and rough landmarks [68 2] -> precise ones, float64 [68 2], both in photo px."""
        (x0, y0), (x1, y1) = landmarks.min(0), landmarks.max(0)
        landmark_sets = self._fan.get_landmarks_from_image(photo, detected_faces=[(x0, y0, x1, y1)])
        return np.asarray(landmark_sets[0], np.float64)[:, :2] + 0.5  # the first pixel's centre is 0 there and 0.5 here
