"""Every mode and format of Pillow's, and hostile photos: the right picture or one typed sentence, within bounds."""

import numpy as np
import pytest

from tests.hostile.photo_files import HOSTILE, picture, writable, write
from tests.hostile.pixel_formats import scene
from tests.hostile.watch import is_sentence, watched
from thgen.errors import PhotoError
from thgen.io import photo
from thgen.io.photo import picture_kind, read_photo

TAKEN = ("PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP", "PPM", "AVIF", "HEIF", "DIB", "MPO")
BROKEN = (("YCbCr", "TIFF"),)  # Pillow cannot read what it writes


# A format that is not taken is refused by its header, before its mode is known: one mode is enough.
@pytest.mark.parametrize("mode,kind", [(mode, kind) for mode, kind in writable() if kind in TAKEN or mode == "RGB"])
def test_every_mode_and_format(tmp_path, mode, kind):
    path, temporary = tmp_path / "photo", tmp_path / "temporary"
    temporary.mkdir()
    picture(mode).save(path, kind)
    with watched(temporary):
        if kind not in TAKEN or (mode, kind) in BROKEN:
            with pytest.raises(PhotoError, match="damaged" if kind in TAKEN else "not an image") as caught:
                read_photo(path)
            assert is_sentence(caught.value)
            return
        read = read_photo(path)
    wanted = scene().astype(float)
    grey = mode in ("1", "L", "LA", "La", "I", "F") or mode.startswith("I;16")
    if grey:
        wanted = np.repeat((wanted @ [0.299, 0.587, 0.114])[..., None], 3, axis=2)
    assert read.shape == wanted.shape and read.dtype == np.uint8
    coarse = mode in ("1", "P", "PA") or kind == "GIF"  # dithered: right on average
    error = read.mean((0, 1)) - wanted.mean((0, 1)) if coarse else read - wanted
    assert np.abs(error).mean() < 14, (mode, kind)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_photos(tmp_path, monkeypatch, name):
    # Seconds of a core: every photo here but the endless one takes 3 at most. With the true limit: test_real_server.
    monkeypatch.setattr(photo, "DECODER_CPU_SECONDS", 4)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    path, words = write(tmp_path, name), HOSTILE[name][1]
    read, error = None, None
    with watched(temporary):
        picture_kind(path)  # a driver is asked for first of all
        try:
            read = read_photo(path)
        except PhotoError as refused:
            error = refused
    if read is None:
        assert error is not None and words is not None and words in str(error) and is_sentence(error), error
    else:
        assert not words and read.dtype == np.uint8 and read.shape[2] == 3
        assert read[::7].std() > 0 or name == "negative integers"


def test_a_slow_photo_can_be_cancelled(tmp_path):
    class CancelledError(Exception):
        """Raised by whoever leaves."""

    def leave() -> None:
        raise CancelledError

    temporary = tmp_path / "temporary"
    temporary.mkdir()
    path = write(tmp_path, "endless scans")
    with watched(temporary, seconds=3), pytest.raises(CancelledError):
        read_photo(path, leave)
