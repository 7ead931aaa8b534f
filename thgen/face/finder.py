"""The face front end. A photo becomes faces, landmarks and a crop with its matrix; a clip becomes one crop per frame.

`detect` proposes squares. The analyser corrects them and accepts or rejects them (`observe`, `search`). `paste` puts
generated crops back. All points are in edge-to-edge coordinates, see `crop`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from thgen.analyser.network import to_input
from thgen.errors import ClipError, FaceError, PhotoError
from thgen.face.belief import Belief, has_detail
from thgen.face.crop import (
    ANALYSER,
    CROP,
    Framing,
    Square,
    landmark_extent,
    landmark_square,
    limit_side,
    resized,
    sample_square,
)
from thgen.face.detect import suppress
from thgen.face.observe import MIN_SCORE, Candidate, Observation, Observer
from thgen.face.paste import Paster
from thgen.face.search import Search, rotated
from thgen.face.track import MAX_GAP, steady
from thgen.face.usable import MIN_LUMA, brightness, usable
from thgen.io.photo import MAX_ASPECT
from thgen.schema import FPS

if TYPE_CHECKING:
    from thgen.analyser.network import Analysis

TIGHT = Framing(1.0, 0.0)  # the landmarks' own box, made square
LANDMARKS = ("analyser", "fan")
WORK_SIDE = 1280  # longer edge of the picture in which faces are searched, px, at most
# Roll of an upright face, degrees, at most. Faces beyond it count as lying. The search finds few beyond 40 degrees.
MAX_ROLL = 55
LAY = {90: "lay on its side", 270: "lay on its side", 180: "stood on its head"}
LIES = {90: "lie on their side", 270: "lie on their side", 180: "stand on their head"}


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
class Upright:
    """A photo with upright faces. photo: uint8 RGB [H W 3] after a clockwise turn by `turn` (0, 90, 180 or 270)
    degrees; faces: largest first."""

    photo: np.ndarray
    turn: int
    faces: tuple[Face, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences for the visitor."""
        return (f"The photo {LAY[self.turn]}; it was turned upright.",) if self.turn else ()


@dataclass(frozen=True)
class FaceCrop:
    """A face crop, its place in the photo, and its analysis.

    image     uint8 RGB [S S 3], in the framing `crop.CROP`
    square    the crop's place in the photo
    keypoints float32 [K 3], normalised in this crop (z in the same scale)
    analysis  batch size 1, CPU; its keypoints are normalised in `analysed`. For a photo it is the mean over several
              framings. Methods use it as it is, so that no frame is analysed twice
    analysed  the analyser's square, tighter than `square`
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
    """Finds and crops faces with the analyser. It has no state between calls and may be used from several threads."""

    def __init__(self, analyser: nn.Module, device: torch.device | str = "cpu", landmarks: str = "analyser") -> None:
        """analyser: `analyser.network.Analyser` with weights; landmarks: "analyser" or "fan" (face-alignment).

        Raises WeightsError if the weights of "fan" cannot be loaded; FaceError for another name.
        """
        if landmarks not in LANDMARKS:
            raise FaceError(f"Landmarks come from one of {', '.join(LANDMARKS)}, not {landmarks!r}.")
        device = torch.device(device)
        self._observer = Observer(analyser, device)
        self._search = Search(self._observer)
        self._fan = None
        if landmarks == "fan":
            from thgen.face.fan_landmarks import FanLandmarks

            self._fan = FanLandmarks(device)

    def faces(self, photo: np.ndarray) -> list[Face]:
        """The human faces (see `human`) of photo uint8 RGB [H W 3], largest first. Raises PhotoError.

        Faces that lie on their side or are upside down are not found, see `upright`.
        """
        _check_photo(photo)
        work, scale = limit_side(photo, WORK_SIDE)
        return _faces(self._search.find(work), scale)

    def upright(self, photo: np.ndarray) -> Upright:
        """The photo uint8 RGB [H W 3], turned so that its faces are upright, and the faces. Raises PhotoError.

        If the photo already has an upright face, the cost is that of `faces`. If no turn gives a face, the photo stays
        as it is.
        """
        _check_photo(photo)
        work, scale = limit_side(photo, WORK_SIDE)
        candidates, turn = self._search.find(work), 0
        if all(abs(float(c.observation.analysis.pose[0, 2])) > MAX_ROLL for c in candidates):
            turn, turned = self._search.turned(work)
            candidates = turned or candidates
        return Upright(rotated(photo, turn) if turn else photo, turn, tuple(_faces(candidates, scale)))

    def crop(self, photo: np.ndarray, index: int = 0, size: int = 512, faces: Sequence[Face] | None = None) -> FaceCrop:
        """The crop of face number `index` of the photo, counted from the largest. Raises FaceError and PhotoError.

        size: side of the crop, px; faces: result of `faces` or `upright` for this photo, if known.
        """
        faces = self.faces(photo) if faces is None else faces
        if not faces:
            if brightness(photo) < MIN_LUMA:
                raise FaceError("The photo is too dark to see a face in it; use a brighter one.")
            raise FaceError(
                "No human face was found in the photo; use one with a large, well lit human face (of a person, a "
                "drawing or a statue) turned to the camera."
            )
        if not 0 <= index < len(faces):
            count = "is only one face" if len(faces) == 1 else f"are {len(faces)} faces"
            raise FaceError(f"There {count} in the photo: face {index} does not exist, the largest is face 0.")
        return self.crop_face(photo, faces[index], size)

    def crop_face(self, photo: np.ndarray, face: Face, size: int = 512) -> FaceCrop:
        """The crop of one of `faces(photo)`, analysed again at full resolution. Raises FaceError if it is unusable."""
        observation = self._observer.observe(photo, [landmark_square(face.landmarks, ANALYSER)])[0]
        observation = self._observer.observe(photo, [observation.next_square])[0]
        observation = self._observer.average(photo, observation.next_square)
        keypoints = observation.keypoints
        if self._fan is not None:
            keypoints[:68, :2] = self._fan.landmarks(photo, keypoints[:68, :2])
        square = landmark_square(keypoints[:68], CROP)
        warnings = usable(photo, observation)
        return _face_crop(photo, observation, keypoints, square, size, warnings)

    def track(self, frames: Iterable[np.ndarray], size: int = 256) -> Iterator[FaceCrop | None]:
        """One crop per frame uint8 RGB [H W 3] of a driving clip; None for a frame without a face (`track.fill_gaps`).

        The first face is the largest one of the first frame that has any. It is tracked with one run of the analyser
        per frame, as long as `belief` accepts it. The crop's square moves as little as possible (`track.steady`), so
        that head motion is visible in the crop. `keypoints` and `analysis` come from a square that follows the face
        closely. A lost face is searched at its last place in every frame, with the cascade in every third frame, and
        with the full search every half second; more would cost too much. Frames without content are neither searched
        nor counted. Raises ClipError if the first second shows faces only after a turn.
        """
        last: Observation | None = None
        square: Square | None = None
        belief = Belief(self._observer)
        lost, turn = 0, 0
        for frame in frames:
            _check_photo(frame)
            observation = None if last is None else self._follow(frame, last, belief)
            plain = observation is None and not has_detail(frame)
            searched = observation is None and not plain and lost % 3 == 0
            if searched:
                observation = self._seek(frame, belief, thorough=lost % 12 == 0)
                if observation is None and last is None and lost == 0:
                    turn = self._search.turned(limit_side(frame, WORK_SIDE)[0], thorough=False)[0]
            if observation is None:
                lost += not plain
                if turn and last is None and lost > MAX_GAP * FPS:
                    break
                yield None
                continue
            wanted = landmark_square(observation.landmarks, CROP)
            # A face that was searched for may be anywhere, so the square starts again at the face.
            square = wanted if square is None or (searched and square.iou(wanted) < 0.3) else steady(square, wanted)
            last, lost = observation, 0
            yield _face_crop(frame, observation, observation.keypoints, square, size, ())
        if turn and last is None:
            raise ClipError(f"The faces of the driving clip {LIES[turn]}; turn the clip upright.")

    def _follow(self, frame: np.ndarray, last: Observation, belief: Belief) -> Observation | None:
        """The tracked face in the next frame; None if it is lost."""
        observation = self._observer.observe(frame, [last.next_square])[0]
        if observation.score >= MIN_SCORE and not observation.settled():  # it moved far: analyse its new place
            observation = self._observer.observe(frame, [observation.next_square])[0]
        tracked = observation.score >= MIN_SCORE and observation.settled()
        return observation if tracked and belief.holds(frame, observation) else None

    def _seek(self, frame: np.ndarray, belief: Belief, thorough: bool) -> Observation | None:
        """The largest face of a frame that `belief` accepts."""
        work, scale = limit_side(frame, WORK_SIDE)
        candidates = [(landmark_square(c.landmarks, ANALYSER), c) for c in self._search.find(work, thorough)]
        for square, candidate in sorted(candidates, key=lambda pair: -pair[0].side):
            full = Square(square.x / scale, square.y / scale, square.side / scale)
            observation = self._observer.observe(frame, [full])[0]
            if belief.holds(frame, observation, candidate.confidence):
                return observation
        return None


def pictures_of(crops: Sequence[FaceCrop], device: torch.device, side: int | None = None) -> torch.Tensor:
    """Pictures [n 3 side side] of crops in [-1, 1]. side: px; None = that of the crops."""
    images = np.stack([crop.image for crop in crops])
    return to_input(torch.from_numpy(images if side is None else resized(images, side)).to(device))


def paste_back(photo: np.ndarray, frame: np.ndarray, mask: np.ndarray | None, crop: FaceCrop) -> np.ndarray:
    """One generated frame, pasted into its photo; see `Paster.paste`. For a video use one `Paster` for all frames."""
    return Paster(photo, crop.square, frame.shape[0]).paste(frame, mask)


def _face_crop(
    photo: np.ndarray,
    observation: Observation,
    keypoints: np.ndarray,
    square: Square,
    size: int,
    warnings: tuple[str, ...],
) -> FaceCrop:
    image = sample_square(photo, square, size)
    normalised = square.to_normalised(keypoints).astype(np.float32)
    return FaceCrop(image, square, normalised, observation.analysis, observation.square, warnings)


def _faces(candidates: list[Candidate], scale: float) -> list[Face]:
    """Candidates in a photo scaled by `scale` -> faces in px of the original photo, each once, largest first."""
    tight = [landmark_square(c.landmarks, TIGHT) for c in candidates]
    kept = suppress(tight, [c.confidence for c in candidates], covered=0.5)  # no face is inside another
    return sorted((_face(candidates[i], 1 / scale) for i in kept), key=lambda f: -f.extent)


def _face(candidate: Candidate, scale: float) -> Face:
    yaw, pitch, roll = (float(v) for v in candidate.observation.analysis.pose[0])
    return Face(candidate.landmarks * scale, candidate.score, (yaw, pitch, roll))


def _check_photo(photo: np.ndarray) -> None:
    if not isinstance(photo, np.ndarray) or photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3:
        raise PhotoError("The photo must be an RGB picture with 8 bits per channel.")
    height, width = photo.shape[:2]
    if min(height, width) < 16:
        raise PhotoError(f"The photo is only {width}×{height} px; use one of at least 64×64 px.")
    if max(height, width) > MAX_ASPECT * min(height, width):
        raise PhotoError(
            f"The picture is a strip of {width}×{height} px; cut it to the person, at most {MAX_ASPECT:g} times as "
            "long as it is wide."
        )
