"""Sound in every container, and with every odd header."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from tests.hostile.pixel_formats import run

RATE = 16_000
SECONDS = 2.0


def tone(seconds: float = SECONDS, rate: int = RATE, peak: float = 0.5) -> np.ndarray:
    return (peak * np.sin(2 * np.pi * 220 * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def wav(folder: Path, samples: np.ndarray, rate: int = RATE, subtype: str = "PCM_16") -> Path:
    soundfile.write(folder / "in.wav", samples, rate, subtype=subtype)
    return folder / "in.wav"


# container and codec -> file name and ffmpeg's options
CONTAINERS = {
    "wav pcm_u8": "a.wav -c:a pcm_u8",
    "wav pcm_s16le": "a.wav -c:a pcm_s16le",
    "wav pcm_s24le": "a.wav -c:a pcm_s24le",
    "wav pcm_s32le": "a.wav -c:a pcm_s32le",
    "wav pcm_f32le": "a.wav -c:a pcm_f32le",
    "wav pcm_f64le": "a.wav -c:a pcm_f64le",
    "wav pcm_alaw": "a.wav -c:a pcm_alaw",
    "wav pcm_mulaw": "a.wav -c:a pcm_mulaw",
    "wav adpcm_ms": "a.wav -c:a adpcm_ms",
    "wav adpcm_ima_wav": "a.wav -c:a adpcm_ima_wav",
    "w64": "a.w64",
    "aiff": "a.aiff",
    "au": "a.au",
    "caf": "a.caf",
    "caf alac": "a.caf -c:a alac",
    "mp3": "a.mp3",
    "mp3 without header": "a.mp3 -write_xing 0 -q:a 4",
    "aac": "a.aac",
    "m4a": "a.m4a",
    "m4a alac": "a.m4a -c:a alac",
    "flac": "a.flac",
    "ogg vorbis": "a.ogg -c:a libvorbis",
    "opus": "a.opus",
    "webm": "a.webm -c:a libopus",
    "webm live": "a.webm -c:a libopus -live 1",
    "mka pcm": "a.mka -c:a pcm_s16le",
    "amr": "a.amr -ar 8000 -ac 1",
    "wma": "a.wma -ar 44100",
    "mp4 ac3": "a.mp4 -c:a ac3",
    "ts mp2": "a.ts -c:a mp2",
    "flv": "a.flv -ar 44100",
    "3gp amr": "a.3gp -ar 8000 -ac 1 -c:a libopencore_amrnb",
    "nut": "a.nut",
    "avi": "a.avi -ar 44100",
    "six channels": "a.wav -af pan=5.1|c0=c0|c1=c0|c2=c0|c3=c0|c4=c0|c5=c0",
    "eight channels": "a.flac -af pan=7.1|c0=c0|c1=c0|c2=c0|c3=c0|c4=c0|c5=c0|c6=c0|c7=c0",
}


def contained(folder: Path, name: str) -> Path:
    """The tone in one of CONTAINERS."""
    file, *options = CONTAINERS[name].split()
    (folder / "out").mkdir()
    run("-i", wav(folder, tone()), *options, folder / "out" / file)
    return folder / "out" / file


def _header(rate: int = RATE, channels: int = 1, bits: int = 16, size: int | None = None, kind: int = 1) -> bytes:
    data = (tone() * 32767).astype("<i2").tobytes()
    size = len(data) if size is None else size
    align = channels * bits // 8 & 0xFFFF
    form = struct.pack("<HHIIHH", kind, channels, rate, rate * channels * bits // 8 & 0xFFFFFFFF, align, bits)
    return (
        b"RIFF"
        + struct.pack("<I", (size + 36) & 0xFFFFFFFF)
        + b"WAVEfmt \x10\0\0\0"
        + form
        + b"data"
        + struct.pack("<I", size)
        + data
    )


def _lying_m4a(folder: Path) -> bytes:
    """An m4a of 150 s whose headers say 1 s."""
    run("-i", wav(folder, tone(150)), folder / "x.m4a")
    data = bytearray((folder / "x.m4a").read_bytes())
    for box, scale_at, length_at in ((b"mvhd", 16, 20), (b"mdhd", 16, 20)):
        at = data.index(box)
        scale = struct.unpack(">I", data[at + scale_at : at + scale_at + 4])[0]
        data[at + length_at : at + length_at + 4] = struct.pack(">I", scale)
    at = data.index(b"tkhd")
    data[at + 24 : at + 28] = struct.pack(">I", 1000)
    return bytes(data)


def _stereo(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.stack([left, right], 1)


def _cut(folder: Path, name: str, share: float) -> bytes:
    whole = contained(folder, name).read_bytes()
    return whole[: int(len(whole) * share)]


def _spoilt(folder: Path, name: str) -> bytes:
    data = bytearray(contained(folder, name).read_bytes())
    data[200::11] = bytes(b ^ 0xA5 for b in data[200::11])
    return bytes(data)


def _saved(folder: Path, samples: np.ndarray, subtype: str = "FLOAT") -> bytes:
    return wav(folder, samples, subtype=subtype).read_bytes()


def _one(value: float) -> np.ndarray:
    samples = tone()
    samples[7000] = value
    return samples


def _joined(folder: Path) -> bytes:
    """Two ogg files one behind the other, of different rates: a stream that begins anew."""
    run("-i", wav(folder, tone()), "-c:a", "libvorbis", folder / "1.ogg")
    run("-i", wav(folder, tone()), "-c:a", "libvorbis", "-ar", "44100", folder / "2.ogg")
    return (folder / "1.ogg").read_bytes() + (folder / "2.ogg").read_bytes()


# name -> (bytes, words of the sentence, or the seconds that it reads as; "": either)
HOSTILE: dict[str, tuple[Callable[[Path], bytes], str | float]] = {
    "length of 0": (lambda f: _header(size=0), ""),
    "length of 4 GB": (lambda f: _header(size=0xFFFFFFFF), SECONDS),
    "rate of 0": (lambda f: _header(rate=0), ""),
    "rate of 1 Hz": (lambda f: _header(rate=1), "longer than"),
    "rate of 4 GHz": (lambda f: _header(rate=0xFFFFFFF0), ""),
    "no channels": (lambda f: _header(channels=0), ""),
    "32767 channels": (lambda f: _header(channels=32767), ""),
    "1 bit": (lambda f: _header(bits=1), ""),
    "unknown codec": (lambda f: _header(kind=0x7777), ""),
    "inverted stereo": (lambda f: _saved(f, _stereo(tone(), -tone())), SECONDS),
    "one silent channel": (lambda f: _saved(f, _stereo(0 * tone(), tone())), SECONDS),
    "peak of 6.9": (lambda f: _saved(f, tone(peak=6.9)), SECONDS),
    "peak of 1e38": (lambda f: _saved(f, _one(1e38)), "not numbers"),
    "NaN": (lambda f: _saved(f, _one(np.nan)), "not numbers"),
    "infinite": (lambda f: _saved(f, _one(-np.inf)), "not numbers"),
    "silence": (lambda f: _saved(f, 0 * tone()), "silent"),
    "hiss": (lambda f: _saved(f, 1e-4 * tone()), "silent"),
    "0 s": (lambda f: _saved(f, tone(0)), "too short"),
    "0.2 s": (lambda f: _saved(f, tone(0.2)), "too short"),
    "11 min": (lambda f: wav(f, tone(660, 8000), 8000, "PCM_U8").read_bytes(), "longer than"),
    "m4a of 150 s that says 1 s": (_lying_m4a, 150.0),
    "two ogg streams": (_joined, ""),
    **{f"{n} cut at {s}": (lambda f, n=n, s=s: _cut(f, n, s), "") for n in ("mp3", "m4a", "flac", "opus", "webm")
       for s in (0.1, 0.8)},
    **{f"{n} spoilt": (lambda f, n=n: _spoilt(f, n), "") for n in ("mp3", "m4a", "flac", "opus", "aac", "wma", "amr")},
    "text": (lambda f: b"a voice, honestly", "not a sound"),
    "nothing": (lambda f: b"", "empty"),
    "zeros": (lambda f: bytes(50_000), "not a sound"),
    "noise": (lambda f: np.random.default_rng(1).bytes(50_000), ""),
    "hls": (lambda f: b"#EXTM3U\n#EXTINF:2,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n", "not a sound"),
    "concat": (lambda f: b"ffconcat version 1.0\nfile '/etc/hostname'\n", "not a sound"),
    "midi": (lambda f: b"MThd\0\0\0\x06\0\0\0\x01\0\x60MTrk\0\0\0\x04\0\xff\x2f\0", "not a sound"),
    "large tag": (lambda f: b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + bytes(1 << 20), ""),
}  # fmt: skip
