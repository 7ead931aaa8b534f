"""Read photos of any format as RGB, and write PNG. The decoder (`photo_decoder`) runs in a child process."""

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
# Longer side / shorter side. A phone held sideways covers 50 degrees in height, so its 360 degree panorama has a ratio
# of 6.7. Time and memory of face detection grow with the ratio.
MAX_ASPECT = 8.0
PHOTO_FORMATS = ("JPEG", "PNG", "WEBP", "HEIF", "AVIF", "GIF", "BMP", "TIFF", "PPM")  # "JPEG" includes MPO
# The slowest valid photo (64 megapixels) takes 3 s on one core and 1 GB of memory.
DECODER_CPU_SECONDS, DECODER_STALL_SECONDS, DECODER_BYTES = 10, 45.0, 3 << 30
REFUSED = 3  # exit status of the decoder after it has written an error message


def picture_kind(path: PathLike, tick: Tick = no_tick) -> str | None:
    """Kind of image in a file: "moves" (several frames: GIF, APNG, WebP, AVIF), "still", or None if it is no image.

    The content decides, not the name. A damaged or too large image is an image, too: `read_photo` reports the problem.
    """
    if not _has_image_header(path):
        return None
    with _decoder(Path(path), "kind", tick) as child:
        answer = child.read_line().strip().decode(errors="replace")
        child.finish()
    return answer if answer in ("moves", "still") else None


def is_photo(path: PathLike, tick: Tick = no_tick) -> bool:
    """Whether a file is a still image, by its content."""
    return picture_kind(path, tick) == "still"


def _has_image_header(path: PathLike) -> bool:
    """Whether the first 64 bytes are those of an image format in PHOTO_FORMATS."""
    import pillow_heif
    from PIL import Image

    pillow_heif.register_heif_opener()
    Image.init()
    try:
        if not Path(path).is_file():  # opening a pipe would wait for its writer
            return False
        with open(path, "rb") as file:
            start = file.read(64)
    except (OSError, ValueError):
        return False
    accepts = [Image.OPEN[name][1] for name in PHOTO_FORMATS if name in Image.OPEN]
    return bool(start) and any(accept is not None and accept(start) is True for accept in accepts)


def read_photo(photo: PathLike | np.ndarray, tick: Tick = no_tick) -> np.ndarray:
    """A photo as uint8 RGB [H W 3], rotated as its EXIF says, in sRGB, transparent pixels on white.

    photo: a path (jpeg, png, webp, heic, avif, gif, bmp, tiff, ppm; of an animation the first frame), or an array uint8
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
    raise _too_slow(path)  # it reached a limit on time or memory


def _too_slow(path: Path) -> PhotoError:
    return PhotoError(f"{path.name} takes too long or too much memory to open; save it again as a plain jpeg or png.")


def _decoder(path: Path, what: str, tick: Tick) -> Child:
    limits = {"pixels": PHOTO_MAX_PIXELS, "side": PHOTO_MIN_SIDE, "aspect": MAX_ASPECT, "formats": PHOTO_FORMATS,
              "refused": REFUSED}  # fmt: skip
    script = str(Path(__file__).with_name("photo_decoder.py"))
    # -P: do not import modules from the folder of the script.
    command = [sys.executable, "-P", script, what, str(path.resolve()), json.dumps(limits)]
    return Child(command, _too_slow(path), tick, stall=DECODER_STALL_SECONDS, cpu=DECODER_CPU_SECONDS,
                 memory=DECODER_BYTES, nice=5, environment={"OPENBLAS_NUM_THREADS": "1"})  # fmt: skip


def _photo_from_array(photo: np.ndarray) -> np.ndarray:
    """uint8 [H W], [H W 3] or [H W 4] -> uint8 [H W 3]. The limits on size hold here as well."""
    if photo.dtype != np.uint8 or photo.ndim not in (2, 3) or (photo.ndim == 3 and photo.shape[2] not in (3, 4)):
        raise PhotoError(f"A photo is uint8 [H W 3] in RGB, not {photo.dtype} {list(photo.shape)}.")
    from PIL import Image

    from thgen.io import photo_decoder

    limits = photo_decoder.Limits(PHOTO_MAX_PIXELS, PHOTO_MIN_SIDE, MAX_ASPECT, PHOTO_FORMATS, REFUSED)
    if problem := photo_decoder.size_error(photo.shape[1], photo.shape[0], limits):
        raise PhotoError(problem.replace("{name}", "The photo"))
    return np.array(photo_decoder.to_rgb(Image.fromarray(photo)))


def write_png(path: PathLike, image: np.ndarray, inputs: tuple[PathLike, ...] = ()) -> Path:
    """Write uint8 RGB [H W 3] as PNG. The file gets its name only when it is complete. Raises OutputError."""
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
