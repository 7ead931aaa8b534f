"""The face front end: any photo -> faces -> landmarks -> crop with its matrix; clips -> one crop per frame.

Detection proposes (`detect`), the analyser moves the proposals to where they belong and accepts or refuses them
(`look`), and `paste` puts generated crops back. All points are in edge-to-edge coordinates, see `crop`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from thgen.errors import FaceError, PhotoError
from thgen.preprocess.crop import (
    ANALYSER,
    CROP,
    Framing,
    Square,
    landmark_extent,
    landmark_square,
    limit_side,
    sample_square,
)
from thgen.preprocess.detect import CascadeDetector, search_windows, suppress
from thgen.preprocess.look import MIN_SCORE, Candidate, Look, Looker
from thgen.preprocess.paste import Paster
from thgen.preprocess.track import steady

if TYPE_CHECKING:
    from thgen.networks.analyser import Analysis

TIGHT = Framing(1.0, 0.0)  # the landmarks' own box, made square
LANDMARKS = ("analyser", "fan")
WORK_SIDE = 1280  # px; detection works on a picture of at most this size
SEARCH_SIZES = (1.0, 0.75, 0.56, 0.42, 0.31)  # sides of the searched windows, of the photo's shorter edge
SEARCH_STEP = 0.3  # of a window's side: two looks make good what it misses by
SEARCH_BEST = 12  # windows that are worth a second look

# The landmarks run from brow to chin, about two thirds of the head's height.
HEAD_PER_EXTENT = 1.5
MIN_HEAD, SOFT_HEAD = 48, 130  # px: error below the one, warning below the other
MIN_LUMA, DIM_LUMA = 28, 60  # the face's brightest tenth, 0 to 255
MAX_YAW, WARN_YAW = 55, 35  # degrees
MAX_PITCH, WARN_PITCH = 50, 30


@dataclass(frozen=True)
class Face:
    """One face of a photo, in photo px. `landmarks` float64 [68 2]; `pose` yaw, pitch, roll in degrees."""

    landmarks: np.ndarray
    score: float  # probability of a human face, 0 to 1
    pose: tuple[float, float, float]

    @property
    def box(self) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1 of the landmarks."""
        (x0, y0), (x1, y1) = self.landmarks.min(0), self.landmarks.max(0)
        return float(x0), float(y0), float(x1), float(y1)

    @property
    def extent(self) -> float:
        """Longer edge of the box: the measure of size."""
        return landmark_extent(self.landmarks)


@dataclass(frozen=True)
class FaceCrop:
    """A face cut out, and the way back.

    image     uint8 RGB [S S 3], framed by `crop.CROP`
    square    what part of the photo it shows
    keypoints float32 [K 3], normalised in this crop (z in the same scale)
    analysis  the analyser's answer, batch size 1, CPU; its keypoints are normalised in `analysed`
    analysed  the tighter square that the analyser saw
    warnings  sentences for the visitor
    """

    image: np.ndarray
    square: Square
    keypoints: np.ndarray
    analysis: Analysis
    analysed: Square
    warnings: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return self.image.shape[0]

    @property
    def matrix(self) -> np.ndarray:
        """float64 [2 3], photo px -> crop px, edge to edge."""
        return self.square.matrix(self.size)


class FaceFinder:
    """Faces by the analyser. Methods hold no state between calls and may be called from several threads."""

    def __init__(self, analyser: nn.Module, device: torch.device | str = "cpu", landmarks: str = "analyser") -> None:
        """analyser: `networks.analyser.Analyser` with weights; landmarks: "analyser", or "fan" (face-alignment).

        Raises WeightsError when "fan" is asked for and its weights cannot be loaded; FaceError for another name.
        """
        if landmarks not in LANDMARKS:
            raise FaceError(f"Landmarks come from one of {', '.join(LANDMARKS)}, not {landmarks!r}.")
        device = torch.device(device)
        self._looker = Looker(analyser, device)
        self._cascade = CascadeDetector()
        self._fan = None
        if landmarks == "fan":
            from thgen.preprocess.fan import FanLandmarks

            self._fan = FanLandmarks(device)

    def faces(self, photo: np.ndarray) -> list[Face]:
        """The human faces of photo uint8 RGB [H W 3], largest first; none: an empty list. Raises PhotoError."""
        _check_photo(photo)
        work, scale = limit_side(photo, WORK_SIDE)
        found = self._find(work)
        tight = [landmark_square(c.landmarks, TIGHT) for c in found]
        kept = suppress(tight, [c.confidence for c in found], covered=0.5)  # no face has another one inside it
        faces = [_face(found[i], 1 / scale) for i in kept]
        return sorted(faces, key=lambda f: -f.extent)

    def crop(self, photo: np.ndarray, index: int = 0, size: int = 512) -> FaceCrop:
        """The crop of the photo's face number `index`, largest first. Raises FaceError and PhotoError."""
        faces = self.faces(photo)
        if not faces:
            if _brightness(photo) < MIN_LUMA:
                raise FaceError("The photo is too dark to see a face in it; use a brighter one.")
            raise FaceError(
                "No human face was found in the photo; use one with a large, well lit face turned to the camera."
            )
        if not 0 <= index < len(faces):
            count = "is only one face" if len(faces) == 1 else f"are {len(faces)} faces"
            raise FaceError(f"There {count} in the photo: face {index} does not exist, the largest is face 0.")
        return self.crop_face(photo, faces[index], size)

    def crop_face(self, photo: np.ndarray, face: Face, size: int = 512) -> FaceCrop:
        """The crop of one of `faces(photo)`; looks again at full resolution. Raises FaceError if it cannot be used."""
        look = self._looker.looks(photo, [landmark_square(face.landmarks, ANALYSER)])[0]
        look = self._looker.looks(photo, [look.next_square])[0]
        keypoints = look.keypoints
        keypoints[:68, :2] = self._looker.cross_examine(photo, [look])[0].landmarks  # a mean is steadier
        if self._fan is not None:
            keypoints[:68, :2] = self._fan.landmarks(photo, keypoints[:68, :2])
        square = landmark_square(keypoints[:68], CROP)
        warnings = usable(photo, look)
        return _face_crop(photo, look, keypoints, square, size, warnings)

    def track(self, frames: Iterable[np.ndarray], size: int = 256) -> Iterator[FaceCrop | None]:
        """One crop per frame uint8 RGB [H W 3] of a driving clip, None where no face is seen (see `track.fill_gaps`).

        The largest face of the first frame that shows one is followed by one look per frame. The crop's own square
        stands still while it can (`track.steady`), so that movement of the head stays visible in it; `keypoints` and
        `analysis` come from a square that follows the face closely. A lost face is looked for where it was in every
        frame, by the cascade in every third, and everywhere every half second: all of it always would cost too much.
        """
        last: Look | None = None
        square: Square | None = None
        lost = 0
        for frame in frames:
            _check_photo(frame)
            look = None if last is None else self._follow(frame, last)
            sought = look is None and lost % 3 == 0
            if sought:
                look = self._largest(frame, search=lost % 12 == 0)
            if look is None:
                lost += 1
                yield None
                continue
            wanted = landmark_square(look.landmarks, CROP)
            # A face that had to be sought may be anywhere: start afresh rather than drag the old square along.
            square = wanted if square is None or (sought and square.iou(wanted) < 0.3) else steady(square, wanted)
            last, lost = look, 0
            yield _face_crop(frame, look, look.keypoints, square, size, ())

    def _find(self, photo: np.ndarray, search: bool = True) -> list[Candidate]:
        """Faces in a photo of moderate size; each step is dearer than the last and runs if that found none."""
        height, width = photo.shape[:2]
        found = self._looker.refine(photo, self._cascade.propose(photo))
        if found or not search:
            return found
        proposals = [
            square
            for angle, mirrored in ((0.0, True), (-25.0, False), (25.0, False))
            for square in self._cascade.propose(photo, angle, mirrored)
        ]
        found = self._looker.refine(photo, proposals)
        if found:
            return found
        looks = self._looker.looks(photo, list(search_windows(height, width, SEARCH_SIZES, SEARCH_STEP)))
        best = suppress([k.square for k in looks], [k.score for k in looks])[:SEARCH_BEST]
        return self._looker.refine(photo, [looks[i].next_square for i in best])

    def _follow(self, frame: np.ndarray, last: Look) -> Look | None:
        look = self._looker.looks(frame, [last.next_square])[0]
        if look.score >= MIN_SCORE and not look.settled():  # it moved far: look where it went
            look = self._looker.looks(frame, [look.next_square])[0]
        return look if look.score >= MIN_SCORE and look.settled() else None

    def _largest(self, frame: np.ndarray, search: bool) -> Look | None:
        work, scale = limit_side(frame, WORK_SIDE)
        found = self._find(work, search)
        if not found:
            return None
        square = max((landmark_square(c.landmarks, ANALYSER) for c in found), key=lambda s: s.side)
        full = Square(square.x / scale, square.y / scale, square.side / scale)
        return self._looker.looks(frame, [full])[0]


def paste_back(photo: np.ndarray, frame: np.ndarray, mask: np.ndarray | None, crop: FaceCrop) -> np.ndarray:
    """One generated frame back into its photo; see `Paster.paste`. For a video make one `Paster` and keep it."""
    return Paster(photo, crop.square, frame.shape[0]).paste(frame, mask)


def usable(photo: np.ndarray, look: Look) -> tuple[str, ...]:
    """Warnings about a face that can be used. Raises FaceError, with the remedy, about one that cannot."""
    yaw, pitch = (float(v) for v in look.analysis.pose[0, :2])
    head = HEAD_PER_EXTENT * landmark_extent(look.landmarks)
    luma = _brightness(sample_square(photo, landmark_square(look.landmarks, ANALYSER), 64)[12:52, 12:52])
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
    xy = look.landmarks
    outside = ((xy < 0) | (xy > [width, height])).any(1).mean()
    if outside > 0.06:
        warnings.append("Part of the face lies outside the photo and is guessed; use a photo that shows all of it.")
    return tuple(warnings)


def _face_crop(
    photo: np.ndarray, look: Look, keypoints: np.ndarray, square: Square, size: int, warnings: tuple[str, ...]
) -> FaceCrop:
    image = sample_square(photo, square, size)
    normalised = square.to_normalised(keypoints).astype(np.float32)
    return FaceCrop(image, square, normalised, look.analysis, look.square, warnings)


def _face(candidate: Candidate, scale: float) -> Face:
    yaw, pitch, roll = (float(v) for v in candidate.look.analysis.pose[0])
    return Face(candidate.landmarks * scale, candidate.score, (yaw, pitch, roll))


def _brightness(image: np.ndarray) -> float:
    """90th percentile of luma, 0 to 255: dark skin in good light still has bright highlights, a dark photo has none."""
    small, _ = limit_side(image, 256)
    return float(np.percentile(small @ np.array([0.299, 0.587, 0.114]), 90))


def _check_photo(photo: np.ndarray) -> None:
    if not isinstance(photo, np.ndarray) or photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3:
        raise PhotoError("The photo must be an RGB picture with 8 bits per channel.")
    if min(photo.shape[:2]) < 16:
        raise PhotoError(f"The photo is only {photo.shape[1]}×{photo.shape[0]} px; use one of at least 64×64 px.")
