"""Photos of every mode and format, honest and hostile."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image, ImageCms

from tests.crafted import bomb, chunk
from tests.hostile.pixel_formats import scene

pillow_heif.register_heif_opener()

MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "I", "F",
         "I;16", "I;16L", "I;16B")  # fmt: skip
FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP", "PPM", "AVIF", "HEIF", "JPEG2000", "TGA", "ICO", "PCX", "DDS")

EIGHT_BITS = ("WEBP", "GIF", "AVIF", "HEIF", "JPEG", "ICO")


def picture(mode: str) -> Image.Image:
    """The scene, in a mode of Pillow's. Raises ValueError where Pillow cannot convert to it."""
    image = Image.fromarray(scene())
    if mode == "F":
        return Image.fromarray(np.asarray(image.convert("L"), np.float32) / 255)
    if mode.startswith("I;16"):
        deep = np.asarray(image.convert("L"), np.uint16) * 257
        return Image.frombytes(mode, image.size, deep.astype(">u2" if mode.endswith("B") else "<u2").tobytes())
    if mode == "I":
        return Image.fromarray(np.asarray(image.convert("L"), np.int32) * 257)
    if mode == "LAB":
        lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
        return ImageCms.applyTransform(image, lab)
    if mode in ("La", "RGBa"):
        return image.convert("LA" if mode == "La" else "RGBA").convert(mode)
    if mode == "PA":
        return image.convert("P").convert("PA")
    return image.convert(mode)


def writable() -> list[tuple[str, str]]:
    """(mode, format) of all that Pillow writes."""
    pairs = []
    for mode in MODES:
        for kind in FORMATS:
            if mode[0] in "IF" and kind in EIGHT_BITS:  # Pillow would cut the values off as it writes
                continue
            try:
                picture(mode).save(io.BytesIO(), kind)
            except (OSError, ValueError, KeyError, SystemError):
                continue
            pairs.append((mode, kind))
    return pairs


def endless_jpeg(scans: int, side: int = 8000) -> bytes:
    """A progressive JPEG of side x side grey pixels with thousands of empty scans: each costs a walk over all blocks.

    One scan says "no coefficients in the next 32,767 blocks" as often as there are such runs (ITU-T T.81, G.1.2.2).
    """
    blocks = ((side + 7) // 8) ** 2
    header = b"\xff\xd8" + _segment(0xDB, b"\0" + bytes([1] * 64))
    header += _segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + bytes([1, 0x11, 0]))
    # Two Huffman tables with one code of one bit each: DC difference 0, and "end of bands, 14 bits of run".
    header += _segment(0xC4, bytes([0x00, 1, *[0] * 15, 0])) + _segment(0xC4, bytes([0x10, 1, *[0] * 15, 0xE0]))
    first = _segment(0xDA, bytes([1, 1, 0x00, 0, 0, 0])) + _bits("0" * blocks)
    runs = -(-blocks // 32767)
    empty = _segment(0xDA, bytes([1, 1, 0x00, 1, 63, 0])) + _bits(("0" + "1" * 14) * runs)
    return header + first + empty * scans + b"\xff\xd9"


def _segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def _bits(bits: str) -> bytes:
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")


def tiff(values: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(values).save(out, "TIFF")
    return out.getvalue()


def saved(kind: str, size: tuple[int, int] = (64, 48), **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(scene()).resize(size).save(out, kind, **options)
    return out.getvalue()


def cut(kind: str, share: float) -> bytes:
    whole = saved(kind)
    return whole[: int(len(whole) * share)]


def spoilt(kind: str) -> bytes:
    """Every seventh byte behind the header is another one."""
    data = bytearray(saved(kind, (256, 192)))
    data[100::7] = bytes(b ^ 0x55 for b in data[100::7])
    return bytes(data)


def _exif(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved("JPEG", exif=exif.tobytes(), quality=95)


def _text_bomb() -> bytes:
    whole = saved("PNG")
    return whole[:33] + chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(64 << 20), 9)) + whole[33:]


_NAN = np.linspace(0, 1, 64 * 48, dtype=np.float32).reshape(48, 64).copy()
_NAN[:4] = np.nan

# name -> (bytes, words of the sentence; None: it reads)
HOSTILE: dict[str, tuple[Callable[[], bytes], str | None]] = {
    "endless scans": (lambda: endless_jpeg(4000), "takes too long"),
    "strip, tall": (lambda: saved("PNG", (33, 2000)), "strip"),
    "strip, wide": (lambda: saved("JPEG", (2000, 33)), "strip"),
    "panorama": (lambda: saved("JPEG", (600, 120)), None),
    "bomb": (lambda: bomb(12_000, 12_000), "megapixels"),
    "bomb of 2^31": (lambda: bomb(2**31 - 1, 2**31 - 1), "megapixels"),
    "bomb in text": (_text_bomb, "not an image"),
    "64 megapixels of nothing": (lambda: saved("PNG", (8000, 8000), compress_level=1), None),
    "float with NaN": (lambda: tiff(_NAN), None),
    "float, all NaN": (lambda: tiff(np.full((48, 64), np.nan, np.float32)), "no numbers"),
    "float, infinite": (lambda: tiff(np.full((48, 64), np.inf, np.float32)), "no numbers"),
    "float of 0 to 255": (lambda: tiff(255 * np.nan_to_num(_NAN)), None),
    "float with highlights": (lambda: tiff(1.5 * np.nan_to_num(_NAN)), None),
    "integers of 32 bits": (
        lambda: tiff((np.nan_to_num(_NAN).astype(float) * (2**31 - 1)).astype(np.int32)),
        "32 bits",
    ),
    "negative integers": (lambda: tiff(np.full((48, 64), -5, np.int32)), None),
    **{
        f"{kind} cut at {share}": (lambda k=kind, s=share: cut(k, s), "")
        for kind in FORMATS[:9]
        for share in (0.2, 0.7)
    },
    **{f"{kind} spoilt": (lambda k=kind: spoilt(k), "") for kind in FORMATS[:9]},
    **{f"orientation {n}": (lambda n=n: _exif(n), None) for n in (0, 3, 6, 9, 65535)},
    "profile of rubbish": (lambda: saved("PNG", icc_profile=b"rubbish"), None),
    "svg": (lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><image href="/etc/passwd"/></svg>', "not an image"),
    "postscript": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n", "not an image"),
    "pdf": (lambda: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "not an image"),
    "pickle": (lambda: b"\x80\x04\x95\x10\0\0\0\0\0\0\0\x8c\x02os\x94.", "not an image"),
    "zip": (lambda: b"PK\x03\x04" + bytes(100), "not an image"),
    "nothing": (lambda: b"", "is empty"),
    "zeros": (lambda: bytes(5000), "not an image"),
    "noise": (lambda: np.random.default_rng(0).bytes(5000), "not an image"),
    "magic alone": (lambda: b"\x89PNG\r\n\x1a\n", "not an image"),
    "jpeg magic and noise": (lambda: b"\xff\xd8\xff\xe0" + np.random.default_rng(0).bytes(5000), ""),
    "gif of 65535": (lambda: b"GIF89a\xff\xff\xff\xff\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\xff\xff\xff\xff\0\x08\0;", ""),
    "one pixel": (lambda: saved("PNG", (1, 1)), "only 1x1"),
}


def write(folder: Path, name: str) -> Path:
    path = folder / "photo.jpg"  # the content decides
    path.write_bytes(HOSTILE[name][0]())
    return path
