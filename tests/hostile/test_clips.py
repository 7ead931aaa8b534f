"""Clips of every pixel format, container and kind: the right frames or one typed sentence, within bounds."""

import subprocess
from itertools import pairwise

import cv2
import numpy as np
import pytest

from tests.hostile.clip_files import CONTAINERS, HOSTILE, animation, contained, hdr
from tests.hostile.pixel_formats import FRAMES, formats, scene, write
from tests.hostile.watch import is_sentence, watched
from thgen.errors import ClipError
from thgen.io.clip import read_clip
from thgen.io.photo import is_photo, picture_kind

GREY = ("gray", "ya", "mono")
COARSE = ("pal8", "rgb8", "bgr8", "rgb4", "bgr4", "mono", "xyz")  # dithered or in other colours: right on average


@pytest.fixture
def temporary(tmp_path):
    (tmp_path / "temporary").mkdir()
    return tmp_path / "temporary"


@pytest.mark.parametrize("encoder,pixel_format", formats())
def test_every_pixel_format(tmp_path, temporary, encoder, pixel_format):
    try:
        path = write(tmp_path / "clip", encoder, pixel_format)
    except subprocess.CalledProcessError:
        pytest.skip("this ffmpeg names the format and cannot write it")
    with watched(temporary):
        frames = list(read_clip(path))
    assert len(frames) == FRAMES
    wanted = scene().astype(float)
    if pixel_format.startswith(GREY):
        wanted = np.repeat((wanted @ [0.299, 0.587, 0.114])[..., None], 3, axis=2)
    seen = cv2.resize(frames[0], wanted.shape[1::-1], interpolation=cv2.INTER_AREA)
    coarse = pixel_format.startswith(COARSE)
    error = seen.mean() - wanted.mean() if coarse else seen - wanted
    assert np.abs(error).mean() < (20 if coarse else 12)


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_container(tmp_path, temporary, container):
    path = contained(tmp_path, container)
    with watched(temporary):
        frames = list(read_clip(path))
    assert 9 <= len(frames) <= 11
    assert np.abs(frames[0].astype(int) - frames[-1]).mean() > 2, "it moves"


@pytest.mark.parametrize("transfer", ["arib-std-b67", "smpte2084"])
def test_hdr_comes_out_with_sensible_tones(tmp_path, temporary, transfer):
    """As bright and as colourful as the same scene in SDR. Read without tone mapping it is 40 levels too dark."""
    path = hdr(tmp_path, transfer)
    with watched(temporary):
        frame = next(read_clip(path)).astype(float)
    assert np.abs(frame - scene()).mean() < 9
    assert np.abs(frame.mean((0, 1)) - scene().mean((0, 1))).max() < 10


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF"])
def test_animated_pictures_play(tmp_path, temporary, kind):
    """Ten pictures of 100 ms are a second, not a still."""
    path = animation(tmp_path, kind)
    with watched(temporary):
        assert picture_kind(path) == "moves" and not is_photo(path)
        frames = list(read_clip(path))
    assert 22 <= len(frames) <= 26
    levels = [float(f.mean()) for f in frames]
    assert levels[-1] - levels[0] > 25 and all(b > a - 1.5 for a, b in pairwise(levels))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF", "JPEG", "TIFF"])
def test_pictures_of_one_frame_are_stills(tmp_path, kind):
    assert is_photo(animation(tmp_path, kind, frames=1) if kind not in ("JPEG", "TIFF") else _plain(tmp_path, kind))


def _plain(folder, kind):
    from PIL import Image

    Image.fromarray(scene()).save(folder / "a", kind)
    return folder / "a"


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_clips(tmp_path, temporary, name):
    make, wanted = HOSTILE[name]
    path = tmp_path / "clip.mp4"  # the content decides
    path.write_bytes(make(tmp_path))
    count, error = 0, None
    with watched(temporary):
        picture_kind(path)
        try:
            for frame in read_clip(path):
                count += 1
                assert frame.dtype == np.uint8 and frame.ndim == 3 and max(frame.shape) <= 1920
        except ClipError as refused:
            error = refused
    if error is not None:
        assert isinstance(wanted, str) and wanted in str(error) and is_sentence(error), error
    else:
        assert wanted == "" or abs(count - int(wanted)) <= 1, count


def test_a_clip_that_stands_still_is_ended(tmp_path, temporary, monkeypatch):
    """A decoder that says nothing more, for whatever reason, holds nobody up for longer than the stated time."""
    from thgen.io import process

    path = contained(tmp_path, "mp4")
    script = tmp_path / "ffmpeg"
    real = __import__("imageio_ffmpeg").get_ffmpeg_exe()
    script.write_text(f'#!/bin/sh\ncase "$*" in *image2pipe*) exec sleep 100;; *) exec {real} "$@";; esac\n')
    script.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(script))
    monkeypatch.setattr(process.Child.__init__, "__kwdefaults__",
                        {**process.Child.__init__.__kwdefaults__, "stall": 1.0})  # fmt: skip
    with watched(temporary, seconds=6), pytest.raises(ClipError, match="takes too long"):
        list(read_clip(path))
