"""Decides whether a detected face is large, bright and frontal enough, and which warnings it gets."""

from __future__ import annotations

import numpy as np

from thgen.errors import FaceError
from thgen.face.crop import ANALYSER, landmark_extent, landmark_square, limit_side, sample_square
from thgen.face.observe import Observation

# Head height per extent of the landmarks. They reach from brow to chin, about two thirds of the head.
HEAD_PER_EXTENT = 1.5
MIN_HEAD, SOFT_HEAD = 48, 130  # head height, px: error below the first, warning below the second
MIN_LUMA, DIM_LUMA = 28, 60  # `brightness` of the face, 0 to 255: error below the first, warning below the second
MAX_YAW, WARN_YAW = 55, 35  # degrees: error above the first, warning above the second
MAX_PITCH, WARN_PITCH = 50, 30  # degrees, likewise


def usable(photo: np.ndarray, observation: Observation) -> tuple[str, ...]:
    """Warnings about a usable face in photo uint8 [H W 3]. Raises FaceError, with a remedy, if it is not usable."""
    yaw, pitch = (float(v) for v in observation.analysis.pose[0, :2])
    head = HEAD_PER_EXTENT * landmark_extent(observation.landmarks)
    luma = brightness(sample_square(photo, landmark_square(observation.landmarks, ANALYSER), 64)[12:52, 12:52])
    if head < MIN_HEAD:
        raise FaceError(
            f"The face is too small: its head is {head:.0f} px tall in the photo, at least {MIN_HEAD} px are needed; "
            "use a larger or closer photo."
        )
    if luma < MIN_LUMA:
        raise FaceError("The face is too dark to be read; use a brighter photo.")
    if abs(yaw) > MAX_YAW:
        raise FaceError(f"The face is in profile (turned by {abs(yaw):.0f}°); use a photo that shows both eyes.")
    if abs(pitch) > MAX_PITCH:
        raise FaceError(f"The face looks too far {'up' if pitch > 0 else 'down'}; use a photo that faces the camera.")
    warnings = []
    if head < SOFT_HEAD:
        warnings.append(f"The face is small (head {head:.0f} px): the video will look soft; a larger photo helps.")
    if luma < DIM_LUMA:
        warnings.append("The face is dark: lips and eyes may be read wrongly; a brighter photo helps.")
    if abs(yaw) > WARN_YAW:
        warnings.append(
            f"The face is turned by {abs(yaw):.0f}°: its hidden side is guessed; a more frontal photo helps."
        )
    if abs(pitch) > WARN_PITCH:
        warnings.append("The face looks far up or down; a photo that faces the camera helps.")
    height, width = photo.shape[:2]
    xy = observation.landmarks
    outside = ((xy < 0) | (xy > [width, height])).any(1).mean()
    if outside > 0.06:
        warnings.append("Part of the face lies outside the photo and is guessed; use a photo that shows all of it.")
    return tuple(warnings)


def brightness(image: np.ndarray) -> float:
    """90th percentile of luma, 0 to 255. Dark skin in good light has bright highlights; a dark photo has none."""
    small, _ = limit_side(image, 256)
    return float(np.percentile(small @ np.array([0.299, 0.587, 0.114]), 90))
