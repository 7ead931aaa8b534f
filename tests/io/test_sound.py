"""Sound from files of every format, as samples for the lips and as a wave file for the video."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.io.media_files import click, ffmpeg, make_video, onset, tone
from thgen.errors import AudioError, ClipError
from thgen.io import sound
from thgen.io.clip import read_clip
from thgen.io.ffmpeg import Probe
from thgen.io.sound import read_audio
from thgen.schema import SAMPLE_RATE


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("suffix", ["wav", "mp3", "m4a", "flac", "ogg", "opus", "webm"])
def test_audio_formats(tmp_path, suffix, rate, channels):
    """Every file gives mono 16 kHz float of the right length, with the click at its place."""
    if suffix in ("opus", "webm"):
        rate = {8000: 8000, 22_050: 16_000, 44_100: 24_000, 48_000: 48_000}[rate]  # the rates that opus has
    samples = np.repeat(click(1.5, 0.7, rate)[:, None], channels, axis=1)
    soundfile.write(tmp_path / "in.wav", samples, rate)
    codec = ["-c:a", "libopus"] if suffix in ("opus", "webm") else []
    ffmpeg("-i", tmp_path / "in.wav", "-ar", rate, *codec, tmp_path / f"a.{suffix}")
    read = read_audio(tmp_path / f"a.{suffix}")
    assert read.dtype == np.float32 and read.ndim == 1 and np.abs(read).max() <= 1
    assert abs(read.size / SAMPLE_RATE - 1.5) <= (0.08 if suffix == "mp3" else 0.04)
    # webm starts at its first whole packet: up to 32 ms are cut, for the lips and the video alike
    assert abs(onset(read) - 0.7) < (0.035 if suffix == "webm" else 0.02)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_wav_sample_kinds(tmp_path, subtype):
    soundfile.write(tmp_path / "a.wav", tone(1), SAMPLE_RATE, subtype=subtype)
    assert np.abs(read_audio(tmp_path / "a.wav") - tone(1)).max() < 0.01


def test_wrong_extension(tmp_path):
    soundfile.write(tmp_path / "in.wav", tone(1, 44_100), 44_100)
    ffmpeg("-i", tmp_path / "in.wav", tmp_path / "a.mp3")
    for name in ("a.wav", "a.txt", "a"):
        (tmp_path / name).write_bytes((tmp_path / "a.mp3").read_bytes())
        assert abs(read_audio(tmp_path / name).size / SAMPLE_RATE - 1) < 0.08


def test_sound_track_of_a_video(tmp_path):
    make_video(tmp_path / "v.mp4", 50, click(2, 1.2))
    assert abs(onset(read_audio(tmp_path / "v.mp4")) - 1.2) < 0.005


def test_sound_that_begins_after_the_picture_keeps_its_place(tmp_path):
    make_video(tmp_path / "v.mp4", 50)
    soundfile.write(tmp_path / "a.wav", click(1, 0.5), SAMPLE_RATE)
    ffmpeg("-i", tmp_path / "v.mp4", "-itsoffset", "0.4", "-i", tmp_path / "a.wav", "-c:v", "copy", tmp_path / "b.mp4")
    assert abs(onset(read_audio(tmp_path / "b.mp4")) - 0.9) < 0.01


def test_too_loud_is_scaled_not_clipped(tmp_path):
    soundfile.write(tmp_path / "a.wav", 8 * tone(1), SAMPLE_RATE, subtype="FLOAT")
    read = read_audio(tmp_path / "a.wav")
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
        read_audio(bad_audio(tmp_path, kind))


def test_nan_survives_resampling(tmp_path):
    """Resampling must not replace NaN by a number."""
    samples = tone(1, 44_100)
    samples[20_000] = np.nan
    soundfile.write(tmp_path / "a.wav", samples, 44_100, subtype="FLOAT")
    with pytest.raises(AudioError, match="not numbers"):
        read_audio(tmp_path / "a.wav")


def test_audio_arrays():
    assert np.array_equal(read_audio(tone(1).astype(np.float64)), tone(1))
    for bad in (tone(0.1), np.zeros(9999, np.float32), np.full(9999, np.nan), tone(1)[None], np.ones(9999, np.int16)):
        with pytest.raises(AudioError):
            read_audio(bad)


def test_audio_limits(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", np.tile(tone(1, 8000), 615), 8000, subtype="PCM_U8")
    with pytest.raises(AudioError, match="longer than 600 s"):
        read_audio(tmp_path / "a.wav")
    monkeypatch.setattr(sound, "AUDIO_MAX_BYTES", 1 << 20)
    with pytest.raises(AudioError, match="larger than 1 MB"):
        read_audio(tmp_path / "a.wav")


def test_a_wrong_length_in_the_header(tmp_path, monkeypatch):
    """A header can lack the length or be wrong: the decoded length counts."""
    soundfile.write(tmp_path / "in.wav", tone(9), SAMPLE_RATE)
    ffmpeg("-i", tmp_path / "in.wav", "-f", "adts", tmp_path / "a.aac")
    monkeypatch.setattr(sound, "AUDIO_MAX_SECONDS", 4.0)
    monkeypatch.setattr(sound, "probe", lambda *a: Probe(1.0, True, 0, 0))
    with pytest.raises(AudioError, match="longer than 4 s"):
        read_audio(tmp_path / "a.aac")


@pytest.mark.parametrize("kind", ["hls", "concat", "dash", "sdp", "sub"])
def test_files_that_name_other_files_are_not_followed(tmp_path, kind):
    """With a playlist, an upload could read files of the server or reach its network."""
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
            read_audio(tmp_path / name)
        with pytest.raises(ClipError):
            read_clip(tmp_path / name)


def test_file_names_do_not_select_protocols(tmp_path, monkeypatch):
    """ffmpeg must take every file name as a file name."""
    monkeypatch.chdir(tmp_path)
    for name in ("concat:a.wav", "-i.wav", "http:x.wav", "a b;$(x).wav", "%d.wav"):
        soundfile.write(tmp_path / "x.wav", tone(1), SAMPLE_RATE)
        (tmp_path / "x.wav").rename(tmp_path / name)
        assert read_audio(name).size == SAMPLE_RATE
