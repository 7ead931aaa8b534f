"""Program that decodes one photo: `photo_decoder.py read|kind PATH LIMITS`. `thgen.io.photo` runs it as a process.

It imports nothing from thgen, so that it starts quickly. It writes an 8-bit PPM (`read`) or the word "still" or "moves"
(`kind`) to stdout. If it refuses a photo, it writes an error message to stderr, with `{name}` for the file's name.
"""

from __future__ import annotations

import io
import json
import sys
import warnings
from typing import IO, TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

ANIMATIONS = ("GIF", "PNG", "WEBP", "AVIF")  # several images in other formats are no animation
# Possible values of white in grey images with more than 8 bits.
INTEGER_WHITES, FLOAT_WHITES = (255, 65535), (1.0, 255.0, 65535.0)
HIGHLIGHT = 16.0  # highest value of a float image whose white is 1
ROWS = 256  # rows written at a time


class Limits(NamedTuple):
    """pixels: most pixels; side: least shorter side in px; aspect: most longer side / shorter side;
    formats: names of Pillow's formats; refused: exit status after a refusal."""

    pixels: int
    side: int
    aspect: float
    formats: tuple[str, ...]
    refused: int


class RefusedError(Exception):
    """The photo is refused. The text is a message for the user, with `{name}` for the file's name."""


def size_error(width: int, height: int, limits: Limits) -> str | None:
    """Message for an image whose size is outside the limits, or None."""
    if width * height > limits.pixels:
        return too_many_pixels(limits)
    if min(width, height) < limits.side:
        return f"{{name}} is only {width}x{height} pixels; give a photo of at least 64x64."
    if max(width, height) > limits.aspect * min(width, height):
        return (f"{{name}} is a strip of {width}x{height} pixels; cut it so that its longer side is at most "
                f"{limits.aspect:g} times the shorter.")  # fmt: skip
    return None


def too_many_pixels(limits: Limits) -> str:
    """Message for an image with too many pixels."""
    return f"{{name}} has more than {limits.pixels / 1e6:.0f} megapixels; make it smaller."


def open_image(path: str, limits: Limits) -> Image:
    """Open an image and read its header. Raises RefusedError."""
    import pillow_heif
    from PIL import Image

    pillow_heif.register_heif_opener()
    warnings.simplefilter("ignore")  # Pillow warns of images that are refused below
    try:
        return Image.open(path, formats=limits.formats)
    except Image.DecompressionBombError:
        raise RefusedError(too_many_pixels(limits)) from None
    except MemoryError:
        raise
    except Exception as error:  # Pillow's parsers can raise any exception on crafted headers
        raise RefusedError("{name} is not an image that can be read; give a jpeg, png, webp or heic photo.") from error


def read(path: str, limits: Limits) -> Image:
    """The photo in mode RGB, rotated as its EXIF says. Raises RefusedError."""
    from PIL import ImageOps

    with open_image(path, limits) as image:
        if problem := size_error(image.width, image.height, limits):
            raise RefusedError(problem)
        try:
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            return to_rgb(image)
        except (RefusedError, MemoryError):
            raise
        except Exception as error:  # as above: decoders can raise any exception
            raise RefusedError("{name} is damaged or cut short; save or download it again.") from error


def kind(path: str, limits: Limits) -> str:
    """ "moves" or "still". Raises RefusedError if the file is no image."""
    try:
        with open_image(path, limits) as image:
            return "moves" if image.format in ANIMATIONS and getattr(image, "is_animated", False) else "still"
    except RefusedError as error:
        if str(error) == too_many_pixels(limits):
            return "still"
        raise


def to_rgb(image: Image) -> Image:
    """A decoded image of any mode -> mode RGB, converted to sRGB if it has a colour profile, transparency on white."""
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":  # `convert` would clip these
        image = Image.fromarray(_grey8(np.asarray(image)))
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        profile = image.info.get("icc_profile")
        image = Image.alpha_composite(white, image).convert("RGB")
        image.info["icc_profile"] = profile
    image = _to_srgb(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _grey8(values: np.ndarray) -> np.ndarray:
    """Grey of 16 bits, 32 bits or floating point, [H W] -> uint8 [H W]. Raises RefusedError.

    The white of a float image is 1, 255 or 65535. With a white of 1, highlights may reach HIGHLIGHT. NaN becomes black.
    Integers above 16 bits are refused, since their white is not defined.
    """
    if np.issubdtype(values.dtype, np.integer):
        white: float = next((t for t in INTEGER_WHITES if values.max() <= t), 0)
        if not white:
            raise RefusedError("{name} has 32 bits per channel, whose white is unknown; save it with 8 or 16 bits.")
    else:
        finite = values[np.isfinite(values)]
        if not finite.size:
            raise RefusedError("{name} holds no numbers in its pixels; save it again as a png or jpeg.")
        highest = float(finite.max())
        bright = 1.0 < highest <= HIGHLIGHT and float(np.median(finite)) <= 1.0
        white = 1.0 if bright else next((t for t in FLOAT_WHITES if highest <= t), FLOAT_WHITES[-1])
    scaled = np.nan_to_num(values.astype(np.float32) / white, nan=0.0, posinf=1.0, neginf=0.0)
    return (np.clip(scaled, 0, 1) * 255 + 0.5).astype(np.uint8)


def _to_srgb(image: Image) -> Image:
    """Convert by the colour profile (phones save Display P3, print uses CMYK). No usable profile: no change."""
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "CMYK"):
        return image
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB") or image
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image


def write_ppm(image: Image, out: IO[bytes]) -> None:
    """Write an image of mode RGB as PPM, ROWS rows at a time, since a whole copy would double the memory."""
    width, height = image.size
    out.write(b"P6\n%d %d\n255\n" % (width, height))
    for top in range(0, height, ROWS):
        out.write(image.crop((0, top, width, min(top + ROWS, height))).tobytes())


def main(what: str, path: str, limits: Limits) -> int:
    """Run the command `what`, "read" or "kind". Returns the exit status."""
    try:
        if what == "kind":
            print(kind(path, limits))
        else:
            write_ppm(read(path, limits), sys.stdout.buffer)
    except RefusedError as error:
        print(error, file=sys.stderr)
        return limits.refused
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], Limits(**json.loads(sys.argv[3]))))
