"""Every pixel format that an encoder of this ffmpeg writes into a container that thgen opens, as a small video."""

from __future__ import annotations

import functools
import re
import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np

# encoder -> (file name's end, options). One container each; more of those are in `media_cases`.
ENCODERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "libx264": ("mp4", ("-qp", "1", "-preset", "ultrafast")),
    "libx264rgb": ("mkv", ("-qp", "1", "-preset", "ultrafast")),
    "libx265": ("mp4", ("-x265-params", "qp=1:log-level=none", "-preset", "ultrafast")),
    "libvpx": ("webm", ("-b:v", "4M", "-deadline", "realtime")),
    "libvpx-vp9": ("webm", ("-lossless", "1", "-deadline", "realtime", "-cpu-used", "8")),
    "libsvtav1": ("mp4", ("-crf", "5", "-preset", "12", "-svtav1-params", "lp=1")),
    "libaom-av1": ("mkv", ("-crf", "2", "-cpu-used", "8", "-usage", "realtime")),
    "prores_ks": ("mov", ("-q:v", "2")),
    "ffv1": ("mkv", ()),
    "mjpeg": ("avi", ("-q:v", "2", "-strict", "-1")),
    "png": ("mov", ()),
    "apng": ("apng", ()),
    "gif": ("gif", ()),
    "libwebp_anim": ("webp", ("-lossless", "1")),
    "qtrle": ("mov", ()),
    "huffyuv": ("avi", ()),
    "ffvhuff": ("mkv", ()),
    "utvideo": ("avi", ()),
    "magicyuv": ("avi", ()),
    "v210": ("mov", ()),
    "v410": ("mov", ()),
    "r210": ("mov", ()),
    "rawvideo": ("nut", ()),
    "mpeg4": ("avi", ("-q:v", "2")),
    "mpeg2video": ("ts", ("-q:v", "2")),
    "libtheora": ("ogg", ("-q:v", "10")),
    "flv": ("flv", ("-q:v", "2")),
    "wmv2": ("asf", ("-q:v", "2")),
    "dvvideo": ("avi", ("-s", "720x576", "-r", "25")),
    "libopenjpeg": ("mkv", ()),
    "cinepak": ("mov", ()),
    "zmbv": ("avi", ()),
}
# Raw formats for which the container has no name: ffmpeg itself reads them back as something else.
NAMELESS = re.compile(r"p0|p2|p4|nv16|nv2|nv4|msb|x2|y212|grayf32|ya16|yuv440p1|pal8")
# Of raw formats those that the encoders above seldom write: more depth, other order.
DEEP = re.compile(r"16|14|12|10|9|f32|uyvy|yvyu|nv|ya8|bgr|rgb")
WIDTH, HEIGHT, FRAMES = 64, 48, 5


def scene() -> np.ndarray:
    """uint8 [HEIGHT WIDTH 3]: smooth, so that coarse chroma stays close, and different in all four corners."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([40 + x * 170 / (WIDTH - 1), 200 - y * 150 / (HEIGHT - 1), 110 + 0 * x], axis=-1).astype(np.uint8)


def run(*arguments: object) -> bytes:
    """ffmpeg's stdout. Raises CalledProcessError."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-y", "-loglevel", "error"]
    return subprocess.run([*command, *(str(a) for a in arguments)], capture_output=True, check=True).stdout


@functools.cache
def formats() -> list[tuple[str, str]]:
    """(encoder, pixel format) of all that can be written here; an encoder that this ffmpeg lacks has none."""
    known = set(re.findall(r"^ V\S+ (\S+)", run("-encoders").decode(), re.MULTILINE))
    pairs = []
    for encoder in ENCODERS:
        if encoder not in known:
            continue
        about = run("-h", f"encoder={encoder}").decode()
        listed = re.search(r"Supported pixel formats: (.*)", about)
        names = listed[1].split() if listed else []
        if encoder == "rawvideo":  # it writes whatever ffmpeg converts to
            both = re.findall(r"^IO... (\S+)", run("-pix_fmts").decode(), re.MULTILINE)
            names = [name for name in both if DEEP.search(name) and not NAMELESS.search(name)]
        pairs += [(encoder, name) for name in names]
    return pairs


def write(path: Path, encoder: str, pixel_format: str) -> Path:
    """A video of FRAMES frames of the scene at 25 fps, each a little brighter. Raises CalledProcessError."""
    suffix, options = ENCODERS[encoder]
    raw = path.with_suffix(".rgb")
    raw.write_bytes(b"".join((scene() + 2 * t).tobytes() for t in range(FRAMES)))
    path = path.with_suffix(f".{suffix}")
    run("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}", "-r", 25, "-i", raw, "-pix_fmt", pixel_format,
        "-c:v", encoder, *options, path)  # fmt: skip
    return path
