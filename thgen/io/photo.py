"""Read photos of any kind as RGB. The decoder (`photo_decoder`) runs in a process of its own."""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from thgen.errors import OutputError, PhotoError, shown
from thgen.io.files import PathLike, check_output, part_file, regular_file
from thgen.io.ppm import read_frame
from thgen.io.process import Child, Tick, no_tick

PHOTO_MAX_BYTES = 64 << 20
PHOTO_MAX_PIXELS = 64_000_000
PHOTO_MIN_SIDE = 32
# Longer side by shorter side. A phone that is swept once around, held across, sees 50 degrees of height: 360 degrees of
# that are 6.7 to 1. Work and memory of a search for faces grow with the ratio.
MAX_ASPECT = 8.0
PHOTO_FORMATS = ("JPEG", "PNG", "WEBP", "HEIF", "AVIF", "GIF", "BMP", "TIFF", "PPM")  # JPEG opens MPO too
# The slowest honest photo (64 megapixels) takes 3 s of one core and 1 GB.
DECODER_CPU_SECONDS, DECODER_STALL_SECONDS, DECODER_BYTES = 10, 45.0, 3 << 30
REFUSED = 3  # exit status of the decoder after it has written a sentence


def picture_kind(path: PathLike, tick: Tick = no_tick) -> str | None:
    """What kind of picture a file is, by its content and not by its name: "moves" for one of several frames (GIF, APNG,
    WebP, AVIF), "still", or None where it is no picture.

    A picture that is too large or damaged is one all the same: `read_photo` says what is wrong with it.
    """
    if not _begins_like_a_picture(path):
        return None
    with _decoder(Path(path), "kind", tick) as child:
        answer = child.read_line().strip().decode(errors="replace")
        child.finish()
    return answer if answer in ("moves", "still") else None


def is_photo(path: PathLike, tick: Tick = no_tick) -> bool:
    """Whether a file is a still picture."""
    return picture_kind(path, tick) == "still"


def _begins_like_a_picture(path: PathLike) -> bool:
    import pillow_heif
    from PIL import Image

    pillow_heif.register_heif_opener()
    Image.init()
    try:
        if not Path(path).is_file():  # to open a pipe would wait for whoever writes into it
            return False
        with open(path, "rb") as file:
            start = file.read(64)
    except (OSError, ValueError):
        return False
    accepts = [Image.OPEN[name][1] for name in PHOTO_FORMATS if name in Image.OPEN]
    return bool(start) and any(accept is not None and accept(start) is True for accept in accepts)


def read_photo(photo: PathLike | np.ndarray, tick: Tick = no_tick) -> np.ndarray:
    """A photo as uint8 RGB [H W 3], turned as its EXIF says; transparency lies over white.

    photo: a path (jpeg, png, webp, heic, avif, gif, bmp, tiff; first frame of an animation) or an array, uint8
    [H W], [H W 3] or [H W 4]. Raises PhotoError: not an image, truncated, too slow to decode, or outside the limits on
    bytes, pixels and the ratio of its sides.
    """
    if isinstance(photo, np.ndarray):
        return _photo_from_array(photo)
    path = regular_file(photo, PhotoError, "photo", PHOTO_MAX_BYTES)
    with _decoder(path, "read", tick) as child:
        try:
            frame = read_frame(child)
        except ValueError:
            frame = None
        status = child.finish()
        if frame is not None and status == 0:
            return frame
        if status == REFUSED:
            raise PhotoError(child.log.decode(errors="replace").strip().replace("{name}", path.name))
    raise _too_slow(path)  # the limits on time or memory ended it


def _too_slow(path: Path) -> PhotoError:
    return PhotoError(f"{path.name} takes too long or too much memory to open; save it again as a plain jpeg or png.")


def _decoder(path: Path, what: str, tick: Tick) -> Child:
    limits = {"pixels": PHOTO_MAX_PIXELS, "side": PHOTO_MIN_SIDE, "aspect": MAX_ASPECT, "formats": PHOTO_FORMATS,
              "refused": REFUSED}  # fmt: skip
    script = str(Path(__file__).with_name("photo_decoder.py"))
    # -P: the folder of the script is no place to import from.
    command = [sys.executable, "-P", script, what, str(path.resolve()), json.dumps(limits)]
    return Child(command, _too_slow(path), tick, stall=DECODER_STALL_SECONDS, cpu=DECODER_CPU_SECONDS,
                 memory=DECODER_BYTES, nice=5, environment={"OPENBLAS_NUM_THREADS": "1"})  # fmt: skip


def _photo_from_array(photo: np.ndarray) -> np.ndarray:
    """uint8 [H W], [H W 3] or [H W 4] -> uint8 [H W 3]; the limits on pixels hold here as well."""
    if photo.dtype != np.uint8 or photo.ndim not in (2, 3) or (photo.ndim == 3 and photo.shape[2] not in (3, 4)):
        raise PhotoError(f"A photo is uint8 [H W 3] in RGB, not {photo.dtype} {list(photo.shape)}.")
    from PIL import Image

    from thgen.io import photo_decoder

    limits = photo_decoder.Limits(PHOTO_MAX_PIXELS, PHOTO_MIN_SIDE, MAX_ASPECT, PHOTO_FORMATS, REFUSED)
    if wrong := photo_decoder.size_fault(photo.shape[1], photo.shape[0], limits):
        raise PhotoError(wrong.replace("{name}", "The photo"))
    return np.array(photo_decoder.to_rgb(Image.fromarray(photo)))


def write_png(path: PathLike, image: np.ndarray, inputs: tuple[PathLike, ...] = ()) -> Path:
    """Write uint8 RGB [H W 3] as png; like a video it appears only when whole. Raises OutputError."""
    from PIL import Image

    path = check_output(path, ".png", inputs)
    with ExitStack() as stack:
        part = part_file(path, stack)
        try:
            Image.fromarray(image).save(part, format="PNG")
            os.replace(part, path)
        except OSError as error:
            raise OutputError(f"{shown(str(path))} cannot be written: {error.strerror}.") from error
    return path
