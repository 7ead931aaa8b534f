"""Driving clips in every container, animated pictures, and clips that lie, break off, or are far too large."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tests.hostile.pixel_formats import run, scene
from tests.hostile.sound_files import tone, wav

FPS = 25
# container -> ffmpeg's options
CONTAINERS = {
    "mp4": "-c:v libx264 -g 3",
    "mov": "-c:v libx265 -x265-params log-level=none -tag:v hvc1",
    "mkv": "-c:v libvpx-vp9 -deadline realtime",
    "webm": "-c:v libvpx -deadline realtime",
    "avi": "-c:v mpeg4",
    "flv": "-c:v flv",
    "ts": "-c:v libx264",
    "mpg": "-c:v mpeg2video",
    "ogv": "-c:v libtheora",
    "asf": "-c:v wmv2",
    "nut": "-c:v ffv1",
    "3gp": "-c:v h263 -s 352x288",
    "gif": "",
    "apng": "",
    "webp": "-c:v libwebp_anim",
    "avif": "-c:v libaom-av1 -cpu-used 8 -usage realtime",
}


def moving(
    folder: Path, name: str, *options: str, seconds: float = 0.4, size: str = "96x64", rate: float = FPS
) -> Path:
    """A moving test picture, as `name` says."""
    (folder / "out").mkdir(exist_ok=True)
    path = folder / "out" / name
    run("-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}:d={seconds}", *options, path)
    return path


def contained(folder: Path, container: str) -> Path:
    """Ten frames at 25 fps."""
    return moving(folder, f"a.{container}", *CONTAINERS[container].split())


def animation(folder: Path, kind: str, frames: int = 10, milliseconds: int = 100) -> Path:
    """An animated picture by Pillow: the scene grows brighter from frame to frame."""
    pictures = [Image.fromarray(np.clip(scene() + 4 * t, 0, 255).astype(np.uint8)) for t in range(frames)]
    path = folder / f"a.{kind.lower()}"
    pictures[0].save(path, kind, save_all=True, append_images=pictures[1:], duration=milliseconds, loop=0)
    return path


def hdr(folder: Path, transfer: str, container: str = "mp4") -> Path:
    """The scene as it comes from a phone in HLG ("arib-std-b67") or PQ ("smpte2084"), diffuse white at 203 cd/m2."""
    Image.fromarray(scene()).save(folder / "s.png")
    path = folder / f"{transfer}.{container}"
    to_hdr = (
        "format=gbrpf32le,setparams=colorspace=gbr:color_primaries=bt709:color_trc=bt709:range=pc,"
        f"zscale=p=bt2020:t={transfer}:m=bt2020nc:r=limited:npl=203,format=yuv420p10le"
    )
    run("-loop", 1, "-i", folder / "s.png", "-t", 0.2, "-vf", to_hdr, "-c:v", "libx265", "-x265-params",
        "log-level=none:qp=4", "-color_primaries", "bt2020", "-color_trc", transfer, "-colorspace", "bt2020nc",
        path)  # fmt: skip
    return path


def _stretched(folder: Path, across: int, down: int) -> bytes:
    """An mp4 whose pixels are `across` wide and `down` high, as its `pasp` box says."""
    data = bytearray(moving(folder, "a.mp4", "-c:v", "mpeg4", "-vf", "setsar=2/1").read_bytes())
    at = data.index(b"pasp")
    data[at + 4 : at + 12] = struct.pack(">II", across, down)
    return bytes(data)


def _gap(folder: Path, seconds: int) -> bytes:
    """Ten frames, the last five `seconds` after the first five."""
    shift = f"setpts='if(lt(N,5),PTS,PTS+{seconds}/TB)'"
    return moving(folder, "a.mkv", "-vf", shift, "-fps_mode", "passthrough").read_bytes()


def _two_sizes(folder: Path, second: str) -> bytes:
    """A transport stream whose picture changes its size in the middle."""
    parts = [moving(folder, f"{n}.ts", "-c:v", "libx264", size=size) for n, size in enumerate(("96x64", second))]
    return b"".join(part.read_bytes() for part in parts)


def _claims(folder: Path, width: int, height: int) -> bytes:
    """An mp4 whose headers claim another size than its picture has."""
    data = bytearray(contained(folder, "mp4").read_bytes())
    at = data.index(b"avc1")
    data[at + 28 : at + 32] = struct.pack(">HH", width, height)
    return bytes(data)


def _cut(folder: Path, container: str, share: float) -> bytes:
    whole = contained(folder, container).read_bytes()
    return whole[: int(len(whole) * share)]


def _spoilt(folder: Path, container: str) -> bytes:
    data = bytearray(contained(folder, container).read_bytes())
    data[300::13] = bytes(b ^ 0x3C for b in data[300::13])
    return bytes(data)


def _fast_start_of_zeros(folder: Path) -> bytes:
    return contained(folder, "mp4").read_bytes()[:40] + bytes(200_000)


# name -> (bytes, words of the sentence, or how many frames it reads as; "": either)
HOSTILE: dict[str, tuple[Callable[[Path], bytes], str | int]] = {
    "pixels 4000:1": (lambda f: _stretched(f, 4000, 1), "strip"),
    "pixels 1:4000": (lambda f: _stretched(f, 1, 4000), "strip"),
    "pixels 2:1": (lambda f: _stretched(f, 2, 1), 10),
    "strip, tall": (lambda f: moving(f, "a.mp4", size="16x2000").read_bytes(), "strip"),
    "strip, wide": (lambda f: moving(f, "a.mp4", size="2000x16").read_bytes(), "strip"),
    "2x2": (lambda f: moving(f, "a.mp4", size="2x2").read_bytes(), 10),
    "odd sides": (lambda f: moving(f, "a.mkv", "-c:v", "ffv1", size="97x63").read_bytes(), 10),
    "one frame": (lambda f: moving(f, "a.mp4", "-frames:v", "1").read_bytes(), 1),
    "1000 fps": (lambda f: moving(f, "a.mkv", "-c:v", "ffv1", rate=1000).read_bytes(), 10),
    "1 fps": (lambda f: moving(f, "a.mp4", rate=1, seconds=2).read_bytes(), 50),
    "a gap of 2 s": (lambda f: _gap(f, 2), ""),
    "a gap of a day": (lambda f: _gap(f, 86_400), "longer than"),
    "two sizes": (lambda f: _two_sizes(f, "128x128"), ""),
    "two sizes, then a strip": (lambda f: _two_sizes(f, "640x16"), ""),
    "claims 30000x30000": (lambda f: _claims(f, 30_000, 30_000), ""),
    "claims 0x0": (lambda f: _claims(f, 0, 0), ""),
    "601 s and more": (lambda f: moving(f, "a.mp4", seconds=700, rate=1, size="32x32").read_bytes(), "longer than"),
    "full range": (lambda f: moving(f, "a.mp4", "-pix_fmt", "yuvj420p").read_bytes(), 10),
    "interlaced": (
        lambda f: moving(f, "a.mpg", "-c:v", "mpeg2video", "-flags", "+ildct", size="720x576").read_bytes(),
        "",
    ),
    "zeros behind a header": (_fast_start_of_zeros, "not a sound or video"),
    **{
        f"{c} cut at {s}": (lambda f, c=c, s=s: _cut(f, c, s), "")
        for c in ("mp4", "mkv", "ts", "gif", "webp")
        for s in (0.2, 0.8)
    },
    **{
        f"{c} spoilt": (lambda f, c=c: _spoilt(f, c), "")
        for c in ("mp4", "mkv", "avi", "ogv", "gif", "apng", "webp", "ts")
    },
    "sound alone": (lambda f: wav(f, tone()).read_bytes(), "no picture"),
    "text": (lambda f: b"not a video", "not a sound or video"),
    "nothing": (lambda f: b"", "empty"),
    "hls": (lambda f: b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile:///etc/passwd\n", "not a sound or video"),
    "subtitles": (lambda f: b"1\n00:00:00,000 --> 00:00:02,000\nhello\n", "not a sound or video"),
    "noise": (lambda f: np.random.default_rng(2).bytes(100_000), ""),
}
