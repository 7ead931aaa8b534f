"""Sound and video in and out, read back by another decoder (OpenCV's own) where a picture is judged."""

import os
import re
import subprocess
import sys
import time
import wave
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np
import pytest
import soundfile

from thgen import media
from thgen.errors import AudioError, ClipError, OutputError
from thgen.schema import FPS, SAMPLE_RATE

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


def ffmpeg(*arguments: object) -> str:
    command = [FFMPEG, "-hide_banner", "-y", *(str(a) for a in arguments)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0 or arguments[-1] == "-" or "At least one output" in run.stderr, run.stderr[-500:]
    return run.stderr


def tone(seconds: float, rate: int = SAMPLE_RATE) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * 220 * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def click(seconds: float, at: float, rate: int = SAMPLE_RATE) -> np.ndarray:
    """Silence but for 20 ms of a loud tone from `at` on."""
    samples = np.zeros(int(seconds * rate), np.float32)
    begin = round(at * rate)
    samples[begin : begin + rate // 50] = 0.9 * np.sin(2 * np.pi * 1000 * np.arange(rate // 50) / rate + 0.5)
    return samples


def onset(samples: np.ndarray) -> float:
    """Seconds at which a click begins."""
    return float(np.argmax(np.abs(samples) > 0.25)) / SAMPLE_RATE


def still(value: int = 90, size: tuple[int, int] = (64, 48)) -> np.ndarray:
    return np.full((size[1], size[0], 3), value, np.uint8)


def make_video(path: Path, count: int = 25, audio=None, size=(64, 48)) -> Path:
    return media.write_mp4(path, (still(9 * (i % 25), size) for i in range(count)), size, count, audio)


# ---------------------------------------------------------------------------------------------------- sound
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("suffix", ["wav", "mp3", "m4a", "flac", "ogg", "opus", "webm"])
def test_audio_formats(tmp_path, suffix, rate, channels):
    """Whatever the file, it is mono 16 kHz float, of the right length, and the click lies where it was put."""
    if suffix in ("opus", "webm"):
        rate = {8000: 8000, 22_050: 16_000, 44_100: 24_000, 48_000: 48_000}[rate]  # opus knows no others
    samples = np.repeat(click(1.5, 0.7, rate)[:, None], channels, axis=1)
    soundfile.write(tmp_path / "in.wav", samples, rate)
    codec = ["-c:a", "libopus"] if suffix in ("opus", "webm") else []
    ffmpeg("-i", tmp_path / "in.wav", "-ar", rate, *codec, tmp_path / f"a.{suffix}")
    read = media.read_audio(tmp_path / f"a.{suffix}")
    assert read.dtype == np.float32 and read.ndim == 1 and np.abs(read).max() <= 1
    assert abs(read.size / SAMPLE_RATE - 1.5) <= (0.08 if suffix == "mp3" else 0.04)
    # webm counts from its first whole packet: up to 32 ms are cut, the same for the lips and for the written sound
    assert abs(onset(read) - 0.7) < (0.035 if suffix == "webm" else 0.02)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_wav_sample_kinds(tmp_path, subtype):
    soundfile.write(tmp_path / "a.wav", tone(1), SAMPLE_RATE, subtype=subtype)
    assert np.abs(media.read_audio(tmp_path / "a.wav") - tone(1)).max() < 0.01


def test_wrong_extension(tmp_path):
    soundfile.write(tmp_path / "in.wav", tone(1, 44_100), 44_100)
    ffmpeg("-i", tmp_path / "in.wav", tmp_path / "a.mp3")
    for name in ("a.wav", "a.txt", "a"):
        (tmp_path / name).write_bytes((tmp_path / "a.mp3").read_bytes())
        assert abs(media.read_audio(tmp_path / name).size / SAMPLE_RATE - 1) < 0.08


def test_sound_track_of_a_video(tmp_path):
    make_video(tmp_path / "v.mp4", 50, click(2, 1.2))
    assert abs(onset(media.read_audio(tmp_path / "v.mp4")) - 1.2) < 0.005


def test_sound_that_begins_after_the_picture_keeps_its_place(tmp_path):
    make_video(tmp_path / "v.mp4", 50)
    soundfile.write(tmp_path / "a.wav", click(1, 0.5), SAMPLE_RATE)
    ffmpeg("-i", tmp_path / "v.mp4", "-itsoffset", "0.4", "-i", tmp_path / "a.wav", "-c:v", "copy", tmp_path / "b.mp4")
    assert abs(onset(media.read_audio(tmp_path / "b.mp4")) - 0.9) < 0.01


def test_too_loud_is_scaled_not_clipped(tmp_path):
    soundfile.write(tmp_path / "a.wav", 8 * tone(1), SAMPLE_RATE, subtype="FLOAT")
    read = media.read_audio(tmp_path / "a.wav")
    assert np.abs(read - read.max() * 2 * tone(1)).max() < 0.01 and 0.99 < read.max() <= 1


def bad_audio(folder: Path, kind: str) -> Path:
    path = folder / "a.wav"
    if kind == "nan":
        samples = tone(1)
        samples[5000] = np.nan
        soundfile.write(path, samples, SAMPLE_RATE, subtype="FLOAT")
    elif kind == "video without sound":
        path = make_video(folder / "v.mp4")
    elif kind == "text":
        path.write_text("a voice, honestly")
    elif kind == "0 bytes":
        path.write_bytes(b"")
    elif kind == "header only":
        soundfile.write(path, tone(1), SAMPLE_RATE)
        path.write_bytes(path.read_bytes()[:30])
    else:
        noise = 1e-4 * np.random.default_rng(0).normal(size=2 * SAMPLE_RATE)
        samples = {"0 s": tone(0), "0.2 s": tone(0.2), "silence": np.zeros(2 * SAMPLE_RATE), "hiss": noise}[kind]
        soundfile.write(path, samples.astype(np.float32), SAMPLE_RATE)
    return path


@pytest.mark.parametrize(
    "kind,says",
    [
        ("0 s", "too short"),
        ("0.2 s", "too short"),
        ("silence", "silent"),
        ("hiss", "silent"),
        ("nan", "not numbers"),
        ("video without sound", "no sound track"),
        ("text", "not a sound"),
        ("0 bytes", "empty"),
        ("header only", "a.wav"),
    ],
)
def test_bad_audio(tmp_path, kind, says):
    with pytest.raises(AudioError, match=says):
        media.read_audio(bad_audio(tmp_path, kind))


def test_nan_survives_resampling(tmp_path):
    """At another rate the sample is computed anew, and must not turn into a number on the way."""
    samples = tone(1, 44_100)
    samples[20_000] = np.nan
    soundfile.write(tmp_path / "a.wav", samples, 44_100, subtype="FLOAT")
    with pytest.raises(AudioError, match="not numbers"):
        media.read_audio(tmp_path / "a.wav")


def test_audio_arrays():
    assert np.array_equal(media.read_audio(tone(1).astype(np.float64)), tone(1))
    for bad in (tone(0.1), np.zeros(9999, np.float32), np.full(9999, np.nan), tone(1)[None], np.ones(9999, np.int16)):
        with pytest.raises(AudioError):
            media.read_audio(bad)


def test_audio_limits(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", np.tile(tone(1, 8000), 615), 8000, subtype="PCM_U8")
    with pytest.raises(AudioError, match="615 s long"):
        media.read_audio(tmp_path / "a.wav")
    monkeypatch.setattr(media, "AUDIO_MAX_BYTES", 1 << 20)
    with pytest.raises(AudioError, match="larger than 1 MB"):
        media.read_audio(tmp_path / "a.wav")


def test_length_that_the_header_hides(tmp_path, monkeypatch):
    """A stream without a length in its header is measured while it is decoded."""
    soundfile.write(tmp_path / "in.wav", tone(9), SAMPLE_RATE)
    ffmpeg("-i", tmp_path / "in.wav", "-f", "adts", tmp_path / "a.aac")
    monkeypatch.setattr(media, "AUDIO_MAX_SECONDS", 4.0)
    monkeypatch.setattr(media, "probe", lambda *a: media.Probe(None, True, 0, 0))
    with pytest.raises(AudioError, match="longer than 4 s"):
        media.read_audio(tmp_path / "a.aac")


@pytest.mark.parametrize("kind", ["hls", "concat", "dash", "sdp", "sub"])
def test_files_that_name_other_files_are_not_followed(tmp_path, kind):
    """Playlists would let an upload read the server's files or reach into its network."""
    secret = tmp_path / "secret.wav"
    soundfile.write(secret, tone(2), SAMPLE_RATE)
    text = {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile://{secret}\n#EXT-X-ENDLIST\n",
        "concat": f"ffconcat version 1.0\nfile '{secret}'\n",
        "dash": f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{secret}</BaseURL></MPD>',
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
        "sub": f"{{1}}{{2}}{secret}",
    }[kind]
    for name in ("a.wav", "a.m3u8", "a.mp4", "a.ffconcat"):
        (tmp_path / name).write_text(text)
        with pytest.raises(AudioError):
            media.read_audio(tmp_path / name)
        with pytest.raises(ClipError):
            media.read_clip(tmp_path / name)


def test_names_are_no_protocols(tmp_path, monkeypatch):
    """A file may be called anything; ffmpeg must take the name for a name."""
    monkeypatch.chdir(tmp_path)
    for name in ("concat:a.wav", "-i.wav", "http:x.wav", "a b;$(x).wav", "%d.wav"):
        soundfile.write(tmp_path / "x.wav", tone(1), SAMPLE_RATE)
        (tmp_path / "x.wav").rename(tmp_path / name)
        assert media.read_audio(name).size == SAMPLE_RATE


# ----------------------------------------------------------------------------------------------------- clip
def counter_video(path: Path, fps: float, seconds: float) -> Path:
    """A video whose grey level is its time: 100 levels per second."""
    ffmpeg("-f", "lavfi", "-i", f"color=black:s=64x48:r={fps}:d={seconds}", "-vf",
           "geq=lum='16+100*T':cb=128:cr=128,scale=out_range=tv", "-c:v", "libx264", "-qp", "4", path)  # fmt: skip
    return path


@pytest.mark.parametrize("fps", [10, 23.976, 25, 30, 60])
def test_any_frame_rate_becomes_25(tmp_path, fps):
    frames = list(media.read_clip(counter_video(tmp_path / "v.mp4", fps, 2)))
    assert abs(len(frames) - 50) <= 25 / fps + 1e-6
    levels = np.array([f.mean() for f in frames])
    expected = np.arange(len(frames)) / FPS * 100 * 255 / 219
    assert np.abs(levels - expected).max() < 100 * 255 / 219 * (1 / fps + 0.012)


def test_rotated_video_stands_upright(tmp_path):
    make_video(tmp_path / "v.mp4", 5)
    ffmpeg("-display_rotation", "90", "-i", tmp_path / "v.mp4", "-c", "copy", tmp_path / "r.mp4")
    assert next(media.read_clip(tmp_path / "r.mp4")).shape == (64, 48, 3)


def test_stretched_pixels_are_made_square(tmp_path):
    ffmpeg("-f", "lavfi", "-i", "color=red:s=64x64:d=0.2", "-vf", "setsar=2", tmp_path / "v.mp4")
    assert next(media.read_clip(tmp_path / "v.mp4")).shape == (64, 128, 3)


def test_large_video_is_made_smaller(tmp_path):
    ffmpeg("-f", "lavfi", "-i", "color=red:s=3840x2160:d=0.2", "-preset", "ultrafast", tmp_path / "v.mp4")
    frame = next(media.read_clip(tmp_path / "v.mp4"))
    assert frame.shape == (1080, 1920, 3) and frame.flags.writeable


def test_closing_a_clip_ends_ffmpeg(tmp_path, monkeypatch):
    started = []
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: started.append(popen(*a, **k)) or started[-1])
    frames = media.read_clip(make_video(tmp_path / "v.mp4", 200))
    next(frames)
    frames.close()
    assert started[-1].poll() is not None


def test_bad_clips(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", tone(1), SAMPLE_RATE)
    (tmp_path / "t.mp4").write_text("not a video")
    whole = make_video(tmp_path / "v.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 3])
    for name, says in (("a.wav", "no picture"), ("t.mp4", "not a sound or video"), ("none.mp4", "no video file")):
        with pytest.raises(ClipError, match=says):
            list(media.read_clip(tmp_path / name))
    with pytest.raises(ClipError):
        list(media.read_clip(tmp_path / "cut.mp4"))
    monkeypatch.setattr(media, "CLIP_MAX_SECONDS", -0.5)
    with pytest.raises(ClipError, match="1 s long"):
        media.read_clip(tmp_path / "v.mp4")
    monkeypatch.setattr(media, "CLIP_MAX_PIXELS", 100)
    with pytest.raises(ClipError, match="64x48"):
        media.read_clip(tmp_path / "v.mp4")


def test_cover_art_is_no_video(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(1), SAMPLE_RATE)
    cv2.imwrite(str(tmp_path / "c.png"), still())
    ffmpeg("-i", tmp_path / "a.wav", "-i", tmp_path / "c.png", "-map", "0", "-map", "1", "-c:v", "copy",
           "-disposition:v", "attached_pic", tmp_path / "a.mp3")  # fmt: skip
    assert media.read_audio(tmp_path / "a.mp3").size >= SAMPLE_RATE
    with pytest.raises(ClipError, match="no picture"):
        media.read_clip(tmp_path / "a.mp3")


# ---------------------------------------------------------------------------------------------------- write
def test_what_is_written(tmp_path):
    """Codec, pixel format, colour tags, rate, length, order of the index, and what the file says of itself."""
    size = (65, 49)
    out = media.write_mp4(tmp_path / "o.mp4", (still(200, size) for _ in range(38)), size, 38, tone(1.5), "made by us")
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
    out = media.write_mp4(tmp_path / "o.mp4", [frame] * 5, (192, 32), 5)
    back = list(media.read_clip(out))[2]
    assert np.abs(back[16, 16::32].astype(int) - colours).max() <= 6


@pytest.mark.parametrize("kind", ["samples", "wav", "mp3", "m4a", "8 kHz ogg", "stereo flac", "video"])
def test_sound_and_picture_start_together(tmp_path, kind):
    """A flash and a click at the same moment are found at the same moment."""
    moment, count = 0.8, 40
    audio = click(count / FPS, moment)
    if kind != "samples":
        name, rate, channels = {"8 kHz ogg": ("a.ogg", 8000, 1), "stereo flac": ("a.flac", 44_100, 2),
                                "video": ("a.mp4", 48_000, 2)}.get(kind, (f"a.{kind}", 44_100, 1))  # fmt: skip
        soundfile.write(tmp_path / "in.wav", np.repeat(click(1.6, moment, rate)[:, None], channels, axis=1), rate)
        ffmpeg("-i", tmp_path / "in.wav", "-ar", rate, tmp_path / "x.wav")
        if kind == "video":
            make_video(tmp_path / name, count, tmp_path / "x.wav")
        else:
            ffmpeg("-i", tmp_path / "x.wav", tmp_path / name)
        audio = tmp_path / name
    frames = (still(255 if i == round(moment * FPS) else 0) for i in range(count))
    out = media.write_mp4(tmp_path / "o.mp4", frames, (64, 48), count, audio)
    video = cv2.VideoCapture(str(out))
    flashes = []
    while (read := video.read())[0]:
        flashes.append(read[1].mean() > 128)
    assert flashes.index(True) / FPS == pytest.approx(moment)
    assert abs(onset(media.read_audio(out)) - moment) < 0.02


@pytest.mark.parametrize("seconds", [0.5, 1.01, 2.0])
def test_length_is_the_picture_s(tmp_path, seconds):
    """Sound shorter or longer than the picture is padded or cut."""
    out = make_video(tmp_path / "o.mp4", 25, tone(seconds))
    length = float(re.search(r"Duration: 00:00:(\d+\.\d+)", ffmpeg("-i", out))[1])
    assert abs(length - 1) <= 0.03
    assert abs(media.read_audio(out).size / SAMPLE_RATE - 1) <= 0.03


def failing(frames: int, error: BaseException):
    for _ in range(frames):
        yield still()
    raise error


@pytest.mark.parametrize("error", [RuntimeError("x"), KeyboardInterrupt(), AudioError("y"), GeneratorExit()])
def test_an_error_leaves_nothing(tmp_path, error):
    with pytest.raises(type(error)):
        media.write_mp4(tmp_path / "o.mp4", failing(30, error), (64, 48), 50, tone(2))
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_the_older_video(tmp_path):
    before = make_video(tmp_path / "o.mp4").read_bytes()
    with pytest.raises(RuntimeError):
        media.write_mp4(tmp_path / "o.mp4", failing(3, RuntimeError()), (64, 48), 50)
    assert (tmp_path / "o.mp4").read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_no_private_folder_remains(tmp_path, monkeypatch):
    (tmp_path / "temp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temp"))
    make_video(tmp_path / "o.mp4", 25, tone(1))
    with pytest.raises(RuntimeError):
        media.write_mp4(tmp_path / "p.mp4", failing(3, RuntimeError()), (64, 48), 50, tone(1))
    assert list((tmp_path / "temp").iterdir()) == []


def test_sound_that_ffmpeg_cannot_read(tmp_path):
    (tmp_path / "a.wav").write_text("no sound")
    with pytest.raises(OutputError):
        make_video(tmp_path / "o.mp4", 25, tmp_path / "a.wav")
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]


@pytest.mark.parametrize("name", ["none/o.mp4", "file.txt/o.mp4", "folder.mp4", "o.avi", "/proc/o.mp4", "o\0.mp4"])
def test_output_that_cannot_be_written(tmp_path, name):
    """Found before the first frame is asked for."""
    (tmp_path / "file.txt").write_text("")
    (tmp_path / "folder.mp4").mkdir()

    def never():
        raise AssertionError("work began")
        yield

    with pytest.raises(OutputError):
        media.write_mp4(tmp_path / name, never(), (64, 48), 5)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file.txt", "folder.mp4"]


def test_ffmpeg_dies(tmp_path):
    """Killed, out of memory, disk full: whatever ends it, one OutputError and no file."""
    writer = media.Mp4Writer(tmp_path / "o.mp4", (64, 48), 500)
    with pytest.raises(OutputError), writer:
        writer._process.kill()
        time.sleep(0.1)
        for _ in range(500):
            writer.write(still())
    with pytest.raises(OutputError), writer:
        writer.write(still())
        writer._process.terminate()
    assert list(tmp_path.iterdir()) == []


def test_full_disk(tmp_path):
    """A file that may not grow past 20 kB stands for a disk without room."""
    script = (
        "import resource, signal, sys, numpy as np; from thgen import media, errors\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)); signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "random = np.random.default_rng(0)\n"
        "frames = (random.integers(0, 255, (64, 64, 3), dtype=np.uint8) for _ in range(200))\n"
        "try: media.write_mp4(sys.argv[1], frames, (64, 64), 200)\n"
        "except errors.OutputError as e: print(e)"
    )
    run = subprocess.run([sys.executable, "-c", script, str(tmp_path / "o.mp4")], capture_output=True, text=True)
    assert "could not be written" in run.stdout, run.stderr
    assert list(tmp_path.iterdir()) == []


def test_frames_of_the_wrong_size_are_refused(tmp_path):
    with pytest.raises(ValueError, match="expected uint8"):
        media.write_mp4(tmp_path / "o.mp4", [still(0, (32, 32))], (64, 48), 1)
    assert list(tmp_path.iterdir()) == []


def test_png(tmp_path):
    media.write_png(tmp_path / "a.png", still(7))
    assert (media.read_photo(tmp_path / "a.png") == 7).all()
    with pytest.raises(OutputError):
        media.write_png(tmp_path / "none" / "a.png", still(7))


def test_written_sound_is_the_sound(tmp_path):
    """Not only in time but in content: the tone that goes in comes out."""
    out = make_video(tmp_path / "o.mp4", 50, tone(2))
    back = media.read_audio(out)[4000:28_000]
    assert np.corrcoef(back, tone(2)[4000:28_000])[0, 1] > 0.99


def test_plain_wav_module_reads_what_samples_become(tmp_path):
    """16 kHz mono samples stay what they are on the way into the encoder."""
    writer = media.Mp4Writer(tmp_path / "o.mp4", (64, 48), 25, tone(1))
    from contextlib import ExitStack

    with ExitStack() as stack, wave.open(str(writer._sound(stack))) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (1, SAMPLE_RATE, SAMPLE_RATE)


def test_frames_come_out_of_a_video_coarser_and_the_same_every_time():
    y, x = np.mgrid[:96, :96]
    picture = np.stack([x * 2, y * 2, x + y], -1).clip(0, 255).astype(np.uint8)
    frames = np.stack([np.roll(picture, t, 1) for t in range(3)])
    fine, coarse = (np.abs(media.recompressed(frames, crf).astype(int) - frames).mean() for crf in (18, 45))
    assert 0 < fine < 4 and fine < coarse < 40
    assert np.array_equal(media.recompressed(frames, 36), media.recompressed(frames, 36))
