"""Views: pictures of its own that a method makes of several photos and a clip. Page, command line and API call it.

    photos --Session.face_of--> crops ┐
    clip --clip_faces---------> crops ┴ Method.view -> rows of pictures --sheet--> one picture

A method declares its views (`declare.View`) and implements `Method.view`; nothing else knows one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from thgen.errors import ClipError
from thgen.face.crop import limit_side
from thgen.face.track import check_gaps
from thgen.io.clip import CLIP_MAX_SIDE, read_clip
from thgen.io.ffmpeg import measure
from thgen.io.files import PathLike
from thgen.io.photo import is_photo, read_photo
from thgen.methods.base import Row
from thgen.pipeline import Session
from thgen.plan import Progress, Reporter
from thgen.request import ViewRequest
from thgen.schema import FPS

if TYPE_CHECKING:
    from thgen.face.finder import FaceCrop

CLIP_SECONDS = 60.0  # of a clip that a view looks at: its beginning shows enough frames, and a visitor does not wait
LOOKS = 3  # frames in which a face is looked for, for each frame that is shown: not every frame has one
COLUMNS = 8  # pictures in a row of the sheet, at most; further ones are below
GAP = 4  # px of white around pictures
LINE = 20  # px of a row's label


def make_view(request: ViewRequest, session: Session, progress: Progress | None = None) -> np.ndarray:
    """The sheet of a view, uint8 RGB [H W 3]. `progress` may raise an exception, which ends the work.

    Raises a ThgenError; PhotoError and FaceError name the number of the photo.
    """
    session.check(request.method)
    report, photos, total = Reporter(progress), [], len(request.photos) + 2
    for number, photo in enumerate(request.photos, 1):
        report((number - 1) / total, f"Finding the face in photo {number}")
        photos.append(session.face_of(photo, number, request.size, report.tick))
    clip: list[FaceCrop] = []
    if request.clip is not None:
        report((total - 2) / total, "Watching the clip")
        clip = clip_faces(request.clip, session, request.declared.frames, request.size, report)
    report((total - 1) / total, "Making the pictures")
    made = session.method.view(request.view, photos, clip, report.tick)
    report.tick()
    return sheet(made, request.size)


def clip_faces(path: PathLike, session: Session, count: int, size: int, report: Reporter) -> list[FaceCrop]:
    """At most `count` faces of a clip, crops of `size` px, spread over those of its first CLIP_SECONDS that show one.

    A still picture is a clip of one frame. Raises ClipError, PhotoError.
    """
    frames: Iterable[np.ndarray]
    if is_photo(path, report.tick):
        frames = [limit_side(read_photo(path, report.tick), CLIP_MAX_SIDE)[0]]
        faces = [crop for crop in session.finder.track(frames, size) if crop is not None]
    else:
        seconds = min(measure(path, ClipError, report.tick), CLIP_SECONDS)
        fps = min(max(math.ceil(LOOKS * count / max(seconds, 1 / FPS)), 1), FPS)
        frames = read_clip(path, report.tick, fps)
        try:
            looked = islice(frames, max(1, round(seconds * fps)))
            faces = [crop for crop in session.finder.track(looked, size) if crop is not None]
        finally:
            frames.close()
    if not faces:
        check_gaps(np.zeros(1, bool))  # raises: no frame shows a face
    chosen = np.unique(np.linspace(0, len(faces) - 1, min(count, len(faces))).round().astype(int))
    return [faces[i] for i in chosen]


def sheet(rows: Sequence[Row], size: int) -> np.ndarray:
    """Rows of pictures under their labels, each picture `size` px, uint8 RGB [H W 3].

    With more than COLUMNS pictures in a row, all rows go on in a further block below.
    """
    from PIL import Image, ImageDraw, ImageFont

    count = max(len(row.pictures) for row in rows)
    width, step = min(count, COLUMNS), size + GAP
    blocks = -(-count // COLUMNS)
    out = Image.new("RGB", (width * step + GAP, blocks * len(rows) * (step + LINE) + GAP), "white")
    draw, font = ImageDraw.Draw(out), ImageFont.load_default(size=LINE - 6)
    for block in range(blocks):
        for number, row in enumerate(rows):
            top = (block * len(rows) + number) * (step + LINE) + GAP
            draw.text((GAP, top), row.label, fill="black", font=font)
            for column, picture in enumerate(row.pictures[block * COLUMNS : (block + 1) * COLUMNS]):
                if picture is not None:
                    small = Image.fromarray(picture).resize((size, size), Image.Resampling.LANCZOS)
                    out.paste(small, (GAP + column * step, top + LINE))
    return np.array(out)
