"""Written mp4 files. OpenCV, which has a decoder of its own, reads the pictures back."""

import os
import re
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
import soundfile

from tests.io.media_files import click, ffmpeg, make_video, onset, still, tone
from thgen.errors import AudioError, OutputError
from thgen.io.clip import read_clip
from thgen.io.mp4 import Mp4Writer, recompress, write_mp4
from thgen.io.photo import read_photo, write_png
from thgen.io.sound import Sound, read_audio, read_sound
from thgen.schema import FPS, SAMPLE_RATE


def test_format_of_the_file(tmp_path):
    """Codec, pixel format, colour tags, frame rate, length, position of the index, metadata and permissions."""
    size = (65, 49)
    out = write_mp4(tmp_path / "o.mp4", (still(200, size) for _ in range(38)), size, 38, tone(1.5), "made by us")
    about = ffmpeg("-i", out)
    assert re.search(r"Video: h264 .*yuv420p\(tv, bt709, progressive\), 64x48.* 25 fps", about)
    assert re.search(r"Audio: aac .* 48000 Hz", about) and re.search(r"comment +: made by us", about)
    assert "Duration: 00:00:01.5" in about
    content = out.read_bytes()
    assert 0 < content.find(b"moov") < content.find(b"mdat")
    video = cv2.VideoCapture(str(out))
    assert video.get(cv2.CAP_PROP_FPS) == 25 and video.get(cv2.CAP_PROP_FRAME_COUNT) == 38
    assert os.stat(out).st_mode & 0o777 == 0o666 & ~current_umask()


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_colours_come_back(tmp_path):
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [224, 172, 140], [90, 56, 37]], np.uint8)
    frame = np.repeat(np.repeat(colours[None], 32, axis=0), 32, axis=1)
    out = write_mp4(tmp_path / "o.mp4", [frame] * 5, (192, 32), 5)
    back = list(read_clip(out))[2]
    assert np.abs(back[16, 16::32].astype(int) - colours).max() <= 6


@pytest.mark.parametrize("kind", ["samples", "wav", "mp3", "m4a", "8 kHz ogg", "stereo flac", "video"])
def test_sound_and_picture_start_together(tmp_path, kind):
    """A flash and a click at the same time are at the same time in the file."""
    moment, count = 0.8, 40
    audio = click(count / FPS, moment)
    if kind != "samples":
        name, rate, channels = {"8 kHz ogg": ("a.ogg", 8000, 1), "stereo flac": ("a.flac", 44_100, 2),
                                "video": ("a.mp4", 48_000, 2)}.get(kind, (f"a.{kind}", 44_100, 1))  # fmt: skip
        soundfile.write(tmp_path / "in.wav", np.repeat(click(1.6, moment, rate)[:, None], channels, axis=1), rate)
        ffmpeg("-i", tmp_path / "in.wav", "-ar", rate, tmp_path / "x.wav")
        if kind == "video":
            make_video(tmp_path / name, count, read_sound(tmp_path / "x.wav", tmp_path / "kept.wav"))
        else:
            ffmpeg("-i", tmp_path / "x.wav", tmp_path / name)
        audio = read_sound(tmp_path / name, tmp_path / "wave.wav")
    frames = (still(255 if i == round(moment * FPS) else 0) for i in range(count))
    out = write_mp4(tmp_path / "o.mp4", frames, (64, 48), count, audio)
    video = cv2.VideoCapture(str(out))
    flashes = []
    while (read := video.read())[0]:
        flashes.append(read[1].mean() > 128)
    assert flashes.index(True) / FPS == pytest.approx(moment)
    assert abs(onset(read_audio(out)) - moment) < 0.02


@pytest.mark.parametrize("seconds", [0.5, 1.01, 2.0])
def test_the_picture_gives_the_length(tmp_path, seconds):
    """Sound that is shorter or longer than the picture is padded or cut."""
    out = make_video(tmp_path / "o.mp4", 25, tone(seconds))
    length = float(re.search(r"Duration: 00:00:(\d+\.\d+)", ffmpeg("-i", out))[1])
    assert abs(length - 1) <= 0.03
    assert abs(read_audio(out).size / SAMPLE_RATE - 1) <= 0.03


def failing(frames: int, error: BaseException):
    for _ in range(frames):
        yield still()
    raise error


@pytest.mark.parametrize("error", [RuntimeError("x"), KeyboardInterrupt(), AudioError("y"), GeneratorExit()])
def test_an_error_leaves_nothing(tmp_path, error):
    with pytest.raises(type(error)):
        write_mp4(tmp_path / "o.mp4", failing(30, error), (64, 48), 50, tone(2))
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_the_older_video(tmp_path):
    before = make_video(tmp_path / "o.mp4").read_bytes()
    with pytest.raises(RuntimeError):
        write_mp4(tmp_path / "o.mp4", failing(3, RuntimeError()), (64, 48), 50)
    assert (tmp_path / "o.mp4").read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_no_private_folder_remains(tmp_path, monkeypatch):
    (tmp_path / "temp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temp"))
    make_video(tmp_path / "o.mp4", 25, tone(1))
    with pytest.raises(RuntimeError):
        write_mp4(tmp_path / "p.mp4", failing(3, RuntimeError()), (64, 48), 50, tone(1))
    assert list((tmp_path / "temp").iterdir()) == []


def test_sound_that_ffmpeg_cannot_read(tmp_path):
    (tmp_path / "a.wav").write_text("no sound")
    with pytest.raises(OutputError):
        make_video(tmp_path / "o.mp4", 25, Sound(tone(1), tmp_path / "a.wav"))
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]


@pytest.mark.parametrize("name", ["none/o.mp4", "file.txt/o.mp4", "folder.mp4", "o.avi", "/proc/o.mp4", "o\0.mp4"])
def test_output_that_cannot_be_written(tmp_path, name):
    """The error comes before the first frame is requested."""
    (tmp_path / "file.txt").write_text("")
    (tmp_path / "folder.mp4").mkdir()

    def never():
        raise AssertionError("work began")
        yield

    with pytest.raises(OutputError):
        write_mp4(tmp_path / name, never(), (64, 48), 5)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file.txt", "folder.mp4"]


def test_ffmpeg_dies(tmp_path):
    """If ffmpeg ends (killed, out of memory, disk full), there is an OutputError and no file."""
    writer = Mp4Writer(tmp_path / "o.mp4", (64, 48), 500)
    with pytest.raises(OutputError), writer:
        writer._child._process.kill()
        time.sleep(0.1)
        for _ in range(500):
            writer.write(still())
    with pytest.raises(OutputError), writer:
        writer.write(still())
        writer._child._process.terminate()
    assert list(tmp_path.iterdir()) == []


def test_full_disk(tmp_path):
    """A limit of 20 kB on file size simulates a full disk."""
    script = (
        "import resource, signal, sys, numpy as np; from thgen import errors\n"
        "from thgen.io.mp4 import write_mp4\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)); signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "random = np.random.default_rng(0)\n"
        "frames = (random.integers(0, 255, (64, 64, 3), dtype=np.uint8) for _ in range(200))\n"
        "try: write_mp4(sys.argv[1], frames, (64, 64), 200)\n"
        "except errors.OutputError as e: print(e)"
    )
    run = subprocess.run([sys.executable, "-c", script, str(tmp_path / "o.mp4")], capture_output=True, text=True)
    assert "could not be written" in run.stdout, run.stderr
    assert list(tmp_path.iterdir()) == []


def test_frames_of_the_wrong_size_are_refused(tmp_path):
    with pytest.raises(ValueError, match="expected uint8"):
        write_mp4(tmp_path / "o.mp4", [still(0, (32, 32))], (64, 48), 1)
    assert list(tmp_path.iterdir()) == []


def test_png(tmp_path):
    write_png(tmp_path / "a.png", still(7))
    assert (read_photo(tmp_path / "a.png") == 7).all()
    with pytest.raises(OutputError):
        write_png(tmp_path / "none" / "a.png", still(7))


def test_the_sound_of_the_file_equals_the_input(tmp_path):
    """The samples of the file equal the tone that was written."""
    out = make_video(tmp_path / "o.mp4", 50, tone(2))
    back = read_audio(out)[4000:28_000]
    assert np.corrcoef(back, tone(2)[4000:28_000])[0, 1] > 0.99


def test_samples_become_a_16_khz_mono_wav(tmp_path):
    """The encoder gets samples at their own rate. Python's `wave` module can read the file."""
    import wave

    writer = Mp4Writer(tmp_path / "o.mp4", (64, 48), 25, tone(1))
    from contextlib import ExitStack

    with ExitStack() as stack, wave.open(str(writer._sound(stack).wave)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (1, SAMPLE_RATE, SAMPLE_RATE)


def test_recompress_loses_detail_with_crf_and_is_repeatable():
    y, x = np.mgrid[:96, :96]
    picture = np.stack([x * 2, y * 2, x + y], -1).clip(0, 255).astype(np.uint8)
    frames = np.stack([np.roll(picture, t, 1) for t in range(3)])
    fine, coarse = (np.abs(recompress(frames, crf).astype(int) - frames).mean() for crf in (18, 45))
    assert 0 < fine < 4 and fine < coarse < 40
    assert np.array_equal(recompress(frames, 36), recompress(frames, 36))
