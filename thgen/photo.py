"""Read photos of any kind as RGB. `media` is the door to this; here are the many kinds.

A photo is an upload of a stranger: only known formats are opened, and its size is checked in the header before a pixel
is decoded, so that a small file cannot fill the memory.
"""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from thgen.errors import PhotoError, ThgenError

if TYPE_CHECKING:
    from PIL.Image import Image

PHOTO_MAX_BYTES = 64 << 20
PHOTO_MAX_PIXELS = 64_000_000
PHOTO_MIN_SIDE = 32
PHOTO_FORMATS = ("JPEG", "PNG", "WEBP", "HEIF", "AVIF", "GIF", "BMP", "TIFF", "PPM")  # JPEG opens MPO too

PathLike = str | os.PathLike[str]


def regular_file(path: PathLike, error: type[ThgenError], what: str, max_bytes: int) -> Path:
    """The path, once it is known to be a plain file within its limit (a pipe or device would never end)."""
    path = Path(path)
    try:
        if not path.is_file():
            raise error(f"There is no {what} file {str(path)!r}.")
        size = path.stat().st_size
    except (OSError, ValueError) as cause:
        raise error(f"The {what} file {str(path)!r} cannot be opened: {cause}.") from cause
    if size == 0:
        raise error(f"The {what} file {path.name} is empty.")
    if size > max_bytes:
        raise error(f"The {what} file {path.name} is larger than {max_bytes >> 20} MB; give a smaller one.")
    return path


def is_photo(path: PathLike) -> bool:
    """Whether a file is a picture that `read_photo` may open, by its header and not by its name."""
    import pillow_heif
    from PIL import Image

    pillow_heif.register_heif_opener()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(path, formats=PHOTO_FORMATS):
                return True
        except Image.DecompressionBombError:
            return True  # too large a picture is one all the same: `read_photo` says so
        except Exception:  # Pillow's parsers raise anything at all on crafted headers
            return False


def read_photo(photo: PathLike | np.ndarray) -> np.ndarray:
    """A photo as uint8 RGB [H W 3], turned as its EXIF says; transparency lies over white.

    photo: a path (jpeg, png, webp, heic, avif, gif, bmp, tiff; first frame of an animation) or an array, uint8
    [H W], [H W 3] or [H W 4]. Raises PhotoError: not an image, truncated, or outside the limits on bytes and pixels.
    """
    if isinstance(photo, np.ndarray):
        return _photo_from_array(photo)
    path = regular_file(photo, PhotoError, "photo", PHOTO_MAX_BYTES)
    import pillow_heif

    pillow_heif.register_heif_opener()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, about what is refused below anyway
        return _read_file(path)


def _read_file(path: Path) -> np.ndarray:
    from PIL import Image, ImageOps

    not_an_image = PhotoError(f"{path.name} is not an image that can be read; give a jpeg, png, webp or heic photo.")
    try:
        image = Image.open(path, formats=PHOTO_FORMATS)
    except Image.DecompressionBombError:
        raise PhotoError(_too_many_pixels(path.name)) from None
    except Exception as error:  # Pillow's parsers raise anything at all on crafted headers
        raise not_an_image from error
    with image:
        _check_photo_size(path.name, *image.size)
        try:
            image.load()
            return _to_rgb8(ImageOps.exif_transpose(image))
        except Exception as error:  # as above, now from the decoders
            raise PhotoError(f"{path.name} is damaged or cut short; save or download it again.") from error


def _too_many_pixels(name: str) -> str:
    return f"{name} has more than {PHOTO_MAX_PIXELS / 1e6:.0f} megapixels; make it smaller."


def _check_photo_size(name: str, width: int, height: int) -> None:
    if width * height > PHOTO_MAX_PIXELS:
        raise PhotoError(_too_many_pixels(name))
    if min(width, height) < PHOTO_MIN_SIDE:
        raise PhotoError(f"{name} is only {width}x{height} pixels; give a photo of at least 64x64.")


def _photo_from_array(photo: np.ndarray) -> np.ndarray:
    """uint8 [H W], [H W 3] or [H W 4] -> uint8 [H W 3]; the limits on pixels hold here as well."""
    if photo.dtype != np.uint8 or photo.ndim not in (2, 3) or (photo.ndim == 3 and photo.shape[2] not in (3, 4)):
        raise PhotoError(f"A photo is uint8 [H W 3] in RGB, not {photo.dtype} {list(photo.shape)}.")
    _check_photo_size("The photo", photo.shape[1], photo.shape[0])
    from PIL import Image

    return _to_rgb8(Image.fromarray(photo))


def _to_rgb8(image: Image) -> np.ndarray:
    """A decoded PIL image of any mode -> uint8 RGB [H W 3], in sRGB where it carries a colour profile."""
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":  # 16-bit, 32-bit and float grey: `convert` would clip them
        values = np.asarray(image, dtype=np.float32)
        top = 1.0 if image.mode == "F" and values.max() <= 1.0 else 255.0 if values.max() <= 255.0 else 65535.0
        image = Image.fromarray((np.clip(np.nan_to_num(values) / top, 0, 1) * 255 + 0.5).astype(np.uint8))
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        profile = image.info.get("icc_profile")
        image = Image.alpha_composite(white, image).convert("RGB")
        image.info["icc_profile"] = profile
    image = _to_srgb(image)
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


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
