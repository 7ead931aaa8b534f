"""Rendered frames as the face front end would give them to a method.

A render is framed like a crop of a photo, so no face has to be detected in it and the whole frame is the crop.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from thgen.face.crop import ANALYSER, CROP, Square, landmark_square, resized
from thgen.face.finder import FaceCrop
from thgen.face.observe import Observation, Observer


def expected_square(size: int) -> Square:
    """The analyser's square, in px, in a crop of `size` px that is framed by CROP: where the face has to be."""
    extent = size / CROP.scale  # longer edge of the landmarks' box
    centre = np.array([size / 2, size * (0.5 + CROP.lift)])
    return landmark_square(np.stack([centre - extent / 2, centre + extent / 2]), ANALYSER)


def clip_crop(observer: Observer, image: np.ndarray, size: int) -> FaceCrop:
    """One frame uint8 [S S 3] of a driving clip as a crop of `size` px, analysed in its second observation."""
    return _crop(image, _second_observation(observer, image), size)


def clip_crops(observer: Observer, images: Iterable[np.ndarray], size: int) -> Iterator[FaceCrop]:
    """`clip_crop` of each frame uint8 [S S 3]."""
    return (clip_crop(observer, image, size) for image in images)


def photo_crop(observer: Observer, image: np.ndarray) -> FaceCrop:
    """A photo uint8 [S S 3] as a crop of its own size; its analysis is a mean over several framings."""
    return _crop(image, observer.average(image, _second_observation(observer, image).next_square), image.shape[0])


def _second_observation(observer: Observer, image: np.ndarray) -> Observation:
    first = observer.observe(image, [expected_square(image.shape[0])])[0]
    return observer.observe(image, [first.next_square])[0]


def _crop(image: np.ndarray, observation: Observation, size: int) -> FaceCrop:
    own = image.shape[0]
    whole = Square(own / 2, own / 2, own)
    keypoints = whole.to_normalised(observation.keypoints).astype(np.float32)
    return FaceCrop(resized(image[None], size)[0], whole, keypoints, observation.analysis, observation.square)
