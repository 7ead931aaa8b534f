"""The program that decodes one photo: `photo_decoder.py read|kind PATH LIMITS`, run by `thgen.io.photo` as a process.

It imports nothing of thgen, so that it starts quickly. It writes a ppm of 8 bits (`read`) or the word "still" or
"moves" (`kind`) to stdout. A sentence about a photo that is refused goes to stderr, with `{name}` for the file's name.
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

ANIMATIONS = ("GIF", "PNG", "WEBP", "AVIF")  # other formats hold several pictures, but no motion
INTEGER_TOPS, FLOAT_TOPS = (255, 65535), (1.0, 255.0, 65535.0)  # white of grey pictures of more than 8 bits
HIGHLIGHT = 16.0
ROWS = 256  # written at once


class Limits(NamedTuple):
    """pixels: at most so many; side: of the shorter side, px; aspect: longer by shorter side; refused: exit status."""

    pixels: int
    side: int
    aspect: float
    formats: tuple[str, ...]
    refused: int


class RefusedError(Exception):
    """Its text is a sentence for the visitor, with `{name}` for the file's name."""


def size_fault(width: int, height: int, limits: Limits) -> str | None:
    """The sentence about a picture whose size is outside the limits, or None."""
    if width * height > limits.pixels:
        return too_many_pixels(limits)
    if min(width, height) < limits.side:
        return f"{{name}} is only {width}x{height} pixels; give a photo of at least 64x64."
    if max(width, height) > limits.aspect * min(width, height):
        return (f"{{name}} is a strip of {width}x{height} pixels; cut it so that its longer side is at most "
                f"{limits.aspect:g} times the shorter.")  # fmt: skip
    return None


def too_many_pixels(limits: Limits) -> str:
    return f"{{name}} has more than {limits.pixels / 1e6:.0f} megapixels; make it smaller."


def opened(path: str, limits: Limits) -> Image:
    """The picture with its header read. Raises RefusedError."""
    import pillow_heif
    from PIL import Image

    pillow_heif.register_heif_opener()
    warnings.simplefilter("ignore")  # of Pillow, about what is refused below anyway
    try:
        return Image.open(path, formats=limits.formats)
    except Image.DecompressionBombError:
        raise RefusedError(too_many_pixels(limits)) from None
    except MemoryError:
        raise
    except Exception as error:  # Pillow's parsers raise anything at all on crafted headers
        raise RefusedError("{name} is not an image that can be read; give a jpeg, png, webp or heic photo.") from error


def read(path: str, limits: Limits) -> Image:
    """The photo in mode RGB, turned as its EXIF says. Raises RefusedError."""
    from PIL import ImageOps

    with opened(path, limits) as image:
        if wrong := size_fault(image.width, image.height, limits):
            raise RefusedError(wrong)
        try:
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            return to_rgb(image)
        except (RefusedError, MemoryError):
            raise
        except Exception as error:  # as above, now from the decoders
            raise RefusedError("{name} is damaged or cut short; save or download it again.") from error


def kind(path: str, limits: Limits) -> str:
    """ "moves" or "still". Raises RefusedError when it is no picture."""
    try:
        with opened(path, limits) as image:
            return "moves" if image.format in ANIMATIONS and getattr(image, "is_animated", False) else "still"
    except RefusedError as error:
        if str(error) == too_many_pixels(limits):
            return "still"
        raise


def to_rgb(image: Image) -> Image:
    """A decoded image of any mode -> mode RGB, in sRGB where it carries a colour profile."""
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

    The white of a float picture is 1, 255 or 65535. Highlights may exceed a white of 1 by up to HIGHLIGHT. What is not
    a number is black. Integers above 16 bits have no agreed white.
    """
    if np.issubdtype(values.dtype, np.integer):
        top: float = next((t for t in INTEGER_TOPS if values.max() <= t), 0)
        if not top:
            raise RefusedError("{name} has 32 bits per channel, whose white is unknown; save it with 8 or 16 bits.")
    else:
        finite = values[np.isfinite(values)]
        if not finite.size:
            raise RefusedError("{name} holds no numbers in its pixels; save it again as a png or jpeg.")
        highest = float(finite.max())
        bright = 1.0 < highest <= HIGHLIGHT and float(np.median(finite)) <= 1.0
        top = 1.0 if bright else next((t for t in FLOAT_TOPS if highest <= t), FLOAT_TOPS[-1])
    scaled = np.nan_to_num(values.astype(np.float32) / top, nan=0.0, posinf=1.0, neginf=0.0)
    return (np.clip(scaled, 0, 1) * 255 + 0.5).astype(np.uint8)


def _to_srgb(image: Image) -> Image:
    """Phones save Display P3, printers CMYK: taken for sRGB they look wrong. Without a usable profile: as it is."""
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
    """Write an image of mode RGB, some rows at a time: a whole copy of it would take as much memory again."""
    width, height = image.size
    out.write(b"P6\n%d %d\n255\n" % (width, height))
    for top in range(0, height, ROWS):
        out.write(image.crop((0, top, width, min(top + ROWS, height))).tobytes())


def main(what: str, path: str, limits: Limits) -> int:
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
