"""The view of figure 5, for all presets: faces above their canonical faces, which are what is left without motion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from thgen.errors import FaceError
from thgen.io.process import Tick
from thgen.methods.base import Method, Row
from thgen.methods.fc_tfg.declaration import CANONICAL

if TYPE_CHECKING:
    from thgen.face.finder import FaceCrop


def canonical_face(method: Method, crop: FaceCrop) -> np.ndarray:
    """The picture of a face with motion 0, uint8 RGB [S S 3], S being the crop's side. Raises FaceError."""
    identity = method.encode_photos([crop])
    still = {name: values.new_zeros(values.shape) for name, values in identity.own.items()}
    return method.decode(identity, method.finish(identity, still), identity.measured).images()[0]


def canonical_rows(method: Method, photos: Sequence[FaceCrop], clip: Sequence[FaceCrop], tick: Tick) -> list[Row]:
    """Two rows: photos, then frames of a clip; below each its canonical face. FaceError names the photo or frame."""
    made = list(_made(method, "Photo", photos, tick)) + list(_made(method, "Frame", clip, tick))
    shown = "Photos and frames" if photos and clip else "Photos" if photos else "Frames of the clip"
    title = CANONICAL.removeprefix("the ")
    return [Row(shown, [crop.image for crop in (*photos, *clip)]), Row(f"{title.capitalize()} of each", made)]


def _made(method: Method, what: str, crops: Sequence[FaceCrop], tick: Tick) -> Iterator[np.ndarray]:
    for number, crop in enumerate(crops, 1):
        tick()
        try:
            yield canonical_face(method, crop)
        except FaceError as error:
            raise FaceError(f"{what} {number}: {error}") from error
