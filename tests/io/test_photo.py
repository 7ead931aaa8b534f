"""Photos of every format give the same RGB; every bad upload gives a PhotoError."""

import struct
import warnings
import zlib

import cv2
import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms

from tests.crafted import bomb, chunk
from thgen.errors import PhotoError
from thgen.io.mp4 import write_mp4
from thgen.io.photo import PHOTO_MAX_BYTES, PHOTO_MAX_PIXELS, is_photo, read_photo


@pytest.fixture
def scene() -> np.ndarray:
    """uint8 [96 128 3]: smooth, so that lossy formats change it little, and different in all four corners."""
    y, x = np.mgrid[0:96, 0:128]
    return np.stack([x * 255 / 127, y * 255 / 95, 128 + 0 * x], axis=-1).astype(np.uint8)


def close(a: np.ndarray, b: np.ndarray, mean: float = 3.0) -> bool:
    return a.shape == b.shape and a.dtype == np.uint8 and np.abs(a.astype(int) - b).mean() <= mean


@pytest.mark.parametrize("name", ["a.jpg", "a.mpo", "a.png", "a.webp", "a.bmp", "a.tiff", "a.gif", "a.avif", "a.ppm"])
def test_formats(tmp_path, scene, name):
    path = tmp_path / name
    Image.fromarray(scene).save(path, quality=95) if name != "a.gif" else Image.fromarray(scene).save(path)
    assert close(read_photo(path), scene, 12 if name == "a.gif" else 3)


def test_heic(tmp_path, scene):
    pillow_heif.from_pillow(Image.fromarray(scene)).save(tmp_path / "a.heic", quality=95)
    assert close(read_photo(tmp_path / "a.heic"), scene)


def test_content_decides_not_the_name(tmp_path, scene):
    Image.fromarray(scene).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    assert np.array_equal(read_photo(tmp_path / "a.jpg"), scene)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, scene, orientation):
    """The stored image is rotated so that the orientation tag restores `scene`."""
    undo = {1: [], 2: ["h"], 3: ["180"], 4: ["v"], 5: ["t"], 6: ["90"], 7: ["h", "90"], 8: ["270"]}[orientation]
    act = {"h": np.fliplr, "v": np.flipud, "180": lambda a: np.rot90(a, 2), "t": lambda a: a.swapaxes(0, 1),
           "90": lambda a: np.rot90(a, 1), "270": lambda a: np.rot90(a, 3)}  # fmt: skip
    stored = scene
    for step in undo:
        stored = act[step](stored)
    if orientation == 7:
        stored = np.rot90(scene, 2).swapaxes(0, 1)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_photo(tmp_path / "a.png"), scene)


def test_transparent_pixels_become_white(tmp_path, scene):
    alpha = np.zeros((96, 128), np.uint8)
    alpha[:, 64:] = 255
    Image.fromarray(np.dstack([scene, alpha])).save(tmp_path / "a.png")
    photo = read_photo(tmp_path / "a.png")
    assert (photo[:, :64] == 255).all() and np.array_equal(photo[:, 64:], scene[:, 64:])


@pytest.mark.parametrize("mode", ["L", "LA", "1", "P", "CMYK", "YCbCr", "LAB"])
def test_colour_modes(tmp_path, scene, mode):
    name = {"CMYK": "a.jpg", "YCbCr": "a.jpg", "LAB": "a.tiff"}.get(mode, "a.png")
    if mode == "LAB":
        lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
        image = ImageCms.applyTransform(Image.fromarray(scene), lab)
    else:
        image = Image.fromarray(scene).convert(mode)
    image.save(tmp_path / name)
    photo = read_photo(tmp_path / name)
    grey = np.asarray(Image.fromarray(scene).convert("L").convert("RGB"))
    if mode in ("L", "LA"):
        assert np.array_equal(photo, grey)
    elif mode == "1":
        assert set(np.unique(photo)) == {0, 255} and abs(photo.mean() - grey.mean()) < 5
    elif mode == "P":
        assert np.array_equal(photo, np.asarray(image.convert("RGB")))
    else:
        assert close(photo, scene, 12)


@pytest.mark.parametrize("channels", [1, 3])
def test_16_bit(tmp_path, scene, channels):
    deep = scene[..., 0] if channels == 1 else scene[..., ::-1]
    cv2.imwrite(str(tmp_path / "a.png"), deep.astype(np.uint16) * 257)
    expected = np.repeat(scene[..., :1], 3, axis=2) if channels == 1 else scene
    assert close(read_photo(tmp_path / "a.png"), expected, 1)


def test_float_tiff(tmp_path, scene):
    Image.fromarray(scene[..., 0].astype(np.float32) / 255).save(tmp_path / "a.tiff")
    assert close(read_photo(tmp_path / "a.tiff"), np.repeat(scene[..., :1], 3, axis=2), 1)


def test_palette_with_transparent_entry(tmp_path, scene):
    image = Image.fromarray(scene).quantize(16)
    image.save(tmp_path / "a.png", transparency=0)
    hole = np.asarray(image) == 0
    photo = read_photo(tmp_path / "a.png")
    assert hole.any() and (photo[hole] == 255).all() and (photo[~hole] != 255).any()


def test_first_frame_of_an_animation(tmp_path, scene):
    frames = [Image.fromarray(scene), Image.fromarray(255 - scene)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    assert np.array_equal(read_photo(tmp_path / "a.webp"), scene)


def test_colour_profile_is_obeyed(tmp_path, scene):
    """A profile with linear tone response: middle grey of the file is much lighter in sRGB."""
    profile = linear_rgb_profile()
    Image.fromarray(np.full_like(scene, 55)).save(tmp_path / "a.png", icc_profile=profile)
    assert abs(int(read_photo(tmp_path / "a.png")[0, 0, 0]) - 128) <= 4
    Image.fromarray(scene).save(tmp_path / "b.png", icc_profile=b"not a profile")
    assert np.array_equal(read_photo(tmp_path / "b.png"), scene)


def linear_rgb_profile() -> bytes:
    """sRGB's own profile with its three tone curves replaced by gamma 1.0."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", data[128:132])[0]
    for tag in range(count):
        name, offset, _ = struct.unpack(">4sII", data[132 + 12 * tag : 144 + 12 * tag])
        if name in (b"rTRC", b"gTRC", b"bTRC"):
            # a parametric curve of type 0: y = x ** 1.0
            data[offset : offset + 16] = struct.pack(">4sIHHi", b"para", 0, 0, 0, 0x10000)
    return bytes(data)


@pytest.mark.parametrize("width,height", [(64, 64), (8000, 6250)])
def test_smallest_and_largest(tmp_path, width, height):
    Image.new("1", (width, height), 1).save(tmp_path / "a.png")
    photo = read_photo(tmp_path / "a.png")
    assert photo.shape == (height, width, 3) and photo[-1, -1, 0] == 255


def test_arrays(scene):
    assert np.array_equal(read_photo(scene), scene)
    assert read_photo(scene[..., 0]).shape == scene.shape
    assert (read_photo(np.dstack([scene, np.zeros((96, 128), np.uint8)])) == 255).all()
    for bad in (scene.astype(np.float32), scene[..., :2], scene[None], scene[:1, :1]):
        with pytest.raises(PhotoError):
            read_photo(bad)


@pytest.mark.parametrize("side", [9000, 12_000, 60_000, 2**31 - 1])
def test_zip_bomb_is_refused_from_its_header(tmp_path, side):
    """The file that no decoder can read is refused for its size all the same: nothing was decoded before."""
    assert side * side > PHOTO_MAX_PIXELS
    path = tmp_path / "bomb.png"
    for content in (bomb(side, side), bomb(side, side)[:33] + chunk(b"IDAT", b"no pixels")):
        path.write_bytes(content)
        with pytest.raises(PhotoError, match="megapixels"), warnings.catch_warnings():
            warnings.simplefilter("error")  # no warning besides the error
            read_photo(path)
    path.write_bytes(bomb(64, 64)[:33] + chunk(b"IDAT", b"no pixels"))
    with pytest.raises(PhotoError, match="damaged"):
        read_photo(path)


def test_bomb_in_a_text_chunk(tmp_path, scene):
    Image.fromarray(scene).save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    text = chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(64 << 20), 9))
    (tmp_path / "a.png").write_bytes(whole[:33] + text + whole[33:])
    with pytest.raises(PhotoError):
        read_photo(tmp_path / "a.png")


def test_truncated_jpg(tmp_path, scene):
    Image.fromarray(scene).save(tmp_path / "a.jpg")
    whole = (tmp_path / "a.jpg").read_bytes()
    for share in (0.1, 0.5, 0.9):
        (tmp_path / "a.jpg").write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(PhotoError, match=r"a\.jpg"):
            read_photo(tmp_path / "a.jpg")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x04\x95pickle", b"%!PS-Adobe", b"<svg/>", bytes(1000)])
def test_not_an_image(tmp_path, content):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(PhotoError, match=r"a\.jpg"):
        read_photo(tmp_path / "a.jpg")


def test_postscript_and_other_rare_formats_are_never_opened(tmp_path, scene):
    """Pillow would start ghostscript for eps."""
    for kind in ("EPS", "PCX", "TGA", "SGI"):
        Image.fromarray(scene).save(tmp_path / "a.png", format=kind)
        with pytest.raises(PhotoError, match="not an image"):
            read_photo(tmp_path / "a.png")


def test_one_pixel(tmp_path):
    Image.new("RGB", (1, 1)).save(tmp_path / "a.png")
    with pytest.raises(PhotoError, match="only 1x1"):
        read_photo(tmp_path / "a.png")


@pytest.mark.parametrize("name", ["none.jpg", "", "a\0b.jpg", "x" * 5000])
def test_no_such_file(tmp_path, name):
    with pytest.raises(PhotoError):
        read_photo(tmp_path / name if "\0" not in name else name)


def test_pipes_and_devices_are_not_read():
    with pytest.raises(PhotoError):
        read_photo("/dev/zero")


def test_too_many_bytes(tmp_path):
    with open(tmp_path / "a.jpg", "wb") as file:
        file.truncate(PHOTO_MAX_BYTES + 1)  # a sparse file
    with pytest.raises(PhotoError, match="larger than 64 MB"):
        read_photo(tmp_path / "a.jpg")


def test_is_photo(tmp_path, scene):
    Image.fromarray(scene).save(tmp_path / "clip.png")
    (tmp_path / "clip.png").rename(tmp_path / "clip.mp4")
    assert is_photo(tmp_path / "clip.mp4"), "the content decides"
    write_mp4(tmp_path / "video.png.mp4", [scene] * 3, (128, 96), 3)
    (tmp_path / "text.jpg").write_text("no picture")
    for name in ("video.png.mp4", "text.jpg", "absent.jpg"):
        assert not is_photo(tmp_path / name)
